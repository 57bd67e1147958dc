"""What is written has no say in what is seen: one photo, the same windows in every way."""

import io
import json
import sys
from fractions import Fraction
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image
from runtime_fixtures import opened, write_model

from saliency import ChoiceOptions, Predictor, crop
from saliency.commands.crop import main
from saliency.cropping.options import CropOptions
from saliency.cropping.photo_cropper import PhotoCropper

ASPECTS = ("1:1", "9:16", "16:9", "4:5")
PLACE = ("x", "y", "width", "height", "share", "outcome")
WAYS = {
    "dry run": ("--dry-run",),
    "overlay": ("--overlay",),
    "contact sheet": ("--contact-sheet", "{folder}/sheet.jpg"),
    "longest side": ("--max-size", "120"),
    "half size": ("--scale", "0.5"),
    "enlarged": ("--scale", "1.5"),
    "thumbnail": ("--size", "64x64"),
    "another format": ("--format", "png"),
    "without metadata": ("--strip",),
}


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A model, and photos whose windows depend on fine detail: grain with a bright spot."""
    folder = tmp_path_factory.mktemp("given")
    random = np.random.default_rng(0)
    photos = []
    for number, (width, height) in enumerate([(800, 600), (1201, 903), (640, 1100), (2000, 1500)]):
        grain = random.integers(0, 255, (height // 5 + 1, width // 5 + 1, 3), np.uint8)
        pixels = cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC)
        cv2.circle(pixels, (width // 3, height // 4), 60, (255, 255, 255), -1)
        photos.append(folder / f"{number}.jpg")
        Image.fromarray(pixels).save(photos[-1], quality=90)
    return write_model(folder / "model.onnx"), photos


def windows(capsys, model, photos, *options):
    """Return what `saliency crop --json` prints of each photo's windows."""
    more = ["--aspect", *ASPECTS, "--json", "--model", str(model), "--overwrite"]
    assert main([*map(str, photos), *more, *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    return [places(json.loads(line)) for line in lines]


def places(shown):
    return [{key: window[key] for key in PLACE} for window in shown["windows"]]


@pytest.mark.parametrize("way", WAYS)
def test_windows_do_not_depend_on_what_is_written(given, way, tmp_path, capsys):
    model, photos = given
    full = windows(capsys, model, photos, "--output-dir", str(tmp_path / "full"))
    options = [option.format(folder=tmp_path) for option in WAYS[way]]
    other = windows(capsys, model, photos, "--output-dir", str(tmp_path / "other"), *options)
    assert other == full


def test_python_and_standard_input_have_the_windows_of_the_command(
    given, tmp_path, capsys, monkeypatch
):
    model, photos = given
    full = windows(capsys, model, photos, "--output-dir", str(tmp_path))
    for photo, of_command in zip(photos, full, strict=True):
        predictor = Predictor(model)
        for aspect, expected in zip(ASPECTS, of_command, strict=True):
            choice = crop(photo, aspect, predictor=predictor).choice
            assert {key: choice.to_json()[key] for key in PLACE} == expected
        stream = SimpleNamespace(buffer=io.BytesIO(photo.read_bytes()))
        monkeypatch.setattr(sys, "stdin", stream)
        assert main(["-", "--aspect", "4:5", "--json", "--dry-run", "--model", str(model)]) == 0
        assert places(json.loads(capsys.readouterr().out)) == [of_command[ASPECTS.index("4:5")]]


def test_lossless_moves_the_same_windows_to_the_nearest_blocks(given, tmp_path, capsys):
    model, photos = given
    full = windows(capsys, model, photos, "--output-dir", str(tmp_path / "full"))
    lossless = windows(
        capsys, model, photos, "--output-dir", str(tmp_path / "lossless"), "--lossless"
    )
    for before, after in zip(full, lossless, strict=True):
        for one, other in zip(before, after, strict=True):
            assert (one["width"], one["height"]) == (other["width"], other["height"])
            assert max(abs(one["x"] - other["x"]), abs(one["y"] - other["y"])) <= 16


def test_crop_of_a_large_photo_has_its_full_resolution(given):
    model, photos = given
    found = crop(photos[3], "1:1", options=ChoiceOptions(), predictor=Predictor(model))
    assert found.image.size == (1500, 1500)
    window = found.choice.window
    whole = opened(photos[3])
    np.testing.assert_array_equal(np.asarray(found.image), np.asarray(whole.crop(window.box)))


def test_decoding_ahead_changes_no_byte_of_a_crop(given):
    model, photos = given
    options = CropOptions(aspects={"1:1": Fraction(1)})
    data = photos[3].read_bytes()
    crops = []
    for decode_ahead in (False, True):
        cropper = PhotoCropper(Predictor(model), options)
        seen = cropper.look(data, photos[3], decode_ahead=decode_ahead)
        assert (seen.whole is not None) == decode_ahead
        (choice,) = cropper.choose(seen)
        crops.append(cropper.cutter(seen, (choice,)).cut(choice))
    assert crops[0] == crops[1]
