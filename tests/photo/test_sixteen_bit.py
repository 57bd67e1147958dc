from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps
from runtime_fixtures import crop_bytes

from saliency.cropping.options import Output
from saliency.geometry import Window
from saliency.photo.metadata.file_metadata import Metadata
from saliency.photo.reading import load_photo
from saliency.photo.sixteen_bit import encode_sixteen_bit_png
from saliency.photo.tiff import encode_tiff

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
WRITERS = {"png": encode_sixteen_bit_png, "tiff": encode_tiff}
FORMATS = pytest.mark.parametrize("name", WRITERS)


def deep_pixels(channels):
    return np.random.default_rng(0).integers(0, 65536, size=(16, 24, channels), dtype=np.uint16)


def save(path, name, pixels, orientation=1):
    """Write a 16-bit file with profile and EXIF, and load it."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Camera", orientation
    metadata = Metadata(exif=exif.tobytes(), icc_profile=PROFILE, dpi=(300.0, 300.0), xmp=b"<x/>")
    path.write_bytes(WRITERS[name](pixels, metadata))
    return load_photo(path)


def decode(data):
    """Return what OpenCV makes of a file, red first."""
    pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    return cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB)


@FORMATS
@pytest.mark.parametrize("channels", [3, 4])
def test_crop_of_a_deep_photo_has_the_very_pixels(tmp_path, name, channels):
    pixels = deep_pixels(channels)
    photo = save(tmp_path / "photo", name, pixels)
    data = crop_bytes(photo, Window(3, 2, 20, 10), name)
    np.testing.assert_array_equal(decode(data), pixels[2:12, 3:23])


@FORMATS
@pytest.mark.parametrize("orientation", range(1, 10))
def test_deep_photo_is_turned_as_pillow_turns_it(tmp_path, name, orientation):
    photo = save(tmp_path / "photo", name, deep_pixels(3), orientation)
    with Image.open(tmp_path / "photo") as image:
        seen = ImageOps.exif_transpose(image)
    np.testing.assert_array_equal(photo.pixels >> 8, np.asarray(seen))
    assert photo.size == photo.pixels.shape[1::-1]


@FORMATS
def test_crop_of_a_deep_photo_keeps_what_it_carried(tmp_path, name):
    photo = save(tmp_path / "photo", name, deep_pixels(3), 6)
    data = crop_bytes(photo, Window(0, 0, 16, 16), name)
    with Image.open(BytesIO(data)) as crop:
        exif = crop.getexif()
        assert (exif[0x010F], exif[0x0112]) == ("Camera", 1)
        crop.load()
        assert crop.info["icc_profile"] == PROFILE
        assert crop.info["dpi"] == pytest.approx((300, 300), rel=1e-4)
        assert b"<x/>" in crop.info["xmp"]


@FORMATS
def test_shrunk_crop_of_a_deep_photo_averages_areas(tmp_path, name):
    pixels = deep_pixels(3)
    photo = save(tmp_path / "photo", name, pixels)
    data = crop_bytes(photo, Window(0, 0, 24, 16), name, output=Output(max_size=6))
    means = pixels.reshape(4, 4, 6, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(decode(data), means, atol=1)  # rounding


def test_deep_png_becomes_a_deep_tiff(tmp_path):
    pixels = deep_pixels(3)
    photo = save(tmp_path / "photo", "png", pixels)
    np.testing.assert_array_equal(decode(crop_bytes(photo, Window(0, 0, 24, 16), "tiff")), pixels)


def test_deep_png_becomes_eight_bits_where_the_format_has_no_more(tmp_path):
    photo = save(tmp_path / "photo", "png", deep_pixels(3))
    data = crop_bytes(photo, Window(0, 0, 24, 16), "webp")
    with Image.open(BytesIO(data)) as crop:
        assert (crop.mode, crop.size) == ("RGB", (24, 16))


def test_other_pngs_are_not_deep(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "photo.png")
    assert isinstance(load_photo(tmp_path / "photo.png").pixels, Image.Image)
