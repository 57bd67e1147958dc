"""Colours that files state without an ICC profile, against LittleCMS and known conversions."""

import struct
import zlib
from contextlib import suppress
from io import BytesIO

import numpy as np
import piexif
import pytest
from PIL import Image, ImageCms
from runtime_fixtures import crop_bytes, dark_photo, quarters

from saliency.errors import PhotoError
from saliency.geometry import Window
from saliency.photo.reading import decode_photo, load_photo, read_photo
from saliency.photo.stated_colour import build_profile

WHOLE = Window(0, 0, 48, 32)
SRGB_PLACES = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
P3_PLACES = (0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)


def chunk(name, content):
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def png_with(path, image, **chunks):
    buffer = BytesIO()
    image.save(buffer, "png")
    data = buffer.getvalue()
    extra = b"".join(chunk(name.encode(), content) for name, content in chunks.items())
    path.write_bytes(data[:33] + extra + data[33:])
    return path


def gamma_chunk(value):
    return struct.pack(">I", round(value * 100_000))


def places_chunk(places):
    return struct.pack(">8I", *(round(value * 100_000) for value in places))


def test_built_profile_of_srgb_changes_no_colour():
    profile = build_profile(
        ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), (0.3127, 0.3290), gamma=None
    )
    values = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    opened = ImageCms.ImageCmsProfile(BytesIO(profile))
    shown = ImageCms.profileToProfile(
        Image.fromarray(values), opened, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert np.abs(np.asarray(shown).astype(int) - values).max() <= 1


def test_linear_png_is_seen_in_its_true_colours_and_keeps_its_chunk(tmp_path):
    image = Image.new("RGB", (48, 32), (55, 55, 55))  # 21.6 % of the light
    path = png_with(tmp_path / "photo.png", image, gAMA=gamma_chunk(1.0))
    assert np.abs(read_photo(path).astype(int) - 128).max() <= 1
    photo = load_photo(path)
    assert Image.open(BytesIO(crop_bytes(photo, WHOLE, "png"))).info["gamma"] == 1.0
    jpeg = tmp_path / "crop.jpg"
    jpeg.write_bytes(crop_bytes(photo, WHOLE, "jpeg"))
    assert np.abs(read_photo(jpeg).astype(int) - 128).max() <= 2


@pytest.mark.parametrize("gamma", [0.45455, 0.46])
def test_png_that_states_srgb_is_left_as_it_is(tmp_path, gamma):
    chunks = {"gAMA": gamma_chunk(gamma), "cHRM": places_chunk(SRGB_PLACES)}
    photo = load_photo(png_with(tmp_path / "photo.png", quarters(), **chunks))
    assert photo.metadata.icc_profile is None


@pytest.mark.parametrize(
    "chunks", [{"cHRM": places_chunk(P3_PLACES)}, {"cICP": bytes([12, 13, 0, 1])}]
)
def test_wide_png_is_seen_in_its_true_colours(tmp_path, chunks):
    image = Image.new("RGB", (48, 32), (200, 120, 80))
    shown = read_photo(png_with(tmp_path / "photo.png", image, **chunks))[0, 0]
    # Display P3 (200, 120, 80) in sRGB: through XYZ, computed apart.
    np.testing.assert_allclose(shown, (213, 115, 70), atol=2)


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_refused_in_one_line(tmp_path, transfer, name):
    path = png_with(tmp_path / "photo.png", quarters(), cICP=bytes([9, transfer, 0, 1]))
    with pytest.raises(PhotoError, match=rf"high dynamic range \({name}\)"):
        load_photo(path)


def test_damaged_statements_are_passed_over(tmp_path):
    for number, chunks in enumerate(
        ({"gAMA": b"\0\0\0\0"}, {"cHRM": bytes(32)}, {"gAMA": b"\0"}, {"cHRM": b"\1" * 31})
    ):
        path = png_with(tmp_path / f"{number}.png", quarters(), **chunks)
        with suppress(PhotoError):  # Pillow refuses some of them
            assert load_photo(path).metadata.icc_profile is None


def adobe_jpeg(space=0xFFFF, index=b"R03"):
    exif = piexif.dump(
        {
            "Exif": {piexif.ExifIFD.ColorSpace: space},
            "Interop": {piexif.InteropIFD.InteroperabilityIndex: index},
        }
    )
    buffer = BytesIO()
    Image.new("RGB", (48, 32), (100, 180, 60)).save(buffer, "jpeg", exif=exif, quality=95)
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # Pillow, of the directory that piexif writes
@pytest.mark.parametrize("stripped", [False, True])
def test_adobe_rgb_by_exif_alone_is_seen_and_written_as_such(tmp_path, stripped):
    photo = decode_photo(adobe_jpeg(), tmp_path / "photo.jpg")
    crop = tmp_path / "crop.jpg"
    crop.write_bytes(crop_bytes(photo, WHOLE, "jpeg", stripped=stripped))
    # Adobe RGB (100, 180, 60) in sRGB: red falls, as its green lies outside.
    shown = read_photo(crop)[16, 24]
    np.testing.assert_allclose(shown, (0, 181, 42), atol=4)


@pytest.mark.parametrize(("space", "index"), [(1, b"R98"), (0xFFFF, b"R98"), (0xFFFF, b"")])
def test_other_exif_states_no_adobe_rgb(tmp_path, space, index):
    photo = decode_photo(adobe_jpeg(space, index), tmp_path / "photo.jpg")
    assert photo.metadata.icc_profile is None


@pytest.mark.parametrize("suffix", ["avif", "heic"])
def test_code_points_of_heif_are_read(tmp_path, suffix):
    if suffix == "heic":
        pytest.importorskip("pillow_heif", reason="the extra heic").register_heif_opener()
    buffer = BytesIO()
    Image.new("RGB", (64, 64), (200, 120, 80)).save(buffer, "heif" if suffix == "heic" else suffix)
    data = buffer.getvalue()
    at = data.find(b"colrnclx")
    assert at > 0
    data = data[: at + 8] + struct.pack(">HH", 12, 13) + data[at + 12 :]
    path = tmp_path / f"photo.{suffix}"
    path.write_bytes(data)
    np.testing.assert_allclose(read_photo(path)[9, 9], (213, 115, 70), atol=4)


def test_gain_map_is_reported(tmp_path):
    path = tmp_path / "photo.jpg"
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        b'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"/>'
        b"</rdf:RDF></x:xmpmeta>"
    )
    dark_photo(48, 32, bright=(1, 1, 9, 9)).save(path, xmp=xmp)
    assert "HDR gain map is left out" in load_photo(path).warnings[0]
