from fractions import Fraction

import numpy as np
import pytest

from saliency.crop_windows.best_windows import best_window, centred
from saliency.crop_windows.search import (
    Wishes,
    best_place,
    least_window,
    nearest_place,
    size_of_side,
)
from saliency.crop_windows.summed_area_table import ShareTable, share
from saliency.geometry import Window, largest_size


def every_window(window_size, photo_size):
    (width, height), (photo_width, photo_height) = window_size, photo_size
    for y in range(photo_height - height + 1):
        for x in range(photo_width - width + 1):
            yield Window(x, y, width, height)


def held(window, box):
    """Return how many pixels of a box a window holds."""
    across = min(window.x + window.width, box[2]) - max(window.x, box[0])
    down = min(window.y + window.height, box[3]) - max(window.y, box[1])
    return max(across, 0) * max(down, 0)


def area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


def wish_rank(window, wishes):
    """Return how well a window meets the wishes, in whole numbers: more is better."""
    kept = [Fraction(held(window, box), area(box)) for box in wishes.keep]
    avoided = [Fraction(held(window, box), area(box)) for box in wishes.avoid]
    return sum(part == 1 for part in kept), sum(kept), -sum(avoided)


def random_box(rng, photo_size):
    left, top = (int(rng.integers(0, side)) for side in photo_size)
    right = int(rng.integers(left + 1, photo_size[0] + 1))
    return left, top, right, int(rng.integers(top + 1, photo_size[1] + 1))


def draw(seed):
    """Return a density, a window size, a photo size and wishes."""
    rng = np.random.default_rng(seed)
    density = rng.integers(0, 6, size=rng.integers(1, 7, size=2)) + 1.0
    photo_size = tuple(int(side) for side in rng.integers(4, 18, size=2))
    window_size = tuple(int(rng.integers(1, side + 1)) for side in photo_size)
    boxes = [random_box(rng, photo_size) for _ in range(4)]
    kept = int(rng.integers(0, 3))
    wishes = Wishes(tuple(boxes[:kept]), tuple(boxes[kept : kept + int(rng.integers(0, 3))]))
    return density, window_size, photo_size, wishes


@pytest.mark.parametrize("seed", range(60))
def test_best_place_is_the_one_that_trying_every_position_finds(seed):
    density, window_size, photo_size, wishes = draw(seed)
    windows = list(every_window(window_size, photo_size))
    top = max(wish_rank(window, wishes) for window in windows)
    most = max(
        share(density, window, photo_size) for window in windows if wish_rank(window, wishes) == top
    )
    found = best_place(ShareTable(density, photo_size), window_size, wishes)
    assert wish_rank(found, wishes) == top
    assert share(density, found, photo_size) == pytest.approx(most, abs=1e-9)


@pytest.mark.parametrize("seed", range(60))
def test_nearest_place_is_the_one_that_trying_every_position_finds(seed):
    _, window_size, photo_size, wishes = draw(seed)
    rng = np.random.default_rng(seed)
    target = tuple(int(rng.integers(-9, side + 9)) for side in photo_size)
    pairs = zip(target, photo_size, window_size, strict=True)
    x, y = (min(max(place, 0), full - side) for place, full, side in pairs)

    def far(window):
        return (window.x - x) ** 2 + (window.y - y) ** 2

    windows = list(every_window(window_size, photo_size))
    top = max(wish_rank(window, wishes) for window in windows)
    least = min(far(window) for window in windows if wish_rank(window, wishes) == top)
    found = nearest_place(window_size, photo_size, wishes, target=target)
    assert wish_rank(found, wishes) == top
    assert far(found) == least


@pytest.mark.parametrize("size", [(4000, 2250), (1687, 3000)])
def test_window_with_one_free_axis_is_found_exactly_at_any_size(size):
    density = np.random.default_rng(3).random((288, 384))
    found = best_place(ShareTable(density, (4000, 3000)), size)
    assert found == best_window(density, size, (4000, 3000))


def smooth(rng, rows, columns):
    """Return a density as a network gives it, with one hill per some hundred cells."""
    grid = rng.random((rows // 16, columns // 16)) ** 4
    return np.kron(grid, np.outer(np.hanning(16), np.hanning(16)) + 0.01)


@pytest.mark.parametrize("seed", range(5))
def test_window_with_two_free_axes_keeps_nearly_the_most(seed):
    density = smooth(np.random.default_rng(seed), 288, 384)
    table = ShareTable(density, (1200, 900))
    most = share(density, best_window(density, (500, 400), (1200, 900)), (1200, 900))
    assert table.share(best_place(table, (500, 400))) == pytest.approx(most, abs=1e-3)


def test_even_density_leaves_a_small_window_in_the_middle():
    table = ShareTable(np.ones((288, 384)), (1200, 900))
    assert best_place(table, (301, 200)) == centred((301, 200), (1200, 900))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ratio", [Fraction(1), Fraction(16, 9), Fraction(9, 16)])
def test_least_window_keeps_the_share_and_a_smaller_one_does_not(seed, ratio):
    density = smooth(np.random.default_rng(seed), 96, 128)
    table = ShareTable(density, (1200, 900))
    wanted = 0.4
    window = least_window(table, ratio, wanted, Wishes())
    side = max(window.width, window.height)
    assert (window.width, window.height) == size_of_side(
        side, ratio, largest_size((1200, 900), ratio)
    )
    assert table.share(window) >= wanted
    smaller = size_of_side(round(side * 0.95), ratio, largest_size((1200, 900), ratio))
    best = best_window(density, smaller, (1200, 900))
    assert share(density, best, (1200, 900)) < wanted


def test_least_window_for_more_than_any_keeps_is_the_largest():
    density = np.ones((9, 12))
    window = least_window(ShareTable(density, (1200, 900)), Fraction(1), 0.9, Wishes())
    assert window == Window(150, 0, 900, 900)


def test_least_window_holds_the_boxes_to_keep():
    density = np.zeros((9, 12)) + 1e-6
    density[4, 6] = 1
    wishes = Wishes(keep=((100, 100, 300, 200),))
    window = least_window(ShareTable(density, (1200, 900)), Fraction(1), 0.5, wishes)
    assert wishes.are_met(window)
    assert max(window.width, window.height) < 700


def test_wishes_are_met_by_a_window_that_holds_every_box_whole():
    wishes = Wishes(keep=((10, 10, 20, 20), (30, 10, 40, 20)))
    assert wishes.are_met(Window(10, 10, 30, 10))
    assert not wishes.are_met(Window(11, 10, 30, 10))


@pytest.mark.parametrize(
    ("side", "ratio", "most", "size"),
    [
        (100, Fraction(16, 9), (160, 90), (100, 56)),
        (100, Fraction(9, 16), (90, 160), (56, 100)),
        (500, Fraction(16, 9), (160, 90), (160, 90)),
        (1, Fraction(9), (900, 100), (1, 1)),
    ],
)
def test_size_of_side_keeps_the_ratio_to_a_pixel_and_the_limit(side, ratio, most, size):
    assert size_of_side(side, ratio, most) == size
