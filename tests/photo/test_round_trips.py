"""Whatever format, mode, orientation and metadata: a lossless crop is the photo's own pixels."""

from io import BytesIO
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from runtime_fixtures import crop_bytes

from saliency.geometry import Window
from saliency.photo.formats import crop_format
from saliency.photo.reading import decode_photo

SIZE = (24, 16)
MODES = {
    "png": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "tiff": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"),
    "webp": ("RGB", "RGBA"),
    "gif": ("P",),
}
ARTIST, COPYRIGHT, ORIENTATION = 0x013B, 0x8298, 0x0112
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="%s"/></rdf:RDF></x:xmpmeta>'
)
FORMAT_AND_MODE = st.sampled_from([(name, mode) for name in MODES for mode in MODES[name]])
WINDOWS = st.builds(
    lambda x, y, width, height: Window(x, y, min(width, 16 - x), min(height, 16 - y)),
    st.integers(0, 15),
    st.integers(0, 15),
    st.integers(1, 16),
    st.integers(1, 16),
)
TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x17F), min_size=1, max_size=20)
TESTS = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


def picture(mode, seed):
    """Return an image of chance values, with a hidden colour where it is transparent."""
    rng = np.random.default_rng(seed)
    if mode == "I;16":
        return Image.fromarray(rng.integers(0, 65536, SIZE[::-1], dtype=np.uint16))
    if mode == "1":
        return Image.fromarray(rng.integers(0, 2, SIZE[::-1], dtype=np.uint8) * 255).convert("1")
    if mode == "P":
        image = Image.fromarray(rng.integers(0, 200, SIZE[::-1], dtype=np.uint8), "L").convert("P")
        image.putpalette(rng.integers(0, 256, 600, dtype=np.uint8).tobytes())
        return image
    channels = {"L": (), "LA": (2,), "RGB": (3,), "RGBA": (4,), "CMYK": (4,)}[mode]
    values = rng.integers(0, 256, (*SIZE[::-1], *channels), dtype=np.uint8)
    if mode in ("LA", "RGBA"):
        values[:4, :, -1] = 0
    return Image.frombytes(mode, SIZE, values.tobytes())


def saved(image, name, *, orientation=1, artist=b"", xmp=b""):
    """Return an image as the bytes of a file, with metadata where the format has room for it."""
    options = {"lossless": True, "exact": True} if name == "webp" else {}
    exif = Image.Exif()
    if orientation != 1:
        exif[ORIENTATION] = orientation
    if artist:
        exif[ARTIST] = artist
    if name == "tiff":
        options["tiffinfo"] = dict(exif.items())
    elif name != "gif" and exif:
        options["exif"] = exif
    if xmp and name == "webp":
        options["xmp"] = xmp
    buffer = BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def colours(image):
    """Return the values of an image; those of a palette as the colours that they stand for."""
    return np.asarray(image.convert("RGB") if image.mode == "P" else image)


@TESTS
@given(FORMAT_AND_MODE, WINDOWS, st.integers(1, 8), st.integers(0, 1000))
def test_pixels_of_a_lossless_crop_are_the_photos(kind, window, orientation, seed):
    name, mode = kind
    orientation = 1 if name == "gif" else orientation
    data = saved(picture(mode, seed), name, orientation=orientation)
    shown = ImageOps.exif_transpose(Image.open(BytesIO(data)))
    photo = decode_photo(data, Path(f"photo.{name}"))
    assert photo.size == shown.size
    crop = Image.open(BytesIO(crop_bytes(photo, window, crop_format(photo.format))))
    assert crop.mode == shown.mode
    assert crop.getexif().get(ORIENTATION, 1) == 1
    np.testing.assert_array_equal(colours(crop), colours(shown.crop(window.box)))


@TESTS
@given(
    st.sampled_from(["png", "tiff", "webp", "jpeg", "avif"]),
    st.sampled_from(["png", "tiff", "webp", "jpeg", "avif"]),
    TEXTS,
    st.sampled_from(["utf-8", "utf-16", "latin-1"]),
    st.integers(1, 8),
)
def test_names_keep_their_bytes_in_every_format(name, as_format, text, encoding, orientation):
    artist = text.encode(encoding, "replace").replace(b"\0", b" ")
    data = saved(picture("RGB", 0), name, orientation=orientation, artist=artist)
    photo = decode_photo(data, Path(f"photo.{name}"))
    crop = Image.open(BytesIO(crop_bytes(photo, Window(1, 1, 12, 9), as_format)))
    found = crop.getexif()[ARTIST]
    found = found.encode("latin-1") if isinstance(found, str) else found
    assert found.rstrip(b"\0") == artist.rstrip(b"\0")


@TESTS
@given(TEXTS.filter(str.isalnum))
def test_xmp_keeps_what_it_says(text):
    packet = XMP % text.encode()
    data = saved(picture("RGB", 0), "webp", xmp=packet)
    photo = decode_photo(data, Path("photo.webp"))
    crop = Image.open(BytesIO(crop_bytes(photo, Window(1, 1, 12, 9), "webp")))
    assert f'dc:format="{text}"'.encode() in crop.info["xmp"]
