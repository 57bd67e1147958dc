import numpy as np
import pytest
from PIL import Image

from saliency.pixels import (
    as_image,
    cropped,
    pixel_size,
    resampled,
    shrunk_by_whole_factor,
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


def test_shrinking_averages_squares_and_stays_large_enough():
    shrunk = shrunk_by_whole_factor(VALUES, (9, 6))
    assert shrunk.shape == (6, 9, 3)
    expected = VALUES.reshape(6, 4, 9, 4, 3).mean(axis=(1, 3))
    assert abs(shrunk - expected).max() <= 1.5  # rounded at each halving


@pytest.mark.parametrize("kind", [np.asarray, Image.fromarray])
def test_photo_that_is_small_already_is_not_shrunk(kind):
    assert pixel_size(shrunk_by_whole_factor(kind(VALUES), (19, 1))) == (36, 24)
