"""Metadata that is damaged in any way costs itself at most, never the crop."""

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from runtime_fixtures import crop_bytes, quarters

from saliency.geometry import Window
from saliency.photo.reading import decode_photo

KINDS = ("exif", "xmp", "icc_profile")
FORMATS = ("jpeg", "png", "webp", "tiff")
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
    b'dc:format="a" tiff:ImageWidth="48"/></rdf:RDF></x:xmpmeta>'
)


def sound(kind):
    """Return metadata of a kind that nothing is wrong with."""
    if kind == "xmp":
        return XMP
    if kind == "icc_profile":
        return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x013B], exif[0x0100] = "Camera", 6, "Eve", 48
    exif.get_ifd(0x8769).update({0x9003: "2026:01:01 00:00:00", 0xA002: 48, 0x9214: (1, 2)})
    exif.get_ifd(0x8825).update({1: "N", 2: (1.0, 2.0, 3.0)})
    return exif.tobytes()


def mutated(data, rng):
    """Return bytes with some changed, a part taken out, doubled, or the end missing."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        start, length = int(rng.integers(6, len(changed) + 6)), int(rng.integers(1, 9))
        what = rng.integers(4)
        if what == 0:
            changed[start : start + length] = rng.bytes(len(changed[start : start + length]))
        elif what == 1:
            del changed[start : start + length]
        elif what == 2:
            changed[start:start] = changed[start : start + length]
        else:
            del changed[max(start, 9) :]
    return bytes(changed)


@pytest.mark.parametrize("as_format", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_mutated_metadata_costs_itself_at_most(kind, as_format, pytestconfig):
    count = 2 * pytestconfig.getoption("mutated_files") // (len(KINDS) * len(FORMATS))
    rng = np.random.default_rng(KINDS.index(kind) * len(FORMATS) + FORMATS.index(as_format))
    for _ in range(count):
        parts = {"exif": sound("exif"), "icc_profile": sound("icc_profile"), "xmp": XMP}
        parts[kind] = mutated(parts[kind], rng)
        buffer = BytesIO()
        quarters().save(buffer, "jpeg", **parts)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            photo = decode_photo(buffer.getvalue(), Path("photo.jpg"))
            data = crop_bytes(photo, Window(2, 3, 20, 12), as_format)
            with Image.open(BytesIO(data)) as crop:
                crop.load()
                assert crop.size == (20, 12)
                if kind != "exif":
                    assert crop.getexif()[0x013B] == "Eve"
                if kind != "xmp":
                    assert b'dc:format="a"' in crop.info["xmp"]
