"""What a photo's frame is: found in its pixels, and doubted where people would look at a border."""

import numpy as np
import pytest
from PIL import Image, ImageOps
from runtime_fixtures import write_model

from saliency import ChoiceOptions, Predictor
from saliency.cropping.options import CropOptions
from saliency.cropping.photo_cropper import PhotoCropper
from saliency.geometry import Frame, Window
from saliency.photo.reading import photo_of_pixels

SIZE = (300, 200)


@pytest.fixture(scope="module")
def cropper(tmp_path_factory):
    """A cropper whose model expects fixations where a photo is bright."""
    path = write_model(tmp_path_factory.mktemp("model") / "model.onnx")
    options = CropOptions(aspects={}, choice=ChoiceOptions(faces="ignore"))
    return PhotoCropper(Predictor(path), options)


def framed(width, fill):
    """Return the frame's width beside a dark picture of grain, as a photo."""
    grain = np.random.default_rng(0).integers(30, 110, (SIZE[1], SIZE[0], 3), np.uint8)
    return photo_of_pixels(ImageOps.expand(Image.fromarray(grain), (width, 0), fill=fill), None)


def test_dark_bars_are_a_border(cropper):
    seen = cropper.look_at(framed(80, "black"))
    assert seen.frame == Frame((460, 200), Window(80, 0, *SIZE))


def test_bars_that_people_would_look_at_are_picture(cropper):
    seen = cropper.look_at(framed(80, "white"))
    assert seen.frame == Frame.whole((460, 200))
    assert seen.density[:, : seen.density.shape[1] // 6].mean() > seen.density.mean()


def test_narrow_bars_are_never_doubted(cropper):
    seen = cropper.look_at(framed(12, "white"))
    assert seen.frame.picture == Window(12, 0, *SIZE)


def test_windows_on_the_picture_and_on_the_photo_turn_into_each_other():
    frame = Frame((100, 80), Window(10, 20, 70, 50))
    assert frame.on_picture(Window(15, 25, 30, 30)) == Window(5, 5, 30, 30)
    assert frame.on_photo(Window(5, 5, 30, 30)) == Window(15, 25, 30, 30)
    assert frame.on_picture(Window(0, 0, 30, 30)) == Window(0, 0, 20, 10)
    assert frame.on_picture(Window(0, 0, 10, 20)) is None
    assert frame.has_border
    assert not Frame.whole((100, 80)).has_border
