import numpy as np
import pytest
from PIL import Image
from runtime_fixtures import dark_photo, write_model

import saliency
from saliency.crop_windows.choice import ChoiceOptions
from saliency.cropping.crop import crop
from saliency.errors import PhotoError
from saliency.prediction.predictor import Predictor

RIGHT = (240, 80, 300, 140)  # left, top, right, bottom of the bright part


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return Predictor(write_model(tmp_path_factory.mktemp("model") / "stand-in.onnx"), threads=1)


@pytest.fixture
def photo():
    return dark_photo(320, 240, bright=RIGHT)


def test_path_image_and_array_give_the_same_crop(predictor, photo, tmp_path):
    photo.save(tmp_path / "photo.png")
    kinds = (tmp_path / "photo.png", str(tmp_path / "photo.png"), photo, np.asarray(photo))
    first, *others = (crop(kind, "1:1", predictor=predictor) for kind in kinds)
    assert first.choice.window.x == 80
    for other in others:
        assert other.choice == first.choice
        np.testing.assert_array_equal(np.asarray(other.image), np.asarray(first.image))


def test_crop_holds_the_pixels_of_its_window(predictor, photo):
    done = crop(photo, "1:1", predictor=predictor)
    np.testing.assert_array_equal(np.asarray(done.image), np.asarray(photo)[:, 80:320])


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_image_keeps_its_mode(predictor, photo, mode):
    assert crop(photo.convert(mode), "1:1", predictor=predictor).image.mode == mode


def test_image_is_turned_upright(predictor, photo):
    stored = photo.transpose(Image.Transpose.ROTATE_90)  # shown again by orientation 6
    stored.getexif()[0x0112] = 6
    done = crop(stored, "1:1", predictor=predictor)
    assert (done.image.size, done.choice.window.x) == ((240, 240), 80)


def test_options_reach_the_choice(predictor, photo):
    skip = ChoiceOptions(min_gain=1.0, fallback="skip")
    done = crop(photo, "1:1", predictor=predictor, options=skip)
    assert (done.image, done.choice.outcome) == (None, "skipped")


def test_padded_crop_is_the_whole_photo_with_white_borders(predictor, photo):
    pad = ChoiceOptions(min_gain=1.0, fallback="pad")
    image = crop(photo, "1:1", predictor=predictor, options=pad).image
    assert image.size == (320, 320)
    assert image.getpixel((0, 0)) == (255, 255, 255)
    assert image.getpixel((0, 160)) == (10, 10, 10)


@pytest.mark.parametrize(
    "array", [np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4), np.uint8)]
)
def test_array_that_is_no_photo_is_refused(predictor, array):
    # TypeError comes from the types checked at run time, where they are switched on.
    with pytest.raises((ValueError, TypeError), match="photo"):
        crop(array, "1:1", predictor=predictor)


def test_missing_file_is_refused(predictor, tmp_path):
    with pytest.raises(PhotoError, match="cannot read"):
        crop(tmp_path / "none.jpg", "1:1", predictor=predictor)


def test_public_name_crops_with_the_shipped_model(photo):
    assert saliency.crop(photo, "1:1").image.size == (240, 240)
