"""Files that are not what they should be: an exit status and one line each, and nothing else."""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fault_fixtures import (
    KINDS,
    cut_short,
    cut_short_in_scans,
    header_that_lies,
    mutated,
    png_bomb,
    small_photo,
    with_hole,
    with_lost_bytes,
    with_something_behind,
    write_noise,
)
from PIL import Image
from runtime_fixtures import METADATA, dark_photo, opened, write_model

from saliency.commands.crop import main

MOST_PX = 64
ALONE = ("--workers", "1", "--threads", "1")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    metadata = METADATA | {"input_pixels": 1024, "size_multiple": 8}
    return write_model(tmp_path_factory.mktemp("model") / "stand-in.onnx", metadata)


@pytest.fixture
def photo(tmp_path):
    dark_photo(64, 48, bright=(40, 10, 56, 30)).save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"


def run(capfd, *arguments):
    """Run the command in process; return its status and the lines of both outputs."""
    status = main([str(argument) for argument in arguments])
    shown = capfd.readouterr()
    return status, shown.out.splitlines(), shown.err.splitlines()


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_photo_is_cropped_or_refused_on_one_line_and_nothing_else(
    kind, model, tmp_path, capfd, pytestconfig
):
    if kind == "heic":
        pytest.importorskip("pillow_heif", reason="the extra heic")
    rng, data = np.random.default_rng(KINDS.index(kind)), small_photo(kind)
    count = pytestconfig.getoption("mutated_files") // len(KINDS)
    folder, out, rejects = tmp_path / "photos", tmp_path / "crops", tmp_path / "rejects"
    folder.mkdir()
    out.mkdir()
    photos = [folder / f"{number}.{kind.split()[-1]}" for number in range(count)]
    for photo in photos:
        photo.write_bytes(mutated(data, rng))
    before = {photo: photo.read_bytes() for photo in photos}
    # A header may have come to claim thousands of pixels.
    options = ("--max-size", MOST_PX, "--output-dir", out, "--rejects", rejects, *ALONE)
    status, done, told = run(capfd, *photos, *options, "--model", model)
    failed = [line for line in told if line.startswith("saliency crop: error: ")]
    warned = [line for line in told if line.startswith("saliency crop: warning: ")]
    assert len(failed) + len(warned) == len(told)
    listed = rejects.read_text().splitlines()
    assert (status, len(done), len(failed)) == (1, count - len(listed), len(listed))
    assert 0 < len(listed) < count
    for line, photo in zip(failed, listed, strict=True):
        assert photo in line
    crops = [Path(line.split("  ")[0]) for line in done]
    assert sorted(crops) == sorted(out.iterdir())  # no half file, under whatever name
    assert {one.stem.removesuffix("-1x1") for one in crops} == {
        photo.stem for photo in photos if str(photo) not in listed
    }
    for crop in crops:
        width, height = opened(crop).size
        assert width == height <= MOST_PX
    assert {photo: photo.read_bytes() for photo in folder.iterdir()} == before


BAD_FILES = {
    "header that lies": header_that_lies,
    "bomb": png_bomb,
    "zero bytes": lambda path: path.touch(),
    "folder": lambda path: path.mkdir(),
    "text": lambda path: path.write_text("no photo"),
    "link to nowhere": lambda path: path.symlink_to("nowhere"),
    "pipe": os.mkfifo,
}


@pytest.mark.parametrize("fault", BAD_FILES)
def test_bad_file_is_reported_on_one_line_and_the_rest_goes_on(
    tmp_path, model, photo, capfd, fault
):
    BAD_FILES[fault](tmp_path / "bad.jpg")
    status, out, err = run(capfd, tmp_path / "bad.jpg", photo, "--model", model)
    assert status == 1
    (line,) = err
    assert line.startswith("saliency crop: error: ")
    assert "bad.jpg" in line
    (done,) = out
    assert "photo-1x1.jpg" in done
    assert {file.name for file in tmp_path.iterdir()} == {"bad.jpg", "photo.jpg", "photo-1x1.jpg"}


def test_photo_whose_end_is_missing_is_cropped_with_a_warning_or_refused(tmp_path, model, capfd):
    path = tmp_path / "bad.jpg"
    cut_short(path)
    status, _, (line,) = run(capfd, path, "--model", model, "--dry-run", "--fail-on", "truncated")
    assert status == 1
    assert line.startswith("saliency crop: error: ")
    assert "its end is missing" in line
    status, _, (line,) = run(capfd, path, "--model", model)
    assert status == 0
    assert line.startswith("saliency crop: warning: ")
    assert "bad.jpg" in line
    assert opened(tmp_path / "bad-1x1.jpg").size == (48, 48)


@pytest.mark.parametrize(
    ("damage", "levels"),
    [
        (cut_short, ["truncated", "error", "warning"]),
        (cut_short_in_scans, ["truncated", "error", "warning"]),
        (with_hole, ["error", "warning"]),
        (with_lost_bytes, ["error", "warning"]),
        (with_something_behind, ["warning"]),
    ],
)
def test_each_level_refuses_its_faults_and_those_before(tmp_path, model, capfd, damage, levels):
    path = tmp_path / "bad.jpg"
    damage(path)
    for level in ("none", "truncated", "error", "warning"):
        status, _, (line,) = run(capfd, path, "--model", model, "--dry-run", "--fail-on", level)
        assert status == (level in levels)
        assert line.startswith(f"saliency crop: {'error' if status else 'warning'}: ")


@pytest.mark.parametrize("size", [(1, 1), (30_000, 20), (20, 30_000), (2, 1), (65_000, 1)])
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_photo_of_extreme_size_is_cropped(tmp_path, model, capfd, size, suffix):
    path = tmp_path / f"photo.{suffix}"
    Image.new("RGB", size, "grey").save(path)
    status, _, err = run(capfd, path, "--aspect", "1:1", "16:9", "--model", model)
    assert (status, err) == (0, [])
    with Image.open(tmp_path / f"photo-1x1.{suffix}") as crop:
        assert crop.size == (min(size),) * 2


@pytest.mark.parametrize("name", ["two\nlines.jpg", "bell\x07.jpg", b"caf\xe9.jpg", "blank .jpg"])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_odd_name_is_shown_on_one_line(tmp_path, model, capfd, name, options):
    path = tmp_path / os.fsdecode(name)
    dark_photo(64, 48, bright=(0, 0, 9, 9)).save(path)
    status, out, err = run(capfd, path, *options, "--model", model)
    assert (status, len(out), err) == (0, 1, [])
    assert (tmp_path / f"{path.stem}-1x1.jpg").is_file()


def test_bad_file_with_two_lines_in_its_name_is_reported_on_one(tmp_path, model, capfd):
    (tmp_path / "two\nlines.jpg").write_text("no photo")
    status, out, err = run(capfd, tmp_path / "two\nlines.jpg", "--model", model)
    assert (status, out) == (1, [])
    (line,) = err
    assert r"two\nlines.jpg" in line


def test_output_folder_that_is_a_file_is_reported(tmp_path, model, photo, capfd):
    (tmp_path / "crops").touch()
    status, _, err = run(capfd, photo, "--output-dir", tmp_path / "crops", "--model", model)
    assert (status, len(err)) == (1, 1)


NOBODY = 65534
NOT_POSSIBLE = 77
AS_NOBODY = f"""
import contextlib, io, os, sys
from saliency.commands.crop import main
with contextlib.redirect_stdout(io.StringIO()):
    main(["photo.jpg", "--output-dir", "before", "--model", "model.onnx"])
if os.geteuid() == 0:
    try:
        os.setgroups([])
        os.setgid({NOBODY})
        os.setuid({NOBODY})
    except OSError:
        sys.exit({NOT_POSSIBLE})
sys.exit(main())
"""
"""The command as a user who has no rights over files of root, where root runs the tests.

It is run once before, as what it would import later may lie where only root reads."""


def run_as_nobody(folder, *arguments):
    """Run the command in a folder, with names relative to it; as `run` does."""
    folder.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, *arguments, *ALONE],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == NOT_POSSIBLE:
        pytest.skip("root may not become another user here")
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def test_read_only_output_folder_is_reported(tmp_path, model, photo):
    (tmp_path / "crops").mkdir()
    (tmp_path / "crops").chmod(0o555)
    shutil.copy(model, tmp_path / "model.onnx")
    arguments = (photo.name, "--output-dir", "crops", "--model", "model.onnx")
    status, out, err = run_as_nobody(tmp_path, *arguments)
    assert (status, out, len(err)) == (1, [], 1)
    assert "cannot write crops/photo-1x1.jpg: Permission denied" in err[0]
    assert list((tmp_path / "crops").iterdir()) == []


def test_photo_that_may_not_be_read_is_reported_and_the_rest_goes_on(tmp_path, model, photo):
    secret = tmp_path / "secret.jpg"
    write_noise(secret)
    secret.chmod(0)
    (tmp_path / "crops").mkdir()
    (tmp_path / "crops").chmod(0o777)
    shutil.copy(model, tmp_path / "model.onnx")
    arguments = (secret.name, photo.name, "--output-dir", "crops", "--model", "model.onnx")
    status, out, err = run_as_nobody(tmp_path, *arguments)
    assert (status, len(out), len(err)) == (1, 1, 1)
    assert "cannot read secret.jpg: Permission denied" in err[0]
    assert (tmp_path / "crops" / "photo-1x1.jpg").is_file()


def test_write_that_fails_halfway_leaves_nothing(tmp_path, model, photo, capfd):
    """A limit on the size of files stands in for a full disk: the write itself fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, before[1]))
    try:
        status, _, err = run(capfd, photo, "--model", model)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (status, len(err)) == (1, 1)
    assert "cannot write" in err[0]
    assert {file.name for file in tmp_path.iterdir()} == {"photo.jpg"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["photo.jpg", "--dry-run"], ["-"], ["photo.jpg", "--json"]])
def test_full_standard_output_is_an_error_of_one_line(tmp_path, model, photo, arguments):
    program = "import sys; from saliency.commands.crop import main; sys.exit(main())"
    with Path("/dev/full").open("wb") as full, photo.open("rb") as stdin:
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments, "--model", model],
            stdin=stdin,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            check=False,
        )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "No space left" in line
