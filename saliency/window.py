"""The crop window that holds the most density, found exactly. Pure arithmetic.

A density of any grid is laid over the whole photo: a cell covers photo width / columns by photo
height / rows pixels, evenly, so an edge of a window may cut through a cell and takes its part of
it. Windows lie on whole pixels of the photo; a photo's size is (width, height).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from saliency.aspect import Size, largest_size, parse_aspect

__all__ = [
    "Window",
    "best_window",
    "best_windows",
    "centred",
    "largest_size",
    "parse_aspect",
    "share",
]

# Sums of the same cells in another order differ in the last digits of a float64 (about 1e-16
# each); masses this close, relative to the largest, are the same mass.
_TIE = 1e-9


@dataclass(frozen=True)
class Window:
    """A rectangle of whole pixels, (x, y) its top left corner in the upright photo."""

    x: int
    y: int
    width: int
    height: int


def best_windows(
    density: NDArray[np.floating], ratios: Sequence[str | Fraction], photo_size: Size
) -> list[Window]:
    """Return, for each ratio, the largest window that fits, where it holds the most density.

    Args:
        density: what each cell of a grid over the whole photo holds, at least 0; any scale.
        ratios: width / height of each window: `"16:9"`, `"1.91:1"`, `"1200x630"` or a fraction.
        photo_size: width and height of the photo, in pixels.

    Returns:
        One window per ratio, in their order: exact to a pixel, at least one pixel on each side.
        Among positions of equal mass, the one nearest the middle.

    Raises:
        ValueError: a ratio cannot be read, or the density or the photo's size is unusable.
    """
    parsed = [parse_aspect(ratio) if isinstance(ratio, str) else ratio for ratio in ratios]
    return [best_window(density, largest_size(photo_size, one), photo_size) for one in parsed]


def best_window(density: NDArray[np.floating], window_size: Size, photo_size: Size) -> Window:
    """Return the window of a given size, at any whole pixel, that holds the most density.

    Not every position has to be tried. Between two positions at which an edge of the window
    passes from one cell into the next, the mass is linear in x and linear in y, so its maximum
    over whole pixels lies beside such a passing, or anywhere between when it is constant there:
    then the middle, where it lies between, or the passing nearest to it is the one wanted.

    Ties go to the position nearest the middle, then to the upper, then to the left one.

    Raises:
        ValueError: the window does not fit into the photo, or the density is unusable.
    """
    cells = _checked(density, photo_size)
    (width, height), (photo_width, photo_height) = window_size, photo_size
    if not (1 <= width <= photo_width and 1 <= height <= photo_height):
        raise ValueError(
            f"expected a window that fits into the {photo_width}x{photo_height} photo, "
            f"got {width}x{height}"
        )
    rows, columns = cells.shape
    xs = _candidates(columns, length=width, full=photo_width)
    ys = _candidates(rows, length=height, full=photo_height)
    down = _mass_below(cells, ys + height, photo_height) - _mass_below(cells, ys, photo_height)
    across = np.ascontiguousarray(down.T)
    mass = _mass_below(across, xs + width, photo_width) - _mass_below(across, xs, photo_width)
    x, y = _nearest_the_middle(mass.T, xs, ys, window_size=window_size, photo_size=photo_size)
    return Window(x, y, width, height)


def centred(window_size: Size, photo_size: Size) -> Window:
    """Return the window of a given size in the middle of the photo, where half pixels round down.

    Raises:
        ValueError: the window does not fit into the photo.
    """
    (width, height), (photo_width, photo_height) = window_size, photo_size
    if not (1 <= width <= photo_width and 1 <= height <= photo_height):
        raise ValueError(
            f"expected a window that fits into the {photo_width}x{photo_height} photo, "
            f"got {width}x{height}"
        )
    return Window((photo_width - width) // 2, (photo_height - height) // 2, width, height)


def share(density: NDArray[np.floating], window: Window, photo_size: Size) -> float:
    """Return the part of the whole density that a window holds, 0 to 1.

    Raises:
        ValueError: the window reaches out of the photo, or the density is unusable.
    """
    cells = _checked(density, photo_size)
    photo_width, photo_height = photo_size
    right, bottom = window.x + window.width, window.y + window.height
    if not (0 <= window.x < right <= photo_width and 0 <= window.y < bottom <= photo_height):
        raise ValueError(
            f"expected a window inside the {photo_width}x{photo_height} photo: {window}"
        )
    top_and_bottom = _mass_below(cells, np.array([window.y, bottom]), photo_height)
    strip = top_and_bottom[1] - top_and_bottom[0]
    left_and_right = _mass_below(strip[:, np.newaxis], np.array([window.x, right]), photo_width)
    return float((left_and_right[1, 0] - left_and_right[0, 0]) / cells.sum())


def _checked(density: NDArray[np.floating], photo_size: Size) -> NDArray[np.float64]:
    """Return the density as float64, refusing what has no maximum or no place on the photo."""
    if photo_size[0] < 1 or photo_size[1] < 1:
        raise ValueError(f"expected a photo size of at least 1x1, got {photo_size}")
    cells = np.asarray(density, dtype=np.float64)
    if cells.ndim != 2 or cells.size == 0:
        raise ValueError(f"expected a density of rows x columns, got shape {cells.shape}")
    total = cells.sum()
    if not (np.isfinite(total) and total > 0 and cells.min() >= 0):
        raise ValueError("expected a finite density, nowhere below 0 and not 0 everywhere")
    return cells


def _mass_below(
    cells: NDArray[np.float64], positions: NDArray[np.int64], full: int
) -> NDArray[np.float64]:
    """Return the mass before each pixel position along the first axis, one row per position.

    The axis covers `full` pixels. Division of whole numbers finds the cell that a position falls
    into, so an edge that meets a cell's border exactly is not thrown off by rounding.
    """
    count = len(cells)
    index, remainder = np.divmod(positions * count, full)
    before = np.concatenate([np.zeros((1, cells.shape[1])), np.cumsum(cells, axis=0)])
    part = (remainder / full)[:, np.newaxis] * cells[np.minimum(index, count - 1)]
    return np.asarray(before[index] + part)


def _candidates(count: int, *, length: int, full: int) -> NDArray[np.int64]:
    """Return the positions along one axis among which a best one is sure to be, sorted.

    They are the two ends, the middle, and the whole pixels on both sides of every position where
    the window's near or far edge meets a border between cells.
    """
    last = full - length
    borders = np.arange(count + 1, dtype=np.int64) * full
    down, up = borders // count, -(-borders // count)
    ends = np.array([0, last // 2, last], dtype=np.int64)
    every = np.sort(np.concatenate([ends, down, up, down - length, up - length]))
    every = every[(every >= 0) & (every <= last)]
    return every[np.diff(every, prepend=-1) > 0]


def _nearest_the_middle(
    mass: NDArray[np.float64],
    xs: NDArray[np.int64],
    ys: NDArray[np.int64],
    *,
    window_size: Size,
    photo_size: Size,
) -> tuple[int, int]:
    """Return (x, y) of the largest mass; of equal ones, the nearest to the middle."""
    rows, columns = np.nonzero(mass >= mass.max() * (1 - _TIE))
    # Twice the distance of the window's middle from the photo's, which is a whole number.
    aside = 2 * xs[columns] + window_size[0] - photo_size[0]
    above = 2 * ys[rows] + window_size[1] - photo_size[1]
    first = int(np.argmin(aside * aside + above * above))
    return int(xs[columns[first]]), int(ys[rows[first]])
