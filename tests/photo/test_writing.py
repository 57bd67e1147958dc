from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms
from runtime_fixtures import quarters

from saliency.photo.formats import Encoding
from saliency.photo.metadata.file_metadata import Metadata
from saliency.photo.writing import encode, fit_mode

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def decoded(data):
    image = Image.open(BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(
    ("subsampling", "has_reduced_chroma", "sampling"),
    [
        (None, False, (1, 1)),
        (None, True, (2, 2)),
        ("4:4:4", True, (1, 1)),
        ("4:2:2", False, (2, 1)),
        ("4:2:0", False, (2, 2)),
    ],
)
def test_jpeg_samples_colours_as_asked_for_or_as_the_photo_does(
    subsampling, has_reduced_chroma, sampling, progressive
):
    encoding = Encoding(subsampling=subsampling, progressive=progressive)
    pixels = np.asarray(quarters())
    data = encode(pixels, Metadata(), "jpeg", encoding, has_reduced_chroma=has_reduced_chroma)
    image = decoded(data)
    assert image.layer[0][1:3] == sampling
    assert ("progression" in image.info) == progressive


@pytest.mark.parametrize("as_format", ["jpeg", "webp", "avif"])
def test_higher_quality_takes_more_bytes(as_format):
    noise = np.random.default_rng(0).integers(0, 256, size=(48, 48, 3), dtype=np.uint8)
    small, large = (
        len(encode(noise, Metadata(), as_format, Encoding(quality=quality))) for quality in (40, 95)
    )
    assert small < large


def test_lossless_webp_has_the_very_pixels():
    noise = np.random.default_rng(0).integers(0, 256, size=(24, 24, 3), dtype=np.uint8)
    data = encode(noise, Metadata(), "webp", Encoding(lossless=True))
    np.testing.assert_array_equal(decoded(data), noise)


def test_sixteen_bits_stay_in_png_and_are_halved_elsewhere():
    deep = np.full((8, 8, 3), 0x80FF, dtype=np.uint16)
    assert encode(deep, Metadata(), "png", Encoding())[24] == 16  # bits per channel
    webp = decoded(encode(deep, Metadata(), "webp", Encoding(lossless=True)))
    assert set(np.unique(webp)) == {0x80}


@pytest.mark.parametrize(
    ("mode", "as_format", "fitted"),
    [
        ("RGBA", "jpeg", "RGB"),
        ("P", "jpeg", "RGB"),
        ("LA", "webp", "RGBA"),
        ("CMYK", "png", "RGB"),
        ("CMYK", "tiff", "CMYK"),
        ("L", "avif", "RGB"),
        ("1", "gif", "1"),
    ],
)
def test_image_gets_a_mode_that_the_format_has(mode, as_format, fitted):
    image, _ = fit_mode(quarters().convert(mode), None, as_format, Encoding())
    assert image.mode == fitted


def test_transparent_parts_get_the_background_in_jpeg():
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    image, _ = fit_mode(clear, None, "jpeg", Encoding(background="#102030"))
    assert image.getpixel((0, 0)) == (0x10, 0x20, 0x30)


def test_profile_goes_where_the_colours_have_become_srgb():
    assert fit_mode(quarters(), PROFILE, "png", Encoding())[1] == PROFILE
    assert fit_mode(quarters(), PROFILE, "gif", Encoding())[1] is None
    assert fit_mode(quarters().convert("L"), PROFILE, "webp", Encoding())[1] is None
