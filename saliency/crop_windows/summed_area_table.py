"""A density summed up once, so that the share of any window is a few look-ups."""

import cv2
import numpy as np
from numpy.typing import NDArray

from saliency.geometry import Size, Window

Positions = NDArray[np.int64]
"""Whole pixels along one axis of the photo, sorted."""


class ShareTable:
    """A density summed up once, so that the shares of many windows are a few look-ups each.

    It contains the share above and to the left of every corner of a cell. Between the corners of a
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

    def sums(self, xs: Positions, ys: Positions) -> NDArray[np.float64]:
        """Return the share above and to the left of every x and y, of shape (ys, xs)."""
        rows = _rows_at(self._below, ys, self.photo_size[1])
        return np.asarray(_rows_at(np.ascontiguousarray(rows.T), xs, self.photo_size[0]).T)

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
        """Return xs and ys that are certain to include a position of the largest share.

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


def share(density: NDArray[np.floating], window: Window, photo_size: Size) -> float:
    """Return the part of the whole density that a window holds, 0 to 1.

    Raises:
        ValueError: the window reaches out of the photo, or the density is unusable.
    """
    return ShareTable(density, photo_size).share(window)


def sorted_once(positions: Positions) -> Positions:
    """Return positions sorted, each once; several times faster than np.unique for a few hundred."""
    every = np.sort(positions)
    is_first = np.ones(len(every), dtype=np.bool_)
    np.not_equal(every[1:], every[:-1], out=is_first[1:])
    return np.asarray(every[is_first])


def _checked(density: NDArray[np.floating], photo_size: Size) -> NDArray[np.floating]:
    """Return the density as float32 or float64; refuse an unusable one."""
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
    """Return positions along one axis, sorted, that are certain to include a best one.

    They are the two ends, the middle, and the whole pixels on both sides of every position where
    the window's near or far edge meets a border between cells.
    """
    last = full - length
    borders = np.arange(count + 1, dtype=np.int64) * full
    down, up = borders // count, -(-borders // count)
    ends = np.array([0, last // 2, last], dtype=np.int64)
    every = np.concatenate([ends, down, up, down - length, up - length])
    return sorted_once(every[(every >= 0) & (every <= last)])
