import cv2
import numpy as np
import pytest
from PIL import Image

from saliency.photo.pixels import (
    as_image,
    cropped,
    pixel_size,
    resampled,
    shrunk,
    turned_upright,
)

VALUES = np.random.default_rng(0).integers(0, 256, size=(24, 36, 3), dtype=np.uint8)


@pytest.mark.parametrize("orientation", range(1, 10))
def test_array_is_turned_as_an_image_is(orientation):
    turned = turned_upright(VALUES, orientation)
    expected = turned_upright(Image.fromarray(VALUES), orientation)
    np.testing.assert_array_equal(turned, np.asarray(expected))
    assert pixel_size(turned) == pixel_size(expected)


def test_array_is_cut_without_a_copy_and_as_an_image_is():
    part = cropped(VALUES, (4, 2, 20, 12))
    assert np.shares_memory(part, VALUES)
    np.testing.assert_array_equal(part, cropped(Image.fromarray(VALUES), (4, 2, 20, 12)))


def test_sixteen_bits_keep_their_upper_half_as_an_image():
    deep = VALUES.astype(np.uint16) * 256 + 255
    np.testing.assert_array_equal(as_image(deep), VALUES)


def test_one_channel_is_a_grey_image():
    image = as_image(VALUES[..., :1])
    assert image.mode == "L"
    np.testing.assert_array_equal(image, VALUES[..., 0])


@pytest.mark.parametrize("size", [(9, 6), (18, 12), (72, 48), (18, 48)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_even_array_is_even_at_every_size(size, channels, dtype):
    even = np.full((24, 36, channels), 77, dtype=dtype)
    other = resampled(even, (3.0, 2.0, 33.0, 22.0), size)
    assert (other.shape, other.dtype) == ((size[1], size[0], channels), dtype)
    assert set(np.unique(other)) == {77}


@pytest.mark.parametrize("size", [(12, 8), (80, 60)])
def test_array_and_image_show_the_same_place(size):
    rows, columns = np.mgrid[:60, :80]
    smooth = np.stack([columns * 3, rows * 4, columns + rows], axis=2).astype(np.uint8)
    box = (20.0, 10.0, 60.0, 40.0)
    from_array = resampled(smooth, box, size).astype(int)
    from_image = np.asarray(resampled(Image.fromarray(smooth), box, size)).astype(int)
    assert abs(from_array - from_image)[1:-1, 1:-1].max() <= 2


@pytest.mark.parametrize("size", [(9, 6), (12, 8), (20, 13), (3, 2), (4, 12)])
@pytest.mark.parametrize("kind", [np.asarray, Image.fromarray])
def test_shrinking_averages_areas(kind, size):
    smooth = cv2.GaussianBlur(VALUES, (0, 0), 1.5)
    means = cv2.resize(smooth.astype(np.float64), size, interpolation=cv2.INTER_AREA)
    result = shrunk(kind(smooth), size)
    assert pixel_size(result) == size
    assert abs(np.asarray(result) - means).max() <= 4  # interpolated once, and rounded a few times


@pytest.mark.parametrize("kind", [np.asarray, Image.fromarray])
@pytest.mark.parametrize("size", [(36, 24), (35, 23), (143, 95), (145, 97)])
def test_mirrored_pixels_shrink_to_the_mirrored_ones(kind, size):
    values = np.random.default_rng(1).integers(0, 256, size=(*size[::-1], 3), dtype=np.uint8)
    result = np.asarray(shrunk(kind(values), (9, 6)))
    mirrored = np.asarray(shrunk(kind(np.ascontiguousarray(values[:, ::-1])), (9, 6)))
    np.testing.assert_array_equal(mirrored, result[:, ::-1])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_shrinking_keeps_the_kind_of_array(channels, dtype):
    deep = np.full((24, 36, channels), 77, dtype=dtype)
    result = shrunk(deep, (9, 6))
    assert (result.shape, result.dtype, set(result.flat)) == ((6, 9, channels), dtype, {77})


@pytest.mark.parametrize("kind", [np.asarray, Image.fromarray])
def test_photo_that_is_small_already_is_not_shrunk(kind):
    assert pixel_size(shrunk(kind(VALUES), (37, 1))) == (36, 24)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK"])
def test_image_shrinks_in_its_own_mode(mode):
    image = Image.fromarray(VALUES).convert(mode)
    result = shrunk(image, (9, 6))
    assert result.mode == mode
    values = np.asarray(image).reshape(24, 36, -1)
    if mode == "CMYK":  # four channels, of which none is alpha
        channels = [shrunk(values[..., [k]], (9, 6)) for k in range(4)]
        expected = np.concatenate(channels, axis=2)
    else:
        expected = np.asarray(shrunk(values, (9, 6)))
    np.testing.assert_array_equal(np.asarray(result).reshape(expected.shape), expected)


@pytest.mark.parametrize("kind", ["image", "array"])
def test_hidden_colours_have_no_say(kind):
    """A white disc on nothing, whatever colour the nothing hides."""
    shown = []
    for hidden in (0, 255):
        values = np.full((64, 64, 4), (hidden, hidden, hidden, 0), np.uint8)
        values[16:48, 16:47] = 255
        pixels = Image.fromarray(values) if kind == "image" else values.astype(np.uint16) * 257
        small = np.asarray(resampled(pixels, (0.0, 0.0, 64.0, 64.0), (13, 13))).astype(float)
        averaged = np.asarray(shrunk(pixels, (13, 13))).astype(float)
        shown.append([one[..., :3] * (one[..., 3:] > 0) for one in (small, averaged)])
    for first, second in zip(*shown, strict=True):
        np.testing.assert_allclose(first, second, atol=1)
        assert first[first > 0].min() > 0.95 * first.max()
