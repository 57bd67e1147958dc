"""The score of a window: its share of the density, its distance from the middle, its balance.

The score of a window is

    share − |c|² − 0.8·|b|²

`share` is the part of the density inside. c is the distance of the window's middle from the
photo's, in shares of the photo's sides: a move has to be worth it. b is the distance of the
density's centroid inside the window from the window's middle, in shares of the window's sides: what
people look at should be in the middle of the crop.

The two weights are a compromise between people's crops and people's fixations: on 250 photos, each
cropped by ten people (FLMS), the score overlaps people's crops with an IoU of 0.758 and 0.752 on
either half, density alone with 0.739 and 0.734; a larger weight of balance overlaps them more, and
keeps fewer fixations (`docs/results.md`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from saliency.crop_windows.summed_area_table import Positions, ShareTable
from saliency.geometry import Size, Window

MIDDLE_WEIGHT = 1.0
BALANCE_WEIGHT = 0.8


class _Moment(NamedTuple):
    """The density weighted by a coordinate, summed up, and its mean over the photo."""

    table: ShareTable
    mean: float


class WindowScore:
    """The score of windows on one photo, a few look-ups for each."""

    def __init__(self, density: NDArray[np.floating], table: ShareTable) -> None:
        """Sum up the first moments of a density.

        Args:
            density: grid over the whole photo.
            table: the same, summed up.
        """
        self._table = table
        rows, columns = density.shape
        total = float(density.sum(dtype=np.float64))
        across = (np.arange(columns, dtype=np.float32) + 0.5) / columns
        down = ((np.arange(rows, dtype=np.float32) + 0.5) / rows)[:, np.newaxis]
        self._across, self._down = (
            _Moment(
                ShareTable(weighted, table.photo_size),
                float(weighted.sum(dtype=np.float64)) / total,
            )
            for weighted in (density * across, density * down)
        )

    def scores(self, xs: Positions, ys: Positions, window_size: Size) -> NDArray[np.float64]:
        """Return the score of the windows of a size at every x and y, of shape (ys, xs)."""
        width, height = self._table.photo_size
        wide, high = window_size[0] / width, window_size[1] / height
        middle_x = xs / width + wide / 2
        middle_y = (ys / height + high / 2)[:, np.newaxis]
        shares = self._table.shares(xs, ys, window_size)
        held = np.maximum(shares, np.finfo(np.float64).tiny)
        off = np.zeros_like(shares)
        for moment, middle, side in (
            (self._across, middle_x, wide),
            (self._down, middle_y, high),
        ):
            centroid = moment.table.shares(xs, ys, window_size) * moment.mean / held
            aside = np.clip(
                (centroid - middle) / side, -0.5, 0.5
            )  # of windows with almost no density
            off += MIDDLE_WEIGHT * (middle - 0.5) ** 2 + BALANCE_WEIGHT * aside**2
        return np.asarray(shares - off)

    def score(self, window: Window) -> float:
        """Return the score of one window."""
        x, y = np.array([window.x]), np.array([window.y])
        return float(self.scores(x, y, window.size)[0, 0])
