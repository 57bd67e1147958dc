"""`saliency crop` on photos with a border around the picture, with the shipped model."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from runtime_fixtures import opened

from saliency import ChoiceOptions, crop
from saliency.commands.crop import main

PHOTO = Path(__file__).parents[2] / "data" / "photos" / "rocket.jpg"
BORDER = (40, 20, 0, 31)
"""Widths on the left, above, on the right and below."""


@pytest.fixture(scope="module")
def picture():
    return Image.fromarray(np.asarray(opened(PHOTO)))


@pytest.fixture
def run(capfd):
    def run(*arguments):
        """Run the command; return the one line that it prints as JSON."""
        assert main([*map(str, arguments), "--json"]) == 0
        (line,) = capfd.readouterr().out.splitlines()
        return json.loads(line)

    return run


def framed(picture, path, fill="black", **options):
    ImageOps.expand(picture, BORDER, fill=fill).save(path, **options)
    return path


def boxes(report):
    return [[one[key] for key in ("x", "y", "width", "height")] for one in report["windows"]]


@pytest.mark.parametrize("fill", ["black", "white"])
def test_same_picture_gets_the_same_crops_whatever_the_border(picture, run, tmp_path, fill):
    picture.save(tmp_path / "plain.png")
    aspects = ("--aspect", "16:9", "1:1", "9:16")
    plain = run(tmp_path / "plain.png", *aspects)
    found = run(framed(picture, tmp_path / "framed.png", fill), *aspects)
    width, height = picture.size
    assert plain["content"] == {"x": 0, "y": 0, "width": width, "height": height}
    assert found["content"] == {"x": BORDER[0], "y": BORDER[1], "width": width, "height": height}
    assert boxes(found) == [[x + BORDER[0], y + BORDER[1], *size] for x, y, *size in boxes(plain)]
    for name in ("16x9", "1x1", "9x16"):
        crops = [
            np.asarray(opened(tmp_path / f"{kind}-{name}.png")) for kind in ("plain", "framed")
        ]
        np.testing.assert_array_equal(*crops)


def test_borders_are_kept_on_request(picture, run, tmp_path):
    photo = framed(picture, tmp_path / "photo.png")
    report = run(photo, "--aspect", "671:478", "--keep-borders")
    assert report["content"] == {"x": 0, "y": 0, "width": report["width"], "height": 478}
    np.testing.assert_array_equal(np.asarray(opened(tmp_path / "photo-671x478.png"))[:20], 0)


def test_small_crop_of_a_large_photo_has_nothing_of_the_border(picture, run, tmp_path):
    large = picture.resize((2560, 1708))
    photo = framed(large, tmp_path / "photo.jpg", "white", quality=90)
    report = run(photo, "--size", "160x90")
    assert report["content"]["x"] == pytest.approx(BORDER[0], abs=2)
    crop = np.asarray(opened(tmp_path / "photo-160x90.jpg")).astype(int)
    for line in (crop[0], crop[-1], crop[:, 0], crop[:, -1]):
        assert (line.min(axis=1) < 230).mean() > 0.9


def test_padded_crop_is_of_the_picture(picture, run, tmp_path):
    photo = framed(picture, tmp_path / "photo.png")
    report = run(photo, "--aspect", "1:1", "--fallback", "pad", "--min-gain", "1")
    (window,) = report["windows"]
    assert (window["x"], window["y"], window["width"]) == (BORDER[0], BORDER[1], picture.width)
    assert opened(tmp_path / "photo-1x1.png").size == (picture.width, picture.width)


def test_lossless_crop_shows_less_than_a_block_of_the_border(picture, run, tmp_path):
    photo = framed(picture, tmp_path / "photo.jpg", quality=90)
    (x, y, width, height), *_ = boxes(run(photo, "--aspect", "1:1", "--lossless"))
    assert x % 16 == y % 16 == 0
    assert abs(y - BORDER[1]) < 16
    assert (width, height) == pytest.approx((picture.height, picture.height), abs=2)


def test_overlay_and_contact_sheet_show_the_whole_photo(picture, run, tmp_path):
    photo = framed(picture, tmp_path / "photo.png", "white")
    run(photo, "--overlay", "--contact-sheet", tmp_path / "sheet.png")
    overlay = np.asarray(opened(tmp_path / "photo-overlay.png"))[:478].astype(int)
    border, inside = overlay[:15].mean(axis=(1, 2)), overlay[60:440].mean(axis=(1, 2))
    assert border.min() > inside.max()
    sheet = np.asarray(opened(tmp_path / "sheet.png"))
    assert (sheet.min(axis=2) > 250).sum() + (sheet == int(255 * 0.45)).all(axis=2).sum() > 1000


def test_frames_of_an_animation_keep_their_border(picture, run, tmp_path):
    frames = [ImageOps.expand(one, 9) for one in (picture, ImageOps.mirror(picture))]
    frames[0].save(tmp_path / "photo.webp", save_all=True, append_images=frames[1:])
    report = run(tmp_path / "photo.webp", "--dry-run")
    assert report["content"]["width"] == report["width"] == picture.width + 18


def test_box_in_the_border_names_the_remedy(picture, tmp_path, capfd):
    photo = framed(picture, tmp_path / "photo.png")
    assert main([str(photo), "--avoid", "0,0,30,478", "--dry-run"]) == 0
    assert main([str(photo), "--keep", "0,0,30,478", "--dry-run"]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert str(photo) in line
    assert "--keep-borders" in line
    assert main([str(photo), "--keep", "0,0,30,478", "--dry-run", "--keep-borders"]) == 0


def test_in_memory_crop_is_the_same(picture):
    photo = ImageOps.expand(picture, BORDER)
    done, plain = crop(photo, "9:16"), crop(picture, "9:16")
    np.testing.assert_array_equal(np.asarray(done.image), np.asarray(plain.image))
    assert done.choice.window == plain.choice.window.moved(BORDER[0], BORDER[1])
    kept = crop(photo, "9:16", options=ChoiceOptions(keep_borders=True))
    assert kept.image.height == picture.height + BORDER[1] + BORDER[3]


def test_box_that_reaches_into_the_border_is_not_cut_in_silence(picture, tmp_path, capfd):
    photo = framed(picture, tmp_path / "photo.png")
    left = f"{BORDER[0] - 5},{BORDER[1] + 20},40,40"
    assert main([str(photo), "--keep", left, "--dry-run"]) == 1
    assert "--keep-borders" in capfd.readouterr().err
    inside = f"{BORDER[0]},{BORDER[1] + 20},40,40"
    assert main([str(photo), "--keep", inside, "--dry-run"]) == 0
