from fractions import Fraction

import numpy as np
import pytest

from saliency.crop_windows.best_windows import best_window, best_windows, centred
from saliency.crop_windows.summed_area_table import share
from saliency.geometry import Window


def paint(density, photo_size):
    """Return the mass of every pixel, in whole units: each pixel is split so finely that every
    piece lies in one cell."""
    (width, height), (rows, columns) = photo_size, density.shape
    fine = density.repeat(height, axis=0).repeat(width, axis=1)
    return fine.reshape(height, rows, width, columns).sum(axis=(1, 3))


def search(density, window_size, photo_size):
    """Return the best window by trying every one, with whole numbers only."""
    pixels = paint(density, photo_size)
    (width, height), (photo_width, photo_height) = window_size, photo_size
    found = []
    for y in range(photo_height - height + 1):
        for x in range(photo_width - width + 1):
            mass = int(pixels[y : y + height, x : x + width].sum())
            aside = (2 * x + width - photo_width) ** 2 + (2 * y + height - photo_height) ** 2
            found.append((-mass, aside, y, x))
    _, _, y, x = min(found)
    return Window(x, y, width, height)


CASES = [(seed, top) for seed in range(30) for top in (2, 5, 1000)]  # few values: many ties


@pytest.mark.parametrize(("seed", "top"), CASES)
def test_best_window_is_the_one_that_trying_every_position_finds(seed, top):
    rng = np.random.default_rng(seed)
    density = rng.integers(0, top, size=rng.integers(1, 8, size=2))
    density[rng.integers(density.shape[0]), rng.integers(density.shape[1])] += 1
    photo_size = tuple(int(side) for side in rng.integers(1, 20, size=2))
    window_size = tuple(int(rng.integers(1, side + 1)) for side in photo_size)
    expected = search(density, window_size, photo_size)
    assert best_window(density.astype(np.float64), window_size, photo_size) == expected


@pytest.mark.parametrize("seed", range(10))
def test_largest_windows_are_those_that_trying_every_position_finds(seed):
    rng = np.random.default_rng(100 + seed)
    density = rng.integers(0, 50, size=(5, 7)) + 1
    ratios = ["16:9", "1:1", Fraction(9, 16)]
    windows = best_windows(density.astype(np.float32), ratios, photo_size=(31, 23))
    expected = [search(density, (one.width, one.height), (31, 23)) for one in windows]
    assert windows == expected


def test_a_large_density_on_a_large_photo_is_searched_exactly_on_one_axis():
    rng = np.random.default_rng(1)
    density = rng.random((240, 320))
    (window,) = best_windows(density, ["1:1"], photo_size=(4000, 3000))
    columns = np.concatenate([[0], density.sum(axis=0).cumsum()])
    below = np.interp(np.arange(4001), np.arange(321) * 12.5, columns)
    assert window == Window(int(np.argmax(below[3000:] - below[:1001])), 0, 3000, 3000)


@pytest.mark.parametrize("scale", [1.0, 1e-30, 1 / 3])
def test_window_on_an_even_density_is_the_centred_one(scale):
    density = np.full((7, 11), scale)
    assert best_window(density, (20, 10), (101, 67)) == centred((20, 10), (101, 67))


def test_positions_that_differ_by_rounding_only_are_ties():
    density = np.full((6, 10), 0.1)
    density[:, 0] *= 1 + 1e-13
    assert best_window(density, (33, 60), (100, 60)) == centred((33, 60), (100, 60))


def test_window_follows_a_peak_to_the_corner():
    density = np.zeros((4, 4))
    density[3, 3] = 1
    assert best_window(density, (10, 10), (40, 40)) == Window(30, 30, 10, 10)


def test_photo_of_one_pixel_has_one_window():
    assert best_windows(np.ones((8, 8)), ["16:9", "1:3"], (1, 1)) == [Window(0, 0, 1, 1)] * 2


@pytest.mark.parametrize("seed", range(20))
def test_share_is_the_mass_of_the_pixels_inside(seed):
    rng = np.random.default_rng(seed)
    density = rng.integers(0, 9, size=(4, 6)) + 1
    x, y = (int(value) for value in rng.integers(0, 8, size=2))
    window = Window(x, y, int(rng.integers(1, 20 - x)), int(rng.integers(1, 14 - y)))
    pixels = paint(density, (19, 13))
    inside = pixels[y : y + window.height, x : x + window.width].sum() / pixels.sum()
    assert share(density.astype(np.float64), window, (19, 13)) == pytest.approx(inside, rel=1e-12)


def test_share_of_the_whole_photo_is_one():
    density = np.random.default_rng(0).random((30, 40))
    assert share(density, Window(0, 0, 500, 301), (500, 301)) == pytest.approx(1, abs=1e-12)


def test_centred_window_has_equal_margins():
    assert centred((40, 20), (100, 60)) == Window(30, 20, 40, 20)


@pytest.mark.parametrize(
    "density",
    [
        np.zeros((2, 2)),
        np.array([[1.0, -1.0]]),
        np.array([[1.0, np.nan]]),
        np.array([[1.0, np.inf]]),
        np.ones(4),
        np.ones((0, 3)),
    ],
)
def test_density_without_a_meaning_is_refused(density):
    with pytest.raises(ValueError, match="expected a"):
        best_windows(density, ["1:1"], photo_size=(10, 10))


def test_photo_size_without_pixels_is_refused():
    with pytest.raises(ValueError, match="photo size"):
        best_windows(np.ones((2, 2)), ["1:1"], photo_size=(0, 10))


@pytest.mark.parametrize("size", [(11, 5), (5, 11), (0, 5)])
def test_window_that_does_not_fit_is_refused(size):
    with pytest.raises(ValueError, match="fits into the 10x10 photo"):
        best_window(np.ones((2, 2)), size, (10, 10))
    with pytest.raises(ValueError, match="fits into the 10x10 photo"):
        centred(size, (10, 10))


def test_share_of_a_window_outside_the_photo_is_refused():
    with pytest.raises(ValueError, match="inside the 10x10 photo"):
        share(np.ones((2, 2)), Window(5, 5, 6, 5), (10, 10))


@pytest.mark.parametrize(
    ("other", "common"),
    [
        (Window(0, 0, 20, 20), Window(5, 5, 15, 5)),
        (Window(6, 6, 2, 2), Window(6, 6, 2, 2)),
        (Window(0, 0, 100, 100), Window(5, 5, 30, 5)),
        (Window(35, 5, 9, 9), None),
        (Window(5, 10, 30, 5), None),
    ],
)
def test_common_part_of_two_windows_is_the_same_from_both_sides(other, common):
    window = Window(5, 5, 30, 5)
    assert window.common(other) == common
    assert other.common(window) == common
