import base64
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps
from runtime_fixtures import crop_bytes

from saliency.cropping.options import Output
from saliency.geometry import Window
from saliency.photo.formats import Encoding
from saliency.photo.metadata.file_metadata import Metadata
from saliency.photo.reading import load_photo
from saliency.photo.sixteen_bit import bits_per_channel, encode_sixteen_bit_png
from saliency.photo.tiff import encode_tiff
from saliency.photo.writing import encode, losses

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


# 96x64 pixels of 12 bits, lossy; no library of the tests writes such a file.
TWELVE_BIT_AVIF = base64.b64decode(
    "AAAAHGZ0eXBhdmlmAAAAAG1pZjFhdmlmbWlhZgAAARdtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAA"
    "AAAAAAAAAAAAADRpbG9jAAAAAERAAAIAAQAAAAABOwABAAAAAAAAAGYAAgAAAAABoQABAAAAAAAAAL4AAAA4aWlu"
    "ZgAAAAAAAgAAABVpbmZlAgAAAAABAABhdjAxAAAAABVpbmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAAA"
    "VmlwcnAAAAA4aXBjbwAAAAxhdjFDgUBsAAAAABRpc3BlAAAAAAAAAGAAAABAAAAAEHBpeGkAAAAAAwwMDAAAABZp"
    "cG1hAAAAAAAAAAEAAQOBAgMAAAAaaXJlZgAAAAAAAAAOY2RzYwACAAEAAQAAASxtZGF0EgAKClgZb/7WgIaDcIAy"
    "VhSjw8MQwEEEA0OAAJfE4M9uHp+Tu2rg7fM0Oai/+J9KXY9uzofYGGNkKUI+J/zNuJxRE9vhiRPFYbBg5H/1AHPL"
    "nt9rssSYp1jaa5obyj3ntmT7TGD8AAAABkV4aWYAAElJKgAIAAAABgASAQMAAQAAAAEAAAAaAQUAAQAAAFYAAAAb"
    "AQUAAQAAAF4AAAAoAQMAAQAAAAIAAAATAgMAAQAAAAEAAABphwQAAQAAAGYAAAAAAAAAOGMAAOgDAAA4YwAA6AMA"
    "AAYAAJAHAAQAAAAwMjEwAZEHAAQAAAABAgMAAKAHAAQAAAAwMTAwAaADAAEAAAD//wAAAqAEAAEAAABgAAAAA6AE"
    "AAEAAABAAAAAAAAAAA=="
)


@pytest.fixture
def pillow_heif():
    return pytest.importorskip("pillow_heif", reason="the extra heic")


def write_ten_bit_heic(path, pillow_heif, mode="RGB;16"):
    """Write a HEIC of 10 bits without loss; return its pixels, of 16."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 1024, size=(64, 96, len(mode) - 3), dtype=np.uint16) << 6
    lossless = {"quality": -1, "chroma": "444", "matrix_coefficients": 0}
    with path.open("wb") as file:
        pillow_heif.encode(mode, (96, 64), pixels.tobytes(), file, **lossless)
    return pixels


@pytest.mark.parametrize("mode", ["RGB;16", "RGBA;16"])
@pytest.mark.parametrize("as_format", ["png", "tiff"])
def test_ten_bits_of_a_heic_are_kept(pillow_heif, tmp_path, mode, as_format):
    pixels = write_ten_bit_heic(tmp_path / "photo.heic", pillow_heif, mode)
    photo = load_photo(tmp_path / "photo.heic")
    assert photo.depth == 10
    crop = crop_bytes(photo, Window(8, 4, 40, 40), as_format)
    np.testing.assert_array_equal(decode(crop), pixels[4:44, 8:48])


def test_heic_crop_of_ten_bits_has_ten_bits_and_its_metadata(pillow_heif):
    ramp = np.linspace(0, 65472, 96).astype(np.uint16)[None, :, None] * np.ones(3, np.uint16)
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    metadata = Metadata(exif=exif.tobytes(), icc_profile=PROFILE, xmp=b"<x/>")
    data = encode(np.repeat(ramp, 64, axis=0), metadata, "heic", Encoding(quality=95))
    found = pillow_heif.open_heif(BytesIO(data), convert_hdr_to_8bit=False)
    assert found.info["bit_depth"] == 10
    assert found.info["exif"] == metadata.exif
    assert (found.info["icc_profile"], found.info["xmp"]) == (PROFILE, b"<x/>")
    assert abs(np.asarray(found).astype(int) - ramp).mean() < 200  # of 65,535; 8 bits step by 257


def losses_of(photo, as_format):
    return losses(photo.metadata, photo.pixels, as_format, depth=photo.depth)


def test_bits_that_a_crop_loses_are_named(pillow_heif, tmp_path):
    write_ten_bit_heic(tmp_path / "photo.heic", pillow_heif)
    heic = load_photo(tmp_path / "photo.heic")
    assert losses_of(heic, "heic") == losses_of(heic, "png") == []
    assert losses_of(heic, "jpeg") == ["not kept: 2 of its 10 bits per channel"]
    png = save(tmp_path / "deep.png", "png", deep_pixels(3))
    assert losses_of(png, "tiff") == []
    assert losses_of(png, "webp") == ["not kept: 8 of its 16 bits per channel"]


def test_avif_is_read_with_eight_bits_and_the_rest_is_named(tmp_path):
    (tmp_path / "photo.avif").write_bytes(TWELVE_BIT_AVIF)
    photo = load_photo(tmp_path / "photo.avif")
    assert photo.depth == 12
    assert losses_of(photo, "avif") == ["not kept: 4 of its 12 bits per channel"]


@pytest.mark.parametrize(("more", "bits"), [(0x60, 12), (0x40, 10), (0, 8)])
def test_bits_of_an_avif_are_those_of_its_configuration(more, bits):
    at = TWELVE_BIT_AVIF.index(b"av1C") + 6
    flags = TWELVE_BIT_AVIF[at] & ~0x60 | more
    data = TWELVE_BIT_AVIF[:at] + bytes([flags]) + TWELVE_BIT_AVIF[at + 1 :]
    assert bits_per_channel(data, Image.open(BytesIO(TWELVE_BIT_AVIF))) == bits
