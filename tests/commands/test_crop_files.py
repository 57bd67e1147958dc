"""`saliency crop` as a person uses it: options, files, what is printed, exit status."""

import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from runtime_fixtures import dark_photo, opened, write_model

from saliency.commands.crop import main
from saliency.photo.formats import SUFFIXES

BRIGHT = (300, 40, 380, 120)
"""The bright part of a photo of 400x200, which the model of the tests looks at."""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "stand-in.onnx")


@pytest.fixture
def photo(tmp_path):
    return save(tmp_path / "photo.jpg")


def save(path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    dark_photo(400, 200, bright=BRIGHT).save(path, **options)
    return path


@pytest.fixture
def run(model, capfd):
    def run(*arguments):
        """Run the command in process; return its status and the lines of both outputs."""
        status = main([*map(str, arguments), "--model", str(model)])
        shown = capfd.readouterr()
        return status, shown.out.splitlines(), shown.err.splitlines()

    return run


def names(folder):
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def brightest(path):
    """Return the middle of what is bright in a file, in fractions of its width and height."""
    values = np.asarray(opened(path).convert("L"))
    rows, columns = np.nonzero(values > 128)
    return columns.mean() / values.shape[1], rows.mean() / values.shape[0]


def test_crop_holds_what_is_looked_at(photo, run):
    status, (line,), err = run(photo)
    crop = photo.with_name("photo-1x1.jpg")
    assert (status, err) == (0, [])
    assert line.startswith(f"{crop}  200x200+200+0  keeps ")
    assert opened(crop).size == (200, 200)
    assert brightest(crop) == pytest.approx((0.7075, 0.4), abs=0.03)


def test_each_ratio_makes_a_crop(photo, run, tmp_path):
    assert run(photo, "--aspect", "16:9", "1:2", "--output-dir", tmp_path / "crops")[0] == 0
    assert opened(tmp_path / "crops" / "photo-16x9.jpg").size == (356, 200)
    assert opened(tmp_path / "crops" / "photo-1x2.jpg").size == (100, 200)


def test_size_gives_the_ratio_and_the_very_size(photo, run):
    assert run(photo, "--size", "300x400")[0] == 0
    assert opened(photo.with_name("photo-300x400.jpg")).size == (300, 400)


@pytest.mark.parametrize(
    ("options", "size"),
    [
        (["--size", "120x90"], (90, 90)),
        (["--scale", "0.5"], (100, 100)),
        (["--scale", "150%"], (300, 300)),
        (["--max-size", "50"], (50, 50)),
        (["--max-size", "500"], (200, 200)),
    ],
)
def test_size_of_a_crop_of_a_given_ratio(photo, run, options, size):
    assert run(photo, "--aspect", "1:1", *options)[0] == 0
    crop = photo.with_name("photo-1x1.jpg")
    assert opened(crop).size == size
    assert brightest(crop) == pytest.approx((0.705, 0.4), abs=0.03)


@pytest.mark.parametrize("as_format", SUFFIXES)
def test_crop_is_written_in_every_format(photo, run, as_format):
    if as_format == "heic":
        pytest.importorskip("pillow_heif", reason="the extra heic")
    assert run(photo, "--format", as_format)[0] == 0
    crop = photo.with_name(f"photo-1x1{SUFFIXES[as_format][0]}")
    assert opened(crop).format == {"heic": "HEIF"}.get(as_format, as_format.upper())
    assert brightest(crop) == pytest.approx((0.7075, 0.4), abs=0.03)


@pytest.mark.parametrize("suffix", ["png", "webp", "avif", "tif", "gif", "heic"])
def test_photo_of_every_format_is_cropped_in_its_own(tmp_path, run, suffix):
    if suffix == "heic":
        pytest.importorskip("pillow_heif", reason="the extra heic").register_heif_opener()
    photo = save(tmp_path / f"photo.{suffix}")
    assert run(photo)[0] == 0
    crop = tmp_path / f"photo-1x1.{suffix}"
    assert opened(crop).format == opened(photo).format
    assert brightest(crop) == pytest.approx((0.7075, 0.4), abs=0.03)


def test_window_of_an_animation_is_chosen_for_all_of_it(tmp_path, run):
    empty, later = Image.new("RGB", (400, 200)), dark_photo(400, 200, bright=BRIGHT)
    empty.save(tmp_path / "photo.gif", save_all=True, append_images=[later])
    assert run(tmp_path / "photo.gif", "--format", "webp")[0] == 0
    with Image.open(tmp_path / "photo-1x1.webp") as crop:
        crop.seek(1)
        assert (np.asarray(crop.convert("L")) > 200).mean() == pytest.approx(0.16, abs=0.01)


def test_suffix_of_the_photo_is_kept_if_it_is_one_of_the_format(tmp_path, run):
    run(save(tmp_path / "a.JPEG"), "--format", "jpeg")
    run(save(tmp_path / "b.JPEG"), "--format", "png")
    assert {"a-1x1.JPEG", "b-1x1.png"} <= names(tmp_path)


def test_quality_and_subsampling_and_progressive_reach_the_file(photo, run):
    run(photo, "--quality", "30", "--subsampling", "4:2:2", "--name", "low.{ext}")
    run(photo, "--quality", "95", "--progressive", "--name", "high.{ext}")
    low, high = photo.with_name("low.jpg"), photo.with_name("high.jpg")
    assert sum(opened(low).quantization[0]) > 5 * sum(opened(high).quantization[0])
    assert opened(low).layer[0][1:3] == (2, 1)
    assert opened(high).info["progressive"] == 1


def test_borders_are_of_the_background(photo, run):
    options = ("--fallback", "pad", "--min-gain", "1", "--background", "#0000ff")
    status, (line,), _ = run(photo, *options, "--format", "png")
    crop = opened(photo.with_name("photo-1x1.png"))
    assert status == 0
    assert "padded" in line
    assert crop.size == (400, 400)
    assert crop.getpixel((5, 5)) == crop.getpixel((395, 395)) == (0, 0, 255)
    assert brightest(photo.with_name("photo-1x1.png")) == pytest.approx((0.85, 0.45), abs=0.02)


def test_borders_are_scaled_with_the_photo(photo, run):
    run(photo, "--fallback", "pad", "--min-gain", "1", "--size", "100x100")
    assert opened(photo.with_name("photo-100x100.jpg")).size == (100, 100)


def test_skipped_crop_is_not_written(photo, run):
    status, (line,), _ = run(photo, "--fallback", "skip", "--min-gain", "1", "--json")
    (window,) = json.loads(line)["windows"]
    assert (status, window["outcome"], window["file"]) == (0, "skipped", None)
    assert names(photo.parent) == {"photo.jpg"}


def test_lossless_crop_of_a_jpeg_is_reported_where_it_is(photo, run):
    status, out, err = run(photo, "--lossless", "--json", "--aspect", "5:6")
    if err and "libjpeg-turbo is not installed" in err[0]:
        pytest.skip("needs libjpeg-turbo (extra: lossless)")
    (window,) = json.loads(out[0])["windows"]
    assert status == 0
    assert window["x"] % 16 == 0
    crop = np.asarray(opened(photo.with_name("photo-5x6.jpg"))).astype(int)
    whole = np.asarray(opened(photo)).astype(int)
    inside = whole[:, window["x"] : window["x"] + window["width"]]
    np.testing.assert_array_equal(crop[:, 2:-2], inside[:, 2:-2])


def test_json_has_its_keys_in_their_order(photo, run):
    _, (line,), _ = run(photo, "--json")
    report = json.loads(line)
    assert " ".join(report) == (
        "schema photo status width height content windows overlay timing_ms warnings faces"
    )
    assert " ".join(report["windows"][0]) == (
        "aspect outcome reason x y width height share centre_share gain confidence "
        "crop_confidence padding alternatives file focal_point css thumbor imgproxy imgix sharp"
    )
    assert (report["schema"], report["status"], report["overlay"]) == (1, "cropped", None)


def test_dry_run_writes_nothing(photo, run, tmp_path):
    options = ("--dry-run", "--json", "--overlay", "--output-dir", tmp_path / "crops")
    _, (line,), _ = run(photo, *options)
    report = json.loads(line)
    assert (report["status"], report["windows"][0]["file"]) == ("analysed", None)
    assert {path.name for path in tmp_path.iterdir()} == {"photo.jpg"}


def test_timing_tells_every_part(photo, run):
    _, (line,), (timing,) = run(photo, "--timing", "--json")
    parts = ["decode", "resize", "network", "faces", "window", "encode", "write"]
    assert list(json.loads(line)["timing_ms"]) == parts
    assert all(f"{part} " in timing for part in parts)


def test_folder_stands_for_the_photos_in_it(tmp_path, run):
    for name in ("b.jpg", "a.png", ".hidden.jpg", "inner/c.jpg"):
        save(tmp_path / "photos" / name)
    (tmp_path / "photos" / "notes.txt").touch()
    _, out, _ = run(tmp_path / "photos", "--output-dir", tmp_path / "crops")
    assert [Path(line.split("  ")[0]).name for line in out] == ["a-1x1.png", "b-1x1.jpg"]


def test_recursive_folders_keep_their_tree(tmp_path, run):
    top = tmp_path / "photos"
    for name in ("a.jpg", "one/a.jpg", "one/two/a.jpg", ".hidden/a.jpg"):
        save(top / name)
    assert run(top, "--recursive", "--output-dir", top / "crops")[0] == 0
    assert names(top / "crops") == {"a-1x1.jpg", "one/a-1x1.jpg", "one/two/a-1x1.jpg"}
    status, out, _ = run(top, "--recursive", "--output-dir", top / "crops", "--resume")
    assert (status, out) == (0, [])  # the crops themselves are no photos


def test_pattern_names_crops_and_folders(photo, run, tmp_path):
    run(
        photo,
        "--aspect",
        "16:9",
        "--name",
        "{aspect}/{parent}-{stem}.{ext}",
        "--output-dir",
        tmp_path,
    )
    assert f"16x9/{tmp_path.name}-photo.jpg" in names(tmp_path)


@pytest.mark.parametrize("null", [False, True])
def test_list_of_photos_is_read_from_a_file(tmp_path, run, null):
    photos = [
        save(tmp_path / "a b.jpg"),
        save(tmp_path / "c\nd.jpg" if null else tmp_path / "c.jpg"),
    ]
    end = "\0" if null else "\n"
    (tmp_path / "list").write_text("".join(f"{photo}{end}" for photo in photos))
    status, out, _ = run("--from-file", tmp_path / "list", *(["--null"] if null else []))
    assert (status, len(out)) == (0, 2)


def test_list_of_photos_is_read_from_standard_input(photo, run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{photo}\n".encode())))
    assert run("--from-file", "-")[0] == 0


def test_one_photo_goes_through_a_pipe(photo, model):
    program = (
        "import signal, sys; from saliency.commands.crop import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # the caller may ignore it
        "sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "-", "--aspect", "1:2", "--model", model],
        input=photo.read_bytes(),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert Image.open(io.BytesIO(done.stdout)).size == (100, 200)


def test_rejects_are_a_list_for_another_run(photo, run, tmp_path):
    (tmp_path / "bad.jpg").write_text("no photo")
    rejects = tmp_path / "rejects.txt"
    assert run(tmp_path / "bad.jpg", photo, "--rejects", rejects)[0] == 1
    assert rejects.read_text() == f"{tmp_path / 'bad.jpg'}\n"
    status, out, err = run("--from-file", rejects, "--json")
    assert (status, len(err)) == (1, 1)
    assert json.loads(out[0])["status"] == "failed"
    assert "none of them" in json.loads(out[0])["error"]


def test_existing_crop_is_left_alone(photo, run):
    photo.with_name("photo-1x1.jpg").write_bytes(b"mine")
    status, _, (line,) = run(photo)
    assert status == 1
    assert "exists already; overwrite it" in line
    assert photo.with_name("photo-1x1.jpg").read_bytes() == b"mine"
    assert run(photo, "--overwrite")[0] == 0
    assert photo.with_name("photo-1x1.jpg").read_bytes() != b"mine"


def test_resume_makes_again_what_a_power_cut_left_empty(photo, run):
    crop = photo.with_name("photo-1x1.jpg")
    crop.touch()
    assert run(photo, "--aspect", "1:1")[0] == 1
    assert run(photo, "--aspect", "1:1", "--resume")[0] == 0
    assert opened(crop).size == (200, 200)


def test_resume_makes_what_is_missing_only(photo, run):
    photo.with_name("photo-1x1.jpg").write_bytes(b"mine")
    assert run(photo, "--aspect", "1:1", "2:3", "--resume")[0] == 0
    assert photo.with_name("photo-1x1.jpg").read_bytes() == b"mine"
    assert opened(photo.with_name("photo-2x3.jpg")).size == (133, 200)
    _, (line,), _ = run(photo, "--aspect", "1:1", "2:3", "--resume", "--json")
    assert json.loads(line) == {"schema": 1, "photo": str(photo), "status": "present"}


def test_two_photos_never_share_a_crop(tmp_path, run):
    first, second = save(tmp_path / "one" / "a.jpg"), save(tmp_path / "two" / "a.jpg")
    status, out, (line,) = run(first, second, "--output-dir", tmp_path / "crops")
    assert (status, len(out)) == (1, 1)
    assert "would both be" in line


def test_pattern_without_the_ratio_is_refused_for_several(photo, run):
    status, _, (line,) = run(photo, "--aspect", "1:1", "2:3", "--name", "{stem}-crop.{ext}")
    assert status == 1
    assert "put {aspect} in their names" in line


def test_crop_never_replaces_a_photo_of_the_run(tmp_path, run):
    photos = [save(tmp_path / "a.jpg"), save(tmp_path / "a-1x1.jpg")]
    before = photos[1].read_bytes()
    status, _, (line,) = run(*photos, "--overwrite")
    assert status == 1
    assert "would replace the photo" in line
    assert photos[1].read_bytes() == before


@pytest.mark.parametrize("workers", ["1", "3"])
def test_many_photos_are_reported_in_their_order(tmp_path, run, workers):
    photos = [save(tmp_path / f"{number}.jpg") for number in (5, 3, 9, 1, 7, 2, 8)]
    photos[2].write_text("no photo")
    status, out, err = run(*photos, "--json", "--workers", workers)
    reports = [json.loads(line) for line in out]
    assert [report["photo"] for report in reports] == [str(photo) for photo in photos]
    assert [report["status"] for report in reports].count("failed") == 1
    assert (status, len(err)) == (1, 1)


@pytest.mark.parametrize("option", ["--contact-sheet", "--rejects"])
def test_no_list_replaces_a_photo(photo, run, option):
    before = photo.read_bytes()
    status, out, (line,) = run(photo, option, photo, "--overwrite")
    assert (status, out) == (1, [])
    assert line.endswith(f"expected another file than a photo that is cropped, got {photo}")
    assert photo.read_bytes() == before


def test_contact_sheet_shows_every_photo(tmp_path, run):
    photos = [save(tmp_path / f"{number}.jpg") for number in range(3)]
    assert run(*photos, "--contact-sheet", tmp_path / "sheet.png")[0] == 0
    page = opened(tmp_path / "sheet.png")
    assert page.size == (3 * 252 + 12, 272 + 12)
    assert (np.asarray(page.convert("L")) > 200).any()


def test_overlay_is_written_beside_the_crops(photo, run):
    assert run(photo, "--overlay")[0] == 0
    assert "photo-overlay.png" in names(photo.parent)


def test_interrupted_run_leaves_whole_files_and_status_130(tmp_path, model):
    photos = tmp_path / "photos"
    first = save(photos / "first.jpg")
    noise = np.random.default_rng(0).integers(0, 256, size=(700, 1000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(first)
    for number in range(100):
        (photos / f"{number}.jpg").write_bytes(first.read_bytes())
    program = (
        "import signal, sys; from saliency.commands.crop import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # the caller may ignore it
        "sys.exit(main())"
    )
    command = [sys.executable, "-c", program, photos, "--output-dir", tmp_path / "crops"]
    running = subprocess.Popen(
        [*command, "--model", model], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert running.stdout is not None
    running.stdout.readline()  # the first crop is there
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert err.decode().splitlines()[-1] == "saliency crop: error: interrupted"
    crops = list((tmp_path / "crops").iterdir())
    assert 1 <= len(crops) < 101
    for crop in crops:
        assert opened(crop).size == (700, 700)


@pytest.mark.parametrize("option", ["--contact-sheet", "--rejects"])
def test_list_in_a_missing_folder_is_refused_before_any_photo(option, photo, run, tmp_path):
    status, out, (line,) = run(photo, option, tmp_path / "nowhere" / "list.jpg")
    assert (status, out) == (1, [])
    assert "there is no folder" in line
    assert not photo.with_name("photo-1x1.jpg").exists()
