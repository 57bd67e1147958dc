from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from saliency.crop_file import make_crop
from saliency.image import load_photo
from saliency.window import Window

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def deep_pixels(channels):
    return np.random.default_rng(0).integers(0, 65536, size=(16, 24, channels), dtype=np.uint16)


def save(path, pixels, orientation=1):
    """Write a 16-bit PNG with profile and EXIF: its chunks moved over from one by Pillow."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Camera", orientation
    carrier = BytesIO()
    Image.new("RGB", (1, 1)).save(carrier, "png", exif=exif, icc_profile=PROFILE)
    carried = carrier.getvalue()
    chunks = b"".join(
        carried[start - 4 : start + 8 + int.from_bytes(carried[start - 4 : start])]
        for start in (carried.index(b"iCCP"), carried.index(b"eXIf"))
    )
    deep = cv2.imencode(".png", pixels)[1].tobytes()
    path.write_bytes(deep[:33] + chunks + deep[33:])
    return load_photo(path)


def decode(data):
    return cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize("channels", [3, 4])
def test_crop_of_a_deep_png_has_the_very_pixels(tmp_path, channels):
    pixels = deep_pixels(channels)
    photo = save(tmp_path / "photo.png", pixels)
    data = make_crop(photo, Window(3, 2, 20, 10), as_format="png", quality=92)
    np.testing.assert_array_equal(decode(data), pixels[2:12, 3:23])


@pytest.mark.parametrize("orientation", range(1, 10))
def test_deep_png_is_turned_as_pillow_turns_it(tmp_path, orientation):
    photo = save(tmp_path / "photo.png", deep_pixels(3), orientation)
    np.testing.assert_array_equal(photo.deep[..., ::-1] >> 8, np.asarray(photo.image))


def test_crop_of_a_deep_png_keeps_profile_and_exif(tmp_path):
    photo = save(tmp_path / "photo.png", deep_pixels(3), 6)
    data = make_crop(photo, Window(0, 0, 16, 16), as_format="png", quality=92)
    with Image.open(BytesIO(data)) as crop:
        exif = crop.getexif()
        assert crop.info["icc_profile"] == PROFILE
        assert (exif[0x010F], exif[0x0112]) == ("Camera", 1)


def test_shrunk_crop_of_a_deep_png_averages_areas(tmp_path):
    pixels = deep_pixels(3)
    photo = save(tmp_path / "photo.png", pixels)
    data = make_crop(photo, Window(0, 0, 24, 16), as_format="png", quality=92, max_size=12)
    means = pixels.reshape(8, 2, 12, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(decode(data), means, atol=0.51)  # rounding


def test_deep_png_becomes_eight_bits_where_the_format_has_no_more(tmp_path):
    photo = save(tmp_path / "photo.png", deep_pixels(3))
    data = make_crop(photo, Window(0, 0, 24, 16), as_format="webp", quality=92)
    with Image.open(BytesIO(data)) as crop:
        assert (crop.mode, crop.size) == ("RGB", (24, 16))


def test_other_pngs_are_not_deep(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "photo.png")
    assert load_photo(tmp_path / "photo.png").deep is None
