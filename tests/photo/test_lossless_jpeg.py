from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps
from runtime_fixtures import quarters

from saliency.cropping.cutting import make_lossless_crop
from saliency.errors import PhotoError
from saliency.geometry import Window
from saliency.photo import lossless_jpeg as lossless
from saliency.photo.lossless_jpeg import snapped
from saliency.photo.reading import load_photo

needs_library = pytest.mark.skipif(
    lossless._library() is None, reason="needs libjpeg-turbo (extra: lossless)"
)
SAMPLINGS = pytest.mark.parametrize(("subsampling", "block"), [("4:4:4", 8), ("4:2:0", 16)])


def noise(width=100, height=70):
    values = np.random.default_rng(0).integers(0, 256, size=(height // 4, width // 4, 3))
    return Image.fromarray(values.astype(np.uint8)).resize((width, height))


def photo_in(tmp_path, *, orientation=1, image=None, **options):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Camera", orientation
    (image or noise()).save(tmp_path / "photo.jpg", exif=exif, quality=90, **options)
    return load_photo(tmp_path / "photo.jpg")


def shown(data):
    """Return the pixels of a file as a viewer shows them."""
    with Image.open(BytesIO(data)) as image:
        return np.asarray(ImageOps.exif_transpose(image)).astype(int)


@needs_library
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_those_that_a_viewer_shows_of_the_photo(tmp_path, orientation, subsampling):
    photo = photo_in(tmp_path, orientation=orientation, subsampling=subsampling)
    window = snapped(photo, Window(photo.size[0] // 3, photo.size[1] // 4, 30, 33))[0]
    crop = shown(make_lossless_crop(photo, window).data)
    whole = shown(photo.data)
    inside = whole[window.y : window.y + 33, window.x : window.x + 30]
    # Colours of half the resolution are interpolated from beyond the border: not at the edges.
    np.testing.assert_array_equal(crop[2:-2, 2:-2], inside[2:-2, 2:-2])


@needs_library
def test_orientation_and_size_in_the_exif_are_those_of_what_is_stored(tmp_path):
    photo = photo_in(tmp_path, orientation=6)
    crop = Image.open(
        BytesIO(make_lossless_crop(photo, snapped(photo, Window(0, 0, 40, 64))[0]).data)
    )
    assert (crop.size, crop.getexif()[0x0112], crop.getexif()[0x010F]) == ((64, 40), 6, "Camera")


@needs_library
def test_stripped_crop_keeps_its_orientation_only(tmp_path):
    photo = photo_in(tmp_path, orientation=6)
    data = make_lossless_crop(photo, snapped(photo, Window(0, 0, 40, 64))[0], stripped=True).data
    assert dict(Image.open(BytesIO(data)).getexif()) == {0x0112: 6}


@SAMPLINGS
def test_edges_go_to_the_nearest_border_between_blocks(tmp_path, subsampling, block):
    photo = photo_in(tmp_path, subsampling=subsampling)
    window = snapped(photo, Window(block + block // 2 + 1, block // 2 - 1, 30, 33))[0]
    assert window == Window(2 * block, 0, 30, 33)


@SAMPLINGS
@pytest.mark.parametrize("orientation", range(1, 9))
def test_window_stays_inside_the_photo_with_its_size(tmp_path, orientation, subsampling, block):
    photo = photo_in(tmp_path, orientation=orientation, subsampling=subsampling)
    width, height = photo.size
    for x in range(0, width - 49, 7):
        window = snapped(photo, Window(x, height - 41, 50, 41))[0]
        assert (window.width, window.height) == (50, 41)
        assert 0 <= window.x <= width - 50
        assert 0 <= window.y <= height - 41
        is_held = height - 41 < block  # no border between blocks but the first one
        assert abs(window.x - x) <= block / 2 or x > width - 50 - block or is_held


def test_grey_jpeg_has_blocks_of_eight(tmp_path):
    photo = photo_in(tmp_path, image=noise().convert("L"))
    assert snapped(photo, Window(9, 13, 40, 40))[0] == Window(8, 16, 40, 40)


def test_other_formats_are_refused(tmp_path):
    quarters().save(tmp_path / "photo.png")
    photo = load_photo(tmp_path / "photo.png")
    with pytest.raises(PhotoError, match="expected a JPEG to crop without loss"):
        make_lossless_crop(photo, Window(0, 0, 16, 16))


def test_missing_library_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(lossless, "_library", lambda: None)
    with pytest.raises(PhotoError, match=r'pip install "saliency-crop\[lossless\]"'):
        make_lossless_crop(photo_in(tmp_path), Window(0, 0, 16, 16))
