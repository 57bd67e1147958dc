"""The crop window that holds the most density, found exactly. Pure arithmetic.

A density of any grid is laid over the whole photo: a cell covers photo width / columns by photo
height / rows pixels, evenly, so an edge of a window may cut through a cell and takes its part of
it. Windows lie on whole pixels of the photo; a photo's size is (width, height).
"""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from saliency.crop_windows.summed_area_table import Positions, ShareTable, share
from saliency.geometry import Size, Window, largest_size, parse_aspect

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


# Sums of the same cells in another order differ in the last digits of a float64 (about 1e-16 of
# the whole density each); shares this close to the largest, relative to it, are the same share.
_TIE, _LEAST_TIE = 1e-9, 1e-13


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


def check_fits(window_size: Size, photo_size: Size) -> None:
    """Refuse a window that is larger than the photo, or has no pixels.

    Raises:
        ValueError: the window does not fit.
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


def _best_in(table: ShareTable, window_size: Size) -> Window:
    """Return the window of a size that holds the most, trying every position that it may have."""
    check_fits(window_size, table.photo_size)
    xs, ys = table.positions(window_size)
    values = table.shares(xs, ys, window_size)
    return largest(values, xs, ys, window_size=window_size, photo_size=table.photo_size)
