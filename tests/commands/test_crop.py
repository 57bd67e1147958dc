import json

import numpy as np
import pytest
from PIL import Image
from runtime_fixtures import dark_photo, opened, write_model

from saliency.commands import crop as crop_command


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "stand-in.onnx")


@pytest.fixture
def photo(tmp_path):
    """A photo with something bright on its right."""
    path = tmp_path / "photo.jpg"
    dark_photo(640, 480, bright=(520, 200, 600, 280)).save(path, quality=95)
    return path


@pytest.fixture
def crop(model):
    """Run the command and return its exit status."""
    return lambda *arguments: crop_command.main(
        [*(str(one) for one in arguments), "--model", str(model), "--threads", "1"]
    )


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_one_photo_and_two_ratios_make_two_crops(crop, photo, tmp_path):
    out = tmp_path / "new" / "crops"
    assert crop(photo, "--aspect", "16:9", "1:1", "--output-dir", out) == 0
    assert names(out) == ["photo-16x9.jpg", "photo-1x1.jpg"]
    assert opened(out / "photo-16x9.jpg").size == (640, 360)


def test_crop_holds_what_is_bright(crop, photo, tmp_path):
    assert crop(photo, "--aspect", "1:2", "--output-dir", tmp_path / "out") == 0
    crop_pixels = np.asarray(opened(tmp_path / "out" / "photo-1x2.jpg"))
    assert (crop_pixels[..., 0] > 200).sum() == pytest.approx(80 * 80, rel=0.02)


def test_crop_lies_beside_the_photo_by_default(crop, photo):
    assert crop(photo) == 0
    assert names(photo.parent) == ["photo-1x1.jpg", "photo.jpg"]


@pytest.mark.parametrize(
    "order",
    [
        ["PHOTO", "--aspect", "16:9", "1:1"],
        ["--aspect", "16:9", "1:1", "PHOTO"],
        ["--aspect", "16:9", "--aspect", "1:1", "--", "PHOTO"],
        ["--aspect", "16:9", "--json", "PHOTO", "--aspect", "1:1"],
        ["--aspect", "16:9", "16x9", "1:1", "PHOTO"],
    ],
)
def test_photo_and_ratios_come_in_any_order(photo, order):
    arguments = [str(photo) if one == "PHOTO" else one for one in order]
    options = crop_command.parse_arguments(arguments)
    assert (options.photos, list(options.aspect)) == ([photo], ["16:9", "1:1"])


def test_json_tells_windows_shares_and_files(crop, photo, tmp_path, capsys):
    out = tmp_path / "out"
    assert crop(photo, "--aspect", "1:1", "--output-dir", out, "--json", "--overlay") == 0
    (line,) = capsys.readouterr().out.splitlines()
    report = json.loads(line)
    (window,) = report.pop("windows")
    assert report == {
        "schema": 1,
        "photo": str(photo),
        "status": "cropped",
        "width": 640,
        "height": 480,
        "content": {"x": 0, "y": 0, "width": 640, "height": 480},
        "overlay": str(out / "photo-overlay.png"),
        "timing_ms": None,
        "warnings": [],
        "faces": [],
    }
    assert window.pop("share") > 0.9
    assert window.pop("centre_share") < 0.8
    assert 0 <= window.pop("x") - 120 <= 40
    expected = {
        "aspect": "1:1",
        "outcome": "moved",
        "y": 0,
        "width": 480,
        "height": 480,
        "file": str(out / "photo-1x1.jpg"),
    }
    assert {name: window[name] for name in expected} == expected


def test_turned_photo_is_cropped_upright(crop, tmp_path, capsys):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise: the left of the file is the top
    dark_photo(640, 480, bright=(0, 100, 80, 180)).save(tmp_path / "photo.jpg", exif=exif)
    assert crop(tmp_path / "photo.jpg", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["width"], report["height"]) == (480, 640)
    assert report["windows"][0]["y"] < 20
    cropped = opened(tmp_path / "photo-1x1.jpg")
    assert (cropped.size, cropped.getexif()[0x0112]) == ((480, 480), 1)


def test_crop_is_shrunk_to_the_size_asked_for_and_windows_stay_in_photo_pixels(crop, photo, capsys):
    assert crop(photo, "--aspect", "4:3", "--max-size", "100", "--json") == 0
    assert opened(photo.with_name("photo-4x3.jpg")).size == (100, 75)
    window = json.loads(capsys.readouterr().out)["windows"][0]
    assert (window["width"], window["height"]) == (640, 480)


@pytest.mark.parametrize(("name", "suffix"), [("jpeg", "jpg"), ("png", "png"), ("webp", "webp")])
def test_format_can_be_chosen(crop, photo, name, suffix):
    assert crop(photo, "--format", name) == 0
    made = opened(photo.with_name(f"photo-1x1.{suffix}"))
    assert made.format == name.upper()


def test_suffix_of_the_photo_is_kept_when_it_says_the_format(crop, photo):
    photo.rename(photo.with_name("photo.JPEG"))
    assert crop(photo.with_name("photo.JPEG")) == 0
    assert names(photo.parent) == ["photo-1x1.JPEG", "photo.JPEG"]


def test_quality_makes_smaller_files(crop, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, size=(90, 90, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.jpg", quality=95)
    sizes = []
    for quality in (20, 90):
        assert crop(tmp_path / "photo.jpg", "--quality", quality, "--overwrite") == 0
        sizes.append((tmp_path / "photo-1x1.jpg").stat().st_size)
    assert sizes[0] < sizes[1] / 2


def test_one_photo_of_one_pixel_is_cropped(crop, tmp_path):
    Image.new("RGB", (1, 1)).save(tmp_path / "photo.png")
    assert crop(tmp_path / "photo.png", "--aspect", "16:9", "--overlay") == 0
    assert opened(tmp_path / "photo-16x9.png").size == (1, 1)


def test_any_ratio_and_the_best_of_several_make_a_crop_each(crop, photo, tmp_path, capsys):
    wanted = ["--aspect", "auto", "best-of", "1:1", "4:5", "16:9", "--json"]
    assert crop(photo, *wanted, "--output-dir", str(tmp_path / "out")) == 0
    report = json.loads(capsys.readouterr().out)
    assert [window["aspect"] for window in report["windows"]] == ["auto", "best-of"]
    for window in report["windows"]:
        with Image.open(window["file"]) as image:
            assert image.size == (window["width"], window["height"])
    best = report["windows"][1]
    ratios = [1, 4 / 5, 16 / 9]
    assert min(abs(best["width"] / best["height"] - ratio) for ratio in ratios) < 0.03


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--aspect", "best-of", "1:1"], "two ratios or more"),
        (["--aspect", "auto", "--zoom", "0.8"], "without --zoom"),
        (["--aspect", "auto", "--place", "left"], "without --zoom"),
    ],
)
def test_ratios_that_cannot_be_meant_are_refused(crop, photo, capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        crop(photo, *arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
