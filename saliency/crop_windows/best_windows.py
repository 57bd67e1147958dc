"""The crop window that holds the most density, found exactly. Pure arithmetic.

A density of any grid is laid over the whole photo: a cell covers photo width / columns by photo
height / rows pixels, evenly, so an edge of a window may cut through a cell and takes its part of
it. Windows lie on whole pixels of the photo; a photo's size is (width, height).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from saliency.geometry import Size, largest_size, parse_aspect

__all__ = [
    "ShareTable",
    "Window",
    "best_window",
    "best_windows",
    "centred",
    "largest_size",
    "parse_aspect",
    "share",
]

Positions = NDArray[np.int64]
"""Whole pixels along one axis of the photo, sorted."""

# Sums of the same cells in another order differ in the last digits of a float64 (about 1e-16 of
# the whole density each); shares this close to the largest, relative to it, are the same share.
_TIE, _LEAST_TIE = 1e-9, 1e-13


@dataclass(frozen=True)
class Window:
    """A rectangle of whole pixels, (x, y) its top left corner in the upright photo."""

    x: int
    y: int
    width: int
    height: int

    @property
    def size(self) -> Size:
        """Width and height."""
        return self.width, self.height

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom edge; right and bottom are the first pixels outside."""
        return self.x, self.y, self.x + self.width, self.y + self.height

    def moved(self, x: int, y: int) -> "Window":
        """Return the window so many pixels further to the right and down."""
        return Window(self.x + x, self.y + y, self.width, self.height)

    def common(self, other: "Window") -> "Window | None":
        """Return the part that lies in another window too, None where there is none."""
        left, top = max(self.x, other.x), max(self.y, other.y)
        right, bottom = min(self.box[2], other.box[2]), min(self.box[3], other.box[3])
        if left >= right or top >= bottom:
            return None
        return Window(left, top, right - left, bottom - top)


class ShareTable:
    """A density summed up once, so that the shares of many windows are a few look-ups each.

    It holds the share above and to the left of every corner of a cell. Between the corners of a
    cell that share is bilinear, as the density inside a cell is even, so it is exact anywhere.

    Attributes:
        photo_size: width and height of the photo, in pixels.
        grid_size: columns and rows of the density.
    """

    def __init__(self, density: NDArray[np.floating], photo_size: Size) -> None:
        """Sum up a density.

        Args:
            density: what each cell of a grid over the whole photo holds, at least 0; any scale.
            photo_size: width and height of the photo, in pixels.

        Raises:
            ValueError: the density or the photo's size is unusable.
        """
        cells = _checked(density, photo_size)
        rows, columns = cells.shape
        self.photo_size = photo_size
        self.grid_size = columns, rows
        below = cv2.integral(cells, sdepth=cv2.CV_64F)
        total = below[-1, -1]
        if not (np.isfinite(total) and total > 0):
            raise ValueError("expected a finite density that is not 0 everywhere")
        self._below = below / total

    def share(self, window: Window) -> float:
        """Return the part of the whole density that a window holds, 0 to 1.

        Raises:
            ValueError: the window reaches out of the photo.
        """
        photo_width, photo_height = self.photo_size
        right, bottom = window.x + window.width, window.y + window.height
        if not (0 <= window.x < right <= photo_width and 0 <= window.y < bottom <= photo_height):
            raise ValueError(
                f"expected a window inside the {photo_width}x{photo_height} photo: {window}"
            )
        lower = self._up_to(right, bottom) - self._up_to(window.x, bottom)
        upper = self._up_to(right, window.y) - self._up_to(window.x, window.y)
        return min(max(lower - upper, 0.0), 1.0)

    def shares(self, xs: Positions, ys: Positions, window_size: Size) -> NDArray[np.float64]:
        """Return the share of the windows of a size at every x and y, of shape (ys, xs)."""
        (width, height), (photo_width, photo_height) = window_size, self.photo_size
        rows = _rows_at(self._below, np.concatenate([ys, ys + height]), photo_height)
        across = np.ascontiguousarray((rows[len(ys) :] - rows[: len(ys)]).T)
        columns = _rows_at(across, np.concatenate([xs, xs + width]), photo_width)
        return np.asarray((columns[len(xs) :] - columns[: len(xs)]).T)

    def _up_to(self, x: int, y: int) -> float:
        """Return the share above and to the left of a pixel's corner, as `shares` finds it."""
        (columns, rows), (width, height) = self.grid_size, self.photo_size
        (column, right), (row, below) = divmod(x * columns, width), divmod(y * rows, height)
        next_column, next_row = min(column + 1, columns), min(row + 1, rows)
        table = self._below
        upper = table.item(row, column) * (width - right) + table.item(row, next_column) * right
        lower = table.item(next_row, column) * (width - right)
        lower += table.item(next_row, next_column) * right
        return float((upper * (height - below) + lower * below) / (width * height))

    def positions(self, window_size: Size) -> tuple[Positions, Positions]:
        """Return the xs and ys among which a position of the largest share is sure to be.

        Between two positions at which an edge of the window passes from one cell into the next,
        the share is linear in x and linear in y, so its maximum over whole pixels lies beside such
        a passing, or anywhere between when it is constant there: then the middle, where it lies
        between, or the passing nearest to it is the one wanted.
        """
        (width, height), (photo_width, photo_height) = window_size, self.photo_size
        columns, rows = self.grid_size
        return (
            _passings(columns, length=width, full=photo_width),
            _passings(rows, length=height, full=photo_height),
        )


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
    table = ShareTable(density, photo_size)
    return [_best_in(table, largest_size(photo_size, one)) for one in parsed]


def best_window(density: NDArray[np.floating], window_size: Size, photo_size: Size) -> Window:
    """Return the window of a given size, at any whole pixel, that holds the most density.

    Ties go to the position nearest the middle, then to the upper, then to the left one.

    Raises:
        ValueError: the window does not fit into the photo, or the density is unusable.
    """
    return _best_in(ShareTable(density, photo_size), window_size)


def centred(window_size: Size, photo_size: Size) -> Window:
    """Return the window of a given size in the middle of the photo, where half pixels round down.

    Raises:
        ValueError: the window does not fit into the photo.
    """
    check_fits(window_size, photo_size)
    (width, height), (photo_width, photo_height) = window_size, photo_size
    return Window((photo_width - width) // 2, (photo_height - height) // 2, width, height)


def share(density: NDArray[np.floating], window: Window, photo_size: Size) -> float:
    """Return the part of the whole density that a window holds, 0 to 1.

    Raises:
        ValueError: the window reaches out of the photo, or the density is unusable.
    """
    return ShareTable(density, photo_size).share(window)


def check_fits(window_size: Size, photo_size: Size) -> None:
    """Refuse a window that is larger than the photo, or has no pixels.

    Raises:
        ValueError: it is one.
    """
    (width, height), (photo_width, photo_height) = window_size, photo_size
    if not (1 <= width <= photo_width and 1 <= height <= photo_height):
        raise ValueError(
            f"expected a window that fits into the {photo_width}x{photo_height} photo, "
            f"got {width}x{height}"
        )


def largest(
    values: NDArray[np.float64],
    xs: Positions,
    ys: Positions,
    *,
    window_size: Size,
    photo_size: Size,
) -> Window:
    """Return the window of the largest value; of equal ones, the nearest to the middle.

    Args:
        values: of the windows at every x and y, of shape (ys, xs).
        xs: of their left edges.
        ys: of their upper edges.
        window_size: width and height of them all.
        photo_size: width and height of the photo.
    """
    top = values.max()
    rows, columns = np.nonzero(values >= top - max(abs(top) * _TIE, _LEAST_TIE))
    # Twice the distance of the window's middle from the photo's, which is a whole number.
    aside = 2 * xs[columns] + window_size[0] - photo_size[0]
    above = 2 * ys[rows] + window_size[1] - photo_size[1]
    first = int(np.argmin(aside * aside + above * above))
    return Window(int(xs[columns[first]]), int(ys[rows[first]]), *window_size)


def sorted_once(positions: Positions) -> Positions:
    """Return positions sorted, each once; several times faster than np.unique for a few hundred."""
    every = np.sort(positions)
    is_first = np.ones(len(every), dtype=np.bool_)
    np.not_equal(every[1:], every[:-1], out=is_first[1:])
    return np.asarray(every[is_first])


def _best_in(table: ShareTable, window_size: Size) -> Window:
    """Return the window of a size that holds the most, trying every position that it may have."""
    check_fits(window_size, table.photo_size)
    xs, ys = table.positions(window_size)
    values = table.shares(xs, ys, window_size)
    return largest(values, xs, ys, window_size=window_size, photo_size=table.photo_size)


def _checked(density: NDArray[np.floating], photo_size: Size) -> NDArray[np.floating]:
    """Return the density as float32 or float64, refusing what has no place on the photo."""
    if photo_size[0] < 1 or photo_size[1] < 1:
        raise ValueError(f"expected a photo size of at least 1x1, got {photo_size}")
    cells = np.asarray(density)
    if cells.ndim != 2 or cells.size == 0:
        raise ValueError(f"expected a density of rows x columns, got shape {cells.shape}")
    if cells.min() < 0:
        raise ValueError("expected a density that is nowhere below 0")
    return cells if cells.dtype in (np.float32, np.float64) else cells.astype(np.float64)


def _rows_at(table: NDArray[np.float64], positions: Positions, full: int) -> NDArray[np.float64]:
    """Return the rows of a table at pixel positions, interpolated between cells' borders.

    The first axis of the table, which has one row more than there are cells, covers `full` pixels.
    Division of whole numbers finds the cell that a position falls into, so an edge that meets a
    cell's border exactly is not thrown off by rounding.
    """
    count = len(table) - 1
    index, remainder = np.divmod(positions * count, full)
    before = table[index]
    part = (remainder / full)[:, np.newaxis]
    return np.asarray(before + part * (table[np.minimum(index + 1, count)] - before))


def _passings(count: int, *, length: int, full: int) -> Positions:
    """Return the positions along one axis among which a best one is sure to be, sorted.

    They are the two ends, the middle, and the whole pixels on both sides of every position where
    the window's near or far edge meets a border between cells.
    """
    last = full - length
    borders = np.arange(count + 1, dtype=np.int64) * full
    down, up = borders // count, -(-borders // count)
    ends = np.array([0, last // 2, last], dtype=np.int64)
    every = np.concatenate([ends, down, up, down - length, up - length])
    return sorted_once(every[(every >= 0) & (every <= last)])
