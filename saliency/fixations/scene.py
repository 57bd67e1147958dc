"""Scenes: photos with the fixations that observers made on them, in one frame of coordinates.

A fixation is (x, y) in pixels of the upright photo. The origin is the top left *corner* of the top
left pixel, so the middle of that pixel is (0.5, 0.5) and every fixation has x in [0, width) and
y in [0, height).
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

Fixations = Float64[ndarray, "fixations xy=2"]

FAR_SHARE = 0.05
"""A fixation further outside than this share of the photo's longer side is a fault of the data."""

DEGREE_SHARE = 0.03
"""One degree of visual angle as a share of the photo's width, where the data set states none.

OSIE showed 800 px at 24 px for a degree, and most sets were shown at a similar size.
"""


@dataclass(frozen=True, eq=False)
class Scene:
    """One photo and the fixations made on it by all its observers.

    Attributes:
        name: unique among all data sets in use: `<dataset>/<file name>`.
        path: the image file.
        width: of the upright photo, in pixels.
        height: of the upright photo, in pixels.
        fixations: (x, y) in pixels, inside the photo; the frame is this module's.
        observers: who made each fixation; numbers are the same person within one data set.
        degree_px: pixels for one degree of visual angle, None where the data set does not state it.
        published_part: `train` or `validation`, as the data set's authors split it; None where
            they do not.
    """

    name: str
    path: Path
    width: int
    height: int
    fixations: Float64[ndarray, "fixations xy=2"]
    observers: Int64[ndarray, " fixations"]
    degree_px: float | None = None
    published_part: str | None = None

    def __post_init__(self) -> None:
        """Refuse values that the rest of the package would silently misread.

        Raises:
            ValueError: a shape is wrong, or a fixation is not finite or not inside the photo.
        """
        if self.width < 1 or self.height < 1:
            raise ValueError(f"{self.name}: expected a photo, got {self.width}x{self.height} px")
        if self.fixations.ndim != 2 or self.fixations.shape[1] != 2:
            raise ValueError(
                f"{self.name}: expected fixations of shape (count, 2), got {self.fixations.shape}"
            )
        if self.observers.shape != self.fixations.shape[:1]:
            raise ValueError(
                f"{self.name}: expected one observer for each of {len(self.fixations)} fixations, "
                f"got shape {self.observers.shape}"
            )
        inside = (self.fixations >= 0) & (self.fixations < (self.width, self.height))
        for x, y in self.fixations[~inside.all(axis=1)][:1]:
            raise ValueError(
                f"{self.name}: fixation ({x:g}, {y:g}) lies outside the "
                f"{self.width}x{self.height} image"
            )
        if self.degree_px is not None and not 0 < self.degree_px < math.inf:
            raise ValueError(f"{self.name}: expected degree_px above 0, got {self.degree_px}")

    @property
    def sigma_px(self) -> float:
        """Deviation in pixels of the blur that turns fixations into a density: one degree."""
        return self.width * DEGREE_SHARE if self.degree_px is None else self.degree_px


def bring_inside(
    fixations: Fixations, *, width: int, height: int, first_pixel: float
) -> tuple[Fixations, Int64[ndarray, " moved"], Int64[ndarray, " far"]]:
    """Return published fixations in this module's frame, and which were just and far outside.

    A fixation outside the photo by no more than `FAR_SHARE` of its longer side is calibration
    error: it moves to the middle of the nearest border pixel (the middle, because the border
    itself would be rounded out of the photo in single precision).

    Args:
        fixations: (x, y) as published.
        width: of the photo, in pixels.
        height: of the photo, in pixels.
        first_pixel: the published coordinate of the middle of the first pixel: 1.0 where MATLAB
            wrote it, 0.5 in this module's frame.

    Returns:
        All fixations; the indexes of those that were moved; the indexes of those that are far
        outside or not finite, which cannot be used.
    """
    corner_origin = fixations + (0.5 - first_pixel)
    size = np.array([width, height], dtype=np.float64)
    overshoot = np.maximum(-corner_origin, corner_origin - size).max(axis=1, initial=-np.inf)
    # Written so that NaN, which compares false with everything, counts as far outside.
    is_far = ~(overshoot <= FAR_SHARE * size.max())
    is_outside = (corner_origin < 0) | (corner_origin >= size)
    inside = np.where(is_outside, np.clip(corner_origin, 0.5, size - 0.5), corner_origin)
    return inside, np.flatnonzero(is_outside.any(axis=1) & ~is_far), np.flatnonzero(is_far)


def pixel_indexes(
    fixations: Fixations, *, width: int, height: int
) -> Int64[ndarray, "fixations xy=2"]:
    """Return the (column, row) of the pixel under each fixation.

    Index a map with `map[rows, columns]`. A coordinate outside the image, as single precision may
    leave one at the far border, gives the nearest pixel.
    """
    whole = np.floor(fixations).astype(np.int64)
    inside: Int64[ndarray, "fixations xy=2"] = np.clip(whole, 0, (width - 1, height - 1))
    return inside


def rescale_fixations(
    fixations: Fixations, *, from_size: tuple[int, int], to_size: tuple[int, int]
) -> Fixations:
    """Return fixations on a photo of `from_size` as they lie on it resized to `to_size`.

    Both sizes are (width, height). Rounding carries none over the far border.
    """
    size = np.array(to_size, np.float64)
    return np.asarray(np.minimum(fixations * (size / np.array(from_size)), np.nextafter(size, 0)))
