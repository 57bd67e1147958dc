"""The density of fixations that is common to all images: people look near the middle.

A center bias lives on a coarse grid laid over any image, in relative coordinates: (x / width,
y / height). It is a Gaussian kernel density estimate mixed with a small even share, so no place is
impossible. Every image weighs the same, however many fixations it has. The kernel is reflected at
the border, so no mass is lost and an even density stays even.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray
from scipy.ndimage import gaussian_filter

from saliency.fixations.scene import Scene

Grid = Float64[ndarray, "rows columns"]

GRID_SHAPE = (48, 64)
"""(rows, columns), as stored in models: finer than any bandwidth that fixations support."""

BANDWIDTHS = tuple(float(value) for value in np.geomspace(0.015, 0.15, 11).round(4))
UNIFORM_SHARES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
IMAGES_AT_ONCE = 256


@dataclass(frozen=True)
class Smoothing:
    """How fixations become a density.

    Attributes:
        bandwidth: standard deviation of the Gaussian as a share of the image's width and height.
        uniform_share: share of the mass that is spread evenly, above 0 and at most 1.
    """

    bandwidth: float
    uniform_share: float

    def __post_init__(self) -> None:
        """Refuse values that would leave a place impossible.

        Raises:
            ValueError: the bandwidth is not positive, or the share not in (0, 1].
        """
        if not 0 < self.bandwidth < math.inf:
            raise ValueError(f"expected a bandwidth above 0, got {self.bandwidth}")
        if not 0 < self.uniform_share <= 1:
            raise ValueError(f"expected a uniform share in (0, 1], got {self.uniform_share}")

    def mixed(self, share: Float64[ndarray, "..."], cell_count: int) -> Float64[ndarray, "..."]:
        """Return shares of cells with the even share mixed in; sums are kept."""
        return (1 - self.uniform_share) * share + self.uniform_share / cell_count


@dataclass(frozen=True, eq=False)
class CenterBias:
    """A density over relative coordinates, for images of every size.

    Attributes:
        log_grid: natural log of the share of fixations in each cell of a grid over the image.
    """

    log_grid: Float64[ndarray, "rows columns"]

    def __post_init__(self) -> None:
        """Refuse a grid in which a place is impossible.

        Raises:
            ValueError: the grid is empty or not finite everywhere.
        """
        if (
            self.log_grid.ndim != 2
            or not self.log_grid.size
            or not np.isfinite(self.log_grid).all()
        ):
            raise ValueError(
                f"expected a grid of finite log densities, got {self.log_grid.shape} with "
                f"{int((~np.isfinite(self.log_grid)).sum())} that are not finite"
            )

    def log_density(self, size: tuple[int, int]) -> Float64[ndarray, "height width"]:
        """Return the natural log of each pixel's share, for an image of `size` (height, width).

        The log is interpolated bilinearly between the cells' middles (half-pixel centres, the
        border repeated, no antialiasing: torch's `interpolate` with `align_corners=False`) and
        renormalised: `logsumexp` over the pixels is 0.

        Raises:
            ValueError: a side of the size is below 1.
        """
        height, width = size
        if height < 1 or width < 1:
            raise ValueError(f"expected a size of at least 1x1, got {width}x{height}")
        rows, columns = self.log_grid.shape
        down, across = _bilinear_weights(rows, height), _bilinear_weights(columns, width)
        log_density: Float64[ndarray, "height width"] = down @ self.log_grid @ across.T
        log_density -= log_density.max()
        log_density -= math.log(np.exp(log_density).sum())
        return log_density


class LeaveOneOut:
    """The center bias of the other images, for each image of a set."""

    def __init__(self, scenes: Sequence[Scene], smoothing: Smoothing | None = None) -> None:
        """Count the fixations of all scenes.

        Args:
            scenes: of one data set, each with at least one fixation, names unique.
            smoothing: None to choose it by cross-validation on the same scenes.

        Raises:
            ValueError: there are under two scenes, one has no fixation, or a name occurs twice.
        """
        if len(scenes) < 2:
            raise ValueError(f"expected at least 2 scenes, got {len(scenes)}: there is no other")
        self.smoothing = smoothing or choose_smoothing(scenes)
        self._scenes = {scene.name: scene for scene in scenes}
        if len(self._scenes) < len(scenes):
            raise ValueError(f"expected {len(scenes)} different names, got {len(self._scenes)}")
        self._counts = _mean_count_grid(scenes, GRID_SHAPE) * len(scenes)

    def without(self, name: str) -> CenterBias:
        """Return the center bias of all scenes but the named one.

        Raises:
            ValueError: there is no scene of this name.
        """
        if name not in self._scenes:
            raise ValueError(f"expected one of the {len(self._scenes)} scenes, got {name!r}")
        own = _mean_count_grid([self._scenes[name]], GRID_SHAPE)
        remaining = np.maximum(self._counts - own, 0.0)  # rounding may leave -1e-17
        return _smoothed(remaining / (len(self._scenes) - 1), self.smoothing)


def fit_center_bias(
    scenes: Sequence[Scene],
    *,
    smoothing: Smoothing | None = None,
    grid: tuple[int, int] = GRID_SHAPE,
    is_symmetric: bool = False,
) -> CenterBias:
    """Return the center bias of the scenes.

    Args:
        scenes: each with at least one fixation; each weighs the same.
        smoothing: None to choose it by cross-validation on the same scenes.
        grid: (rows, columns) of the grid.
        is_symmetric: average it with its mirror image, left to right.

    Raises:
        ValueError: there is no scene, or one has no fixation.
    """
    smoothing = smoothing or choose_smoothing(scenes, grid=grid)
    counts = _mean_count_grid(scenes, grid)
    if is_symmetric:
        counts = (counts + counts[:, ::-1]) / 2
    return _smoothed(counts, smoothing)


def choose_smoothing(
    scenes: Sequence[Scene],
    *,
    grid: tuple[int, int] = GRID_SHAPE,
    bandwidths: Sequence[float] = BANDWIDTHS,
    uniform_shares: Sequence[float] = UNIFORM_SHARES,
) -> Smoothing:
    """Return the smoothing under which each image's fixations are likeliest given the other images.

    Exact leave-one-image-out likelihood of all combinations; the mean over images of the mean log
    likelihood of their fixations. With one scene, which leaves nothing to learn from, the widest
    and most even smoothing. Ties go to the earlier candidate.

    Raises:
        ValueError: there is no scene, or one has no fixation.
    """
    total = _mean_count_grid(scenes, grid) * len(scenes)
    if len(scenes) == 1:
        return Smoothing(max(bandwidths), max(uniform_shares))
    candidates: dict[Smoothing, float] = {}
    for bandwidth in bandwidths:
        shares, weights = _shares_left_out(scenes, total, bandwidth)
        for uniform_share in uniform_shares:
            smoothing = Smoothing(bandwidth, uniform_share)
            candidates[smoothing] = float(weights @ np.log(smoothing.mixed(shares, total.size)))
    return max(candidates, key=candidates.__getitem__)


def _shares_left_out(
    scenes: Sequence[Scene], total: Grid, bandwidth: float
) -> tuple[Float64[ndarray, " fixations"], Float64[ndarray, " fixations"]]:
    """Return each fixation's share under the other images, and its weight in its image."""
    blurred_total = _blurred(total[None], bandwidth)[0]
    shares, weights = [], []
    for start in range(0, len(scenes), IMAGES_AT_ONCE):
        part = scenes[start : start + IMAGES_AT_ONCE]
        counts = np.stack([_mean_count_grid([scene], total.shape) for scene in part])
        image, row, column = np.nonzero(counts)
        own = _blurred(counts, bandwidth)[image, row, column]
        # Blurring is linear: the others are the total without this image.
        shares.append((blurred_total[row, column] - own) / (len(scenes) - 1))
        weights.append(counts[image, row, column])
    return np.maximum(np.concatenate(shares), 0.0), np.concatenate(weights)


def _mean_count_grid(scenes: Sequence[Scene], grid: tuple[int, ...]) -> Grid:
    """Return the share of fixations in each cell, averaged over the scenes."""
    if not scenes:
        raise ValueError("expected at least one scene, got none: no center bias follows from none")
    rows, columns = grid
    counts = np.zeros(rows * columns)
    for scene in scenes:
        if len(scene.fixations) == 0:
            raise ValueError(f"{scene.name}: expected at least one fixation, got none")
        cells = _cells(scene, rows, columns)
        counts += np.bincount(cells, minlength=rows * columns) / (len(cells) * len(scenes))
    return counts.reshape(rows, columns)


def _cells(scene: Scene, rows: int, columns: int) -> Int64[ndarray, " fixations"]:
    """Return the number of the cell in which each fixation lies, counted row by row."""
    scale = np.array([columns / scene.width, rows / scene.height])
    last = (columns - 1, rows - 1)  # rounding may carry a fixation at the far border over it
    column, row = np.minimum(np.floor(scene.fixations * scale).astype(np.int64), last).T
    return np.asarray(row * columns + column)


def _smoothed(counts: Grid, smoothing: Smoothing) -> CenterBias:
    density = smoothing.mixed(_blurred(counts[None], smoothing.bandwidth)[0], counts.size)
    return CenterBias(np.log(density / density.sum()))


def _blurred(
    counts: Float64[ndarray, "images rows columns"], bandwidth: float
) -> Float64[ndarray, "images rows columns"]:
    sigmas = (0, bandwidth * counts.shape[1], bandwidth * counts.shape[2])
    blurred = gaussian_filter(counts, sigmas, mode="reflect")
    return np.asarray(blurred, np.float64)


def _bilinear_weights(cell_count: int, pixel_count: int) -> Float64[ndarray, "pixels cells"]:
    """Return each pixel's weights of the cells, along one axis: half-pixel centres."""
    position = (np.arange(pixel_count) + 0.5) * cell_count / pixel_count - 0.5
    distance = np.abs(np.clip(position, 0, cell_count - 1)[:, None] - np.arange(cell_count))
    return np.asarray(np.maximum(1 - distance, 0.0))
