from fractions import Fraction

import numpy as np
import pytest

from saliency.crop_windows.candidates import propose, propose_middle, propose_more, read_task
from saliency.crop_windows.options import ChoiceOptions, parse_box
from saliency.crop_windows.window_score import WindowScore
from saliency.errors import PhotoError
from saliency.geometry import Frame, Window, largest_size

SQUARE, WIDE, TALL = Fraction(1), Fraction(16, 9), Fraction(9, 16)


def spots(*spots_, floor=1e-5):
    """A density of 48 by 32 cells for a photo of 480 by 320, with spots (column, row, mass)."""
    density = np.full((32, 48), floor)
    for column, row, mass in spots_:
        density[row - 1 : row + 1, column - 1 : column + 1] = mass / 4
    return density


def task(density, **options):
    return read_task(density, Frame.whole((480, 320)), ChoiceOptions(**options))


def overlap(one, other):
    """Return the share of two windows of one size that they have in common."""
    across = min(one.x, other.x) + one.width - max(one.x, other.x)
    down = min(one.y, other.y) + one.height - max(one.y, other.y)
    return max(across, 0) * max(down, 0) / (one.width * one.height)


def is_inside(window):
    right, bottom = window.x + window.width, window.y + window.height
    return 0 <= window.x < right <= 480 and 0 <= window.y < bottom <= 320


@pytest.mark.parametrize("ratio", [SQUARE, WIDE, TALL])
def test_without_options_the_window_is_that_of_the_best_score_of_the_largest(ratio):
    density = np.random.default_rng(0).random((32, 48))
    one = task(density)
    found = propose(one, ratio)
    size = largest_size((480, 320), ratio)
    xs, ys = (np.arange(full - side + 1) for full, side in zip((480, 320), size, strict=True))
    scores = WindowScore(density, one.table).scores(xs, ys, size)
    assert (found.width, found.height) == size
    assert scores[found.y, found.x] == pytest.approx(scores.max(), abs=1e-3)


def test_zoomed_window_is_small_and_keeps_the_share():
    one = task(spots((10, 8, 1.0)), zoom=0.9)
    window = propose(one, SQUARE)
    assert one.table.share(window) >= 0.9
    assert window.width <= 20  # those that the spot has


def test_margin_makes_room_on_every_side():
    density = spots((24, 16, 1.0))
    tight, roomy = (
        propose(task(density, zoom=0.9, margin=margin), SQUARE) for margin in (0.0, 0.5)
    )
    assert roomy.width == 2 * tight.width
    assert tight.x - roomy.x == pytest.approx(tight.width / 2, abs=1)
    assert tight.y - roomy.y == pytest.approx(tight.height / 2, abs=1)


def test_margin_ends_at_the_border_of_the_photo():
    window = propose(task(spots((1, 1, 1.0)), zoom=0.9, margin=1.0), SQUARE)
    assert (window.x, window.y) == (0, 0)


@pytest.mark.parametrize("ratio", [SQUARE, WIDE, TALL])
def test_zoomed_window_has_the_least_size(ratio):
    window = propose(task(spots((24, 16, 1.0)), zoom=0.5, min_size=(160, 120)), ratio)
    assert window.width >= 160
    assert window.height >= 120
    assert window.width == 160 or window.height == 120


def test_box_to_keep_is_held_whatever_the_density():
    one = task(spots((44, 16, 1.0)), keep=(parse_box("0,0,100,320"),))
    assert propose(one, SQUARE) == Window(0, 0, 320, 320)


def test_box_to_avoid_is_left_out_where_the_window_can_do_without():
    one = task(spots((44, 16, 1.0)), avoid=(parse_box("400,0,80,320"),))
    assert propose(one, SQUARE) == Window(80, 0, 320, 320)


def test_box_to_keep_goes_before_one_to_avoid():
    box = parse_box("80%,0,20%,100%")
    window = propose(task(spots((2, 16, 1.0)), keep=(box,), avoid=(box,)), SQUARE)
    assert window.x == 160


@pytest.mark.parametrize(("place", "share"), [("left", 1 / 3), ("center", 1 / 2), ("right", 2 / 3)])
def test_subject_sits_where_it_is_placed(place, share):
    window = propose(task(spots((24, 16, 1.0)), place=place), TALL)
    assert (240 - window.x) / window.width == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("place", ["left", "bottom-right", "thirds"])
def test_placed_window_stays_inside_the_photo(place):
    for column, row in [(1, 1), (47, 31), (1, 31)]:
        window = propose(task(spots((column, row, 1.0)), place=place, zoom=0.9), SQUARE)
        assert is_inside(window)


def test_place_gives_way_to_a_box_to_keep():
    box = parse_box("400,0,20,320")
    window = propose(task(spots((30, 16, 1.0)), place="right", keep=(box,)), TALL)
    assert window.x == 240  # not 180, from where it would not reach the box


@pytest.mark.parametrize("seed", range(20))
def test_windows_with_every_option_stay_inside_the_photo(seed):
    rng = np.random.default_rng(seed)
    boxes = [parse_box(",".join(str(n) for n in rng.integers(1, 300, size=4))) for _ in range(3)]
    one = task(
        rng.random((32, 48)) ** 8,
        zoom=float(rng.random()),
        margin=float(rng.random()),
        keep=tuple(boxes[:1]),
        avoid=tuple(boxes[1:]),
        place=str(rng.choice(["left", "thirds", "center", "bottom-right"])),
        min_size=(int(rng.integers(1, 600)), int(rng.integers(1, 600))),
    )
    for ratio in (SQUARE, WIDE, TALL, Fraction(50)):
        best = propose(one, ratio)
        assert is_inside(best)
        assert all(map(is_inside, propose_more(one, best, 3)))


def test_box_outside_the_photo_is_refused_with_what_to_do():
    with pytest.raises(PhotoError, match=r"box to keep .* 480x320 photo, got 500,0,9,9; give"):
        task(spots((24, 16, 1.0)), keep=(parse_box("500,0,9,9"),))


def test_middle_that_keeps_a_box_is_the_nearest_that_does():
    one = task(spots((24, 16, 1.0)), keep=(parse_box("0,0,40,320"),))
    assert propose_middle(one, (180, 320)).x == 0


def test_further_windows_show_the_other_subjects_the_stronger_first():
    one = task(spots((4, 16, 0.5), (24, 16, 0.2), (44, 16, 0.3)))
    best = propose(one, TALL)
    middles = [best.x + 90] + [window.x + 90 for window in propose_more(one, best, 2)]
    assert [round(middle, -1) // 160 for middle in middles] == [0, 2, 1]


def test_further_windows_are_no_neighbours_of_each_other():
    density = spots((4, 16, 0.5), (24, 16, 0.2), (44, 16, 0.3))
    one = task(density)
    best = propose(one, TALL)
    windows = [best, *propose_more(one, best, 2)]
    pairs = [(a, b) for a in windows for b in windows if a is not b]
    assert max(overlap(a, b) for a, b in pairs) < 0.5


def test_one_subject_has_no_further_windows():
    one = task(spots((24, 16, 1.0)))
    assert propose_more(one, propose(one, TALL), 5) == []


def test_window_that_fills_the_photo_has_no_further_ones():
    one = task(np.ones((32, 48)))
    assert propose_more(one, propose(one, Fraction(3, 2)), 5) == []
