"""The window of any size and ratio that people would most likely make of a photo.

The score of a window is

    share − 0.1·area − 0.5·|c|²

`share` is the part of the density inside. `area` is the window's part of the photo, so that regions
with little density for their area are left out. c is the distance of its middle from the photo's,
in shares of the sides.

The weights are the best of 64 pairs on half of the photos of FLMS, each cropped by ten people, by
the IoU with the nearest of their crops and with all of them (`benchmarks/people_crops.py`). Windows
have their edges on a grid of twentieths of the sides, and sides of at least two fifths.
"""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from saliency.crop_windows.candidates import WindowTask
from saliency.geometry import Window

AREA_COST = 0.1
MIDDLE_COST = 0.5

_STEPS = 20  # of the grid, on either side
_LEAST_STEPS = 8

Intervals = NDArray[np.int64]
"""First and last edge, (intervals, 2), in whole pixels along one side of the photo."""


def propose_free(task: WindowTask) -> Window:
    """Return the window of the best score that meets the wishes; the whole photo if none does.

    It holds all boxes to keep, none of those to avoid, and cuts through no face; it is no smaller
    than the options ask for.
    """
    least = task.options.min_size or (1, 1)
    across, down = (
        _intervals(side, least=smallest)
        for side, smallest in zip(task.photo_size, least, strict=True)
    )
    if len(across) and len(down):
        scores = _scores(task, across, down)
        for index in np.argsort(-scores, axis=None, kind="stable"):
            row, column = divmod(int(index), len(across))
            (left, right), (top, bottom) = across[column].tolist(), down[row].tolist()
            window = Window.between(left, top, right, bottom)
            if _meets(task, window):
                return window
    return Window(0, 0, *task.photo_size)


def best_of(task: WindowTask, windows: list[tuple[Fraction, Window]]) -> tuple[Fraction, Window]:
    """Return the ratio and window of the best score among those of several ratios.

    One that holds all boxes to keep and cuts through no face comes first.
    """

    def rank(each: tuple[Fraction, Window]) -> tuple[bool, float]:
        left, top, right, bottom = each[1].box
        score = _scores(task, np.array([[left, right]]), np.array([[top, bottom]]))
        return _meets(task, each[1]), float(score[0, 0])

    return max(windows, key=rank)


def _intervals(side: int, *, least: int) -> Intervals:
    """Return where windows may begin and end along a side."""
    edges = np.unique(np.round(np.arange(_STEPS + 1) * side / _STEPS).astype(np.int64))
    first, last = np.meshgrid(edges, edges, indexing="ij")
    shortest = max(least, 1, round(side * _LEAST_STEPS / _STEPS))
    is_long = last - first >= shortest
    return np.stack([first[is_long], last[is_long]], axis=1)


def _scores(task: WindowTask, across: Intervals, down: Intervals) -> NDArray[np.float64]:
    """Return the score of every window, of shape (down, across)."""
    sums = task.table.sums(across.reshape(-1), down.reshape(-1))
    rows = sums[1::2] - sums[::2]
    shares = rows[:, 1::2] - rows[:, ::2]
    (wide, x), (high, y) = (
        _length_and_place(intervals, side)
        for intervals, side in zip((across, down), task.photo_size, strict=True)
    )
    area = high[:, np.newaxis] * wide
    return np.asarray(shares - AREA_COST * area - MIDDLE_COST * (x**2 + y[:, np.newaxis] ** 2))


def _length_and_place(
    intervals: Intervals, side: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lengths of intervals and the distance of their middles from that of a side."""
    return np.diff(intervals, axis=1)[:, 0] / side, intervals.mean(axis=1) / side - 0.5


def _meets(task: WindowTask, window: Window) -> bool:
    """Return whether a window keeps and avoids every box, and cuts through no face."""
    boxes = task.wishes
    if not boxes.are_met(window):
        return False
    if any(window.common(Window.between(*edges)) is not None for edges in boxes.avoid):
        return False
    for edges in boxes.faces:
        common = window.common(Window.between(*edges))
        if common is not None and common.box != edges:
            return False
    return True
