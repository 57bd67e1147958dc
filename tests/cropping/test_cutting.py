from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms
from runtime_fixtures import crop_bytes, quarters

from saliency.cropping.options import Output
from saliency.errors import PhotoError
from saliency.geometry import Window
from saliency.photo.formats import crop_format
from saliency.photo.reading import load_photo

WINDOW = Window(6, 4, 36, 20)


def crop(image, path, *, as_format=None, window=WINDOW, max_size=None, **options):
    """Save an image, load it, cut, encode, and return the crop decoded."""
    image.save(path, **options)
    photo = load_photo(path)
    as_format = as_format or crop_format(photo.format)
    data = crop_bytes(photo, window, as_format, output=Output(max_size=max_size))
    decoded = Image.open(BytesIO(data))
    decoded.load()
    return decoded


def inside(values, window=WINDOW):
    return values[window.y : window.y + window.height, window.x : window.x + window.width]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "1", "P"])
def test_png_crop_has_the_very_pixels_and_the_mode(tmp_path, mode):
    image = quarters().quantize(4) if mode == "P" else quarters().convert(mode)
    cropped = crop(image, tmp_path / "photo.png")
    assert (cropped.format, cropped.mode) == ("PNG", mode)
    expected = inside(np.asarray(image.convert("RGBA")))
    np.testing.assert_array_equal(np.asarray(cropped.convert("RGBA")), expected)


def test_sixteen_bit_grey_png_stays_sixteen_bit(tmp_path):
    values = np.arange(48 * 32, dtype=np.uint16).reshape(32, 48) * 42
    cropped = crop(Image.fromarray(values), tmp_path / "photo.png")
    np.testing.assert_array_equal(np.asarray(cropped), inside(values))


def test_palette_transparency_stays(tmp_path):
    image = quarters().quantize(4)
    cropped = crop(image, tmp_path / "photo.png", transparency=0)
    alpha = np.asarray(cropped.convert("RGBA"))[..., 3]
    np.testing.assert_array_equal(alpha == 0, inside(np.asarray(image)) == 0)


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("photo.jpg", "JPEG"),
        ("photo.webp", "WEBP"),
        ("photo.png", "PNG"),
        ("photo.avif", "AVIF"),
        ("photo.tif", "TIFF"),
        ("photo.gif", "GIF"),
        ("photo.bmp", "PNG"),
    ],
)
def test_crop_has_the_format_of_the_photo_or_png(tmp_path, name, made):
    assert crop(quarters(), tmp_path / name).format == made


def in_mode(mode):
    """Return a photo in a mode, and the same in RGB or L."""
    grey = quarters().convert("L")
    if mode == "I;16":
        return Image.fromarray(np.asarray(grey).astype(np.uint16) * 257), grey
    if mode == "1":
        two = grey.point(lambda value: 255 * (value > 100))
        return two.convert("1"), two
    if mode == "P":
        return quarters().quantize(4), quarters()
    return quarters().convert(mode), grey if mode in ("L", "LA") else quarters()


@pytest.mark.parametrize("as_format", ["jpeg", "png", "webp"])
@pytest.mark.parametrize("mode", ["L", "LA", "1", "P", "RGB", "RGBA", "I;16", "CMYK"])
@pytest.mark.parametrize("step", [1, 2])
def test_every_kind_of_photo_goes_into_every_format_and_size(tmp_path, mode, as_format, step):
    image, reference = in_mode(mode)
    path = tmp_path / ("photo.tif" if mode == "CMYK" else "photo.png")
    cropped = crop(image, path, as_format=as_format, max_size=36 // step)
    expected = inside(np.asarray(reference.convert("RGB")))[::step, ::step]
    actual = np.asarray(eight_bit_rgb(cropped)).astype(int)
    assert actual.shape == expected.shape
    assert abs(actual[1::7, 1::15] - expected[1::7, 1::15]).max() < 16  # lossy; away from borders


def eight_bit_rgb(image):
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    return image.convert("RGB")


def test_alpha_stays_in_webp(tmp_path):
    image = quarters().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    cropped = crop(image, tmp_path / "photo.png", as_format="webp")
    expected = inside(np.asarray(image))[..., 3]
    np.testing.assert_array_equal(np.asarray(cropped)[..., 3], expected)


def test_transparent_parts_are_white_in_jpeg(tmp_path):
    image = Image.new("RGBA", (48, 32), (0, 0, 0, 0))
    cropped = crop(image, tmp_path / "photo.png", as_format="jpeg")
    assert np.asarray(cropped).min() > 250


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_colour_profile_stays(tmp_path, suffix):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    cropped = crop(quarters(), tmp_path / f"photo.{suffix}", icc_profile=profile)
    assert cropped.info["icc_profile"] == profile


def camera_exif():
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x0100], exif[0x0101] = "Camera", 6, 48, 32
    exif.get_ifd(0x8769).update({0xA002: 48, 0xA003: 32, 0x829A: 0.125})
    exif.get_ifd(0x8825)[1] = "N"
    return exif


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_exif_stays_and_is_true_of_the_crop(tmp_path, suffix):
    window = Window(2, 4, 20, 36)
    path = tmp_path / f"photo.{suffix}"
    exif = crop(quarters(), path, window=window, exif=camera_exif()).getexif()
    assert (exif[0x010F], exif[0x0112]) == ("Camera", 1)
    details = exif.get_ifd(0x8769)
    assert (details[0xA002], details[0xA003], float(details[0x829A])) == (20, 36, 0.125)
    assert exif.get_ifd(0x8825) == {1: "N"}


def test_exif_of_a_tiff_comes_without_the_places_of_its_pixels(tmp_path):
    exif = crop(
        quarters(),
        tmp_path / "photo.tif",
        as_format="png",
        window=Window(2, 4, 20, 36),
        exif=camera_exif(),
    ).getexif()
    assert {tag: exif[tag] for tag in exif if tag != 0x8769} == {
        0x010F: "Camera",
        0x0112: 1,
    }


def test_embedded_thumbnail_is_dropped(tmp_path):
    piexif = pytest.importorskip("piexif", reason="makes the thumbnail; comes with pysaliency")
    thumbnail = BytesIO()
    quarters().save(thumbnail, "jpeg")
    zeroth = {piexif.ImageIFD.Make: "Camera"}
    exif = piexif.dump({"0th": zeroth, "1st": {}, "thumbnail": thumbnail.getvalue()})
    cropped = crop(quarters(), tmp_path / "photo.jpg", exif=exif)
    assert piexif.load(cropped.info["exif"])["thumbnail"] is None
    assert cropped.getexif()[0x010F] == "Camera"


def test_photo_without_exif_has_crops_without(tmp_path):
    assert "exif" not in crop(quarters(), tmp_path / "photo.jpg").info


@pytest.mark.parametrize(
    ("subsampling", "kept"), [("4:4:4", [(1, 1)] * 3), ("4:2:0", [(2, 2), (1, 1), (1, 1)])]
)
def test_jpeg_keeps_the_resolution_of_its_colours(tmp_path, subsampling, kept):
    cropped = crop(quarters(), tmp_path / "photo.jpg", subsampling=subsampling)
    assert [layer[1:3] for layer in cropped.layer] == kept


def test_crop_is_shrunk_to_the_longest_side(tmp_path):
    assert crop(quarters(), tmp_path / "photo.png", max_size=18).size == (18, 10)


def test_crop_is_never_enlarged(tmp_path):
    assert crop(quarters(), tmp_path / "photo.png", max_size=400).size == (36, 20)


def test_crop_of_a_reduced_jpeg_shows_the_same_place(tmp_path):
    quarters(480, 320).save(tmp_path / "photo.jpg", quality=95)
    window = Window(120, 0, 320, 320)
    whole = load_photo(tmp_path / "photo.jpg")
    reduced = load_photo(tmp_path / "photo.jpg", lambda _: (150, 100))
    assert reduced.pixels.shape == (160, 240, 3)
    crops = [
        crop_bytes(photo, window, "png", output=Output(max_size=80)) for photo in (whole, reduced)
    ]
    pixels = [np.asarray(Image.open(BytesIO(data))).astype(int) for data in crops]
    assert abs(pixels[0] - pixels[1]).mean() < 2


def test_crop_too_large_for_the_format_is_refused(tmp_path):
    Image.new("RGB", (20_000, 2)).save(tmp_path / "photo.png")
    photo = load_photo(tmp_path / "photo.png")
    with pytest.raises(PhotoError, match=r"cannot write the crop of .* as webp"):
        crop_bytes(photo, Window(0, 0, 20_000, 2), "webp")
