"""Files that are not what they should be: an exit status and one line each, and nothing else."""

import os
import resource
import subprocess
import sys
import zlib
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from runtime_fixtures import METADATA, dark_photo, write_model

from saliency.choice_options import ChoiceOptions
from saliency.commands.crop import main
from saliency.crop_file import Output
from saliency.crop_plan import CropOptions
from saliency.cropping import Cropper
from saliency.errors import PhotoError
from saliency.predictor import Predictor

MUTATED_PER_KIND = 1000
MOST_PX = 64
KINDS = (
    *("jpeg", "progressive jpeg", "png", "webp", "avif", "tiff"),
    *("gif", "animated gif", "bmp", "heic"),
)
"""Ten kinds: the README states how many files are tried in all."""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    metadata = METADATA | {"input_pixels": 1024, "size_multiple": 8}
    return write_model(tmp_path_factory.mktemp("model") / "stand-in.onnx", metadata)


@pytest.fixture
def photo(tmp_path):
    dark_photo(64, 48, bright=(40, 10, 56, 30)).save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"


def small_photo(kind):
    """Return the bytes of a small photo with an EXIF, and with a thumbnail where it may be."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Camera", 6
    image = dark_photo(40, 24, bright=(22, 4, 36, 20))
    name = kind.split()[-1]
    options = {"exif": exif} if name not in ("gif", "bmp") else {}
    if kind == "progressive jpeg":
        options["progressive"] = True
    if kind == "animated gif":
        options = {"save_all": True, "append_images": [image.rotate(90), image.rotate(180)]}
    if name == "heic":
        import pillow_heif

        pillow_heif.register_heif_opener()
    buffer = BytesIO()
    image.save(buffer, "heif" if name == "heic" else name, **options)
    return buffer.getvalue()


def mutated(data, rng):
    """Return a file with bytes changed, a part taken out, doubled or zeroed, or its end missing."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        start = int(rng.integers(len(changed)))
        length = int(rng.integers(1, 9))
        what = rng.integers(6)
        if what <= 1:
            changed[start : start + length] = rng.bytes(len(changed[start : start + length]))
        elif what == 2:
            del changed[start : start + length]
        elif what == 3:
            changed[start:start] = changed[start : start + length]
        elif what == 4:
            changed[start : start + length] = b"\xff" * len(changed[start : start + length])
        else:
            del changed[max(start, 16) :]
    return bytes(changed)


def crop_or_refuse(cropper, data):
    try:
        return cropper.crop_data(data, Path("photo")), None
    except PhotoError as error:
        return None, str(error)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore")  # Pillow's, of odd metadata; the command silences them too
def test_mutated_photo_is_cropped_or_refused_and_nothing_else(kind, model, capfd):
    if kind == "heic":
        pytest.importorskip("pillow_heif", reason="the extra heic")
    rng = np.random.default_rng(KINDS.index(kind))
    options = CropOptions(
        aspects={"1:1": Fraction(1)},
        choice=ChoiceOptions(candidates=1),
        output=Output(max_size=MOST_PX),  # a header may have come to claim thousands
    )
    cropper = Cropper(Predictor(model, threads=1), options)
    data = small_photo(kind)
    outcomes = {"cropped": 0, "refused": 0}
    for _ in range(MUTATED_PER_KIND):
        made, message = crop_or_refuse(cropper, mutated(data, rng))
        outcomes["cropped" if message is None else "refused"] += 1
        if made is None:
            assert len(message.splitlines()) == 1
        else:
            report, (crop,) = made
            with Image.open(BytesIO(crop)) as image:
                image.load()
                assert image.size == (min(*report.size, MOST_PX),) * 2
    assert min(outcomes.values()) > 0
    assert capfd.readouterr() == ("", "")  # libraries print nothing on their own


def run(capfd, *arguments):
    """Run the command in process; return its status and the lines of both outputs."""
    status = main([str(argument) for argument in arguments])
    shown = capfd.readouterr()
    return status, shown.out.splitlines(), shown.err.splitlines()


def write_noise(path, size=(64, 48)):
    values = np.random.default_rng(0).integers(0, 256, size=(size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(values).save(path)
    return path.read_bytes()


def cut_short(path):
    path.write_bytes(write_noise(path)[:-700])


def header_that_lies(path):
    data = bytearray(write_noise(path))
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = b"\xfa\0\xfa\0"  # 64000 by 64000 pixels
    path.write_bytes(data)


def png_bomb(path):
    Image.new("1", (1, 1)).save(path, "png")
    data = bytearray(path.read_bytes())
    data[16:24] = (30_000).to_bytes(4) * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
    path.write_bytes(data)


BAD_FILES = {
    "cut short": cut_short,
    "header that lies": header_that_lies,
    "bomb": png_bomb,
    "zero bytes": lambda path: path.touch(),
    "folder": lambda path: path.mkdir(),
    "text": lambda path: path.write_text("no photo"),
    "link to nowhere": lambda path: path.symlink_to("nowhere"),
    "pipe": os.mkfifo,
    "no permission": lambda path: (write_noise(path), path.chmod(0)),
}


@pytest.mark.parametrize("fault", BAD_FILES)
def test_bad_file_is_reported_on_one_line_and_the_rest_goes_on(
    tmp_path, model, photo, capfd, fault
):
    if fault == "no permission" and os.geteuid() == 0:
        pytest.skip("root may read everything")
    BAD_FILES[fault](tmp_path / "bad.jpg")
    status, out, err = run(capfd, tmp_path / "bad.jpg", photo, "--model", model)
    assert status == 1
    (line,) = err
    assert line.startswith("saliency crop: error: ")
    assert "bad.jpg" in line
    (done,) = out
    assert "photo-1x1.jpg" in done
    assert {file.name for file in tmp_path.iterdir()} == {"bad.jpg", "photo.jpg", "photo-1x1.jpg"}


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


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_output_folder_is_reported(tmp_path, model, photo, capfd):
    (tmp_path / "crops").mkdir(mode=0o500)
    status, _, err = run(capfd, photo, "--output-dir", tmp_path / "crops", "--model", model)
    assert (status, len(err)) == (1, 1)


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
