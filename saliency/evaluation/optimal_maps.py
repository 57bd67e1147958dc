"""The map that is right for each metric, all from one predicted density.

A density contains everything that a model predicts; each metric rewards another map made from it
(Kümmerer, Wallis & Bethge, "Saliency benchmarking made easy", ECCV 2018):

- information gain, and the areas under ROC against all or all missed pixels: the log density;
- shuffled AUC: the density divided by that of the non-fixations, the center bias;
- NSS: the density;
- CC and KL: what is expected of the empirical density, which is the density blurred as the
  empirical one is;
- SIM: the map of most expected similarity with the empirical density of as many fixations.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Float64, Real
from numpy import ndarray

Map = Float64[ndarray, "height width"]
Few = Float64[ndarray, "rows columns"]
LogDensity = Float[ndarray, "height width"]

SMALL = 1e-30
"""Keeps a share of a pixel from being 0 where it divides."""

BISECTIONS = 30

CELLS_PER_SIGMA = 6.0
"""Blurring is done on cells so small that they do not show in what is blurred."""


@dataclass(frozen=True, eq=False)
class MetricMaps:
    """One map for each metric; all of the image's size.

    Attributes:
        auc: for both areas under ROC that compare with pixels.
        shuffled_auc: for the area under ROC against fixations of other images.
        nss: for NSS.
        expected: for CC and KL.
        similarity: for SIM.
    """

    auc: Real[ndarray, "height width"]
    shuffled_auc: Real[ndarray, "height width"]
    nss: Real[ndarray, "height width"]
    expected: Real[ndarray, "height width"]
    similarity: Real[ndarray, "height width"]


def one_map(saliency_map: Real[ndarray, "height width"]) -> MetricMaps:
    """Return the same map for every metric, for maps that are not a density."""
    return MetricMaps(saliency_map, saliency_map, saliency_map, saliency_map, saliency_map)


def optimal_maps(
    log_density: LogDensity, *, baseline: Map, sigma_px: float, fixation_count: float
) -> MetricMaps:
    """Return the map for each metric under which a density is expected to score best.

    Args:
        log_density: natural log of each pixel's share.
        baseline: log density of the non-fixations, of the same size.
        sigma_px: deviation of the blur that makes the empirical density.
        fixation_count: how many fixations make one, as far as a model can know.
    """
    density = np.exp(log_density.astype(np.float64))
    cells = _Cells.of(density.shape, sigma_px)
    small = cells.shrunk(density)
    expected = cells.convolved(small, sigma_px)
    # The kernel's square is a narrower kernel, divided by 4πσ².
    squared = cells.convolved(small, sigma_px / math.sqrt(2)) / (4 * math.pi * sigma_px**2)
    variance = np.maximum(squared - expected**2, 0.0) / fixation_count
    return MetricMaps(
        auc=log_density,
        shuffled_auc=log_density - baseline,
        nss=density,
        expected=cells.enlarged(expected),
        similarity=cells.enlarged(_similarity_map(expected, variance, cells.inside)),
    )


def blurred(density: Map, sigma_px: float) -> Map:
    """Return a density under a Gaussian; mass over the border is lost, and the rest scaled up."""
    cells = _Cells.of(density.shape, sigma_px)
    return cells.enlarged(cells.convolved(cells.shrunk(density), sigma_px))


@dataclass(frozen=True, eq=False)
class _Cells:
    """Cells of whole pixels, small beside a Gaussian, over an image and one cell around it.

    Attributes:
        shape: (height, width) of the image.
        step: pixels along a side of a cell.
        inside: share of each cell that is of the image.
    """

    shape: tuple[int, int]
    step: int
    inside: Few

    @classmethod
    def of(cls, shape: tuple[int, ...], sigma_px: float) -> "_Cells":
        height, width = shape
        step = max(1, int(sigma_px / CELLS_PER_SIGMA))
        inside = _shrunk(np.ones((height, width)), step)
        return cls((height, width), step, inside)

    def shrunk(self, values: Map) -> Few:
        """Return the mean of each cell, zeros around the image included."""
        return _shrunk(values, self.step)

    def convolved(self, small: Few, sigma_px: float) -> Few:
        """Return cells under a Gaussian cut at four deviations, scaled to sum to 1 inside."""
        # The mean over a cell has spread its values a little already.
        sigma = math.sqrt(sigma_px**2 - (self.step**2 - 1) / 12) / self.step
        side = 2 * int(4 * sigma + 0.5) + 1
        spread = cv2.GaussianBlur(small, (side, side), sigma, borderType=cv2.BORDER_CONSTANT)
        spread = np.maximum(spread, SMALL)
        return np.asarray(spread / ((spread * self.inside).sum() * self.step**2))

    def enlarged(self, few: Few) -> Map:
        """Return a smooth density over the image's pixels."""
        rows, columns = (count * self.step for count in few.shape)
        full = cv2.resize(few, (columns, rows), interpolation=cv2.INTER_CUBIC)
        height, width = self.shape
        image = np.maximum(full[self.step :, self.step :][:height, :width], 0.0)
        return np.asarray(image / image.sum())


def _shrunk(values: Map, step: int) -> Few:
    around = [(step, step + -length % step) for length in values.shape]
    padded = np.pad(values, around)
    size = (padded.shape[1] // step, padded.shape[0] // step)
    return np.asarray(cv2.resize(padded, size, interpolation=cv2.INTER_AREA))


def _similarity_map(mean: Few, variance: Few, inside: Few) -> Few:
    """Return the density of most expected similarity with an empirical density.

    E Σ min(P, Q), over densities P, is greatest where the chance of Q > P is one and the same at
    every pixel: its derivative in P. So P is a quantile of Q, the same one everywhere, and such
    that it sums to 1. Q is a mean of independent blurred fixations; its mean m and variance v at a
    pixel follow from the density, and its distribution is taken to be the gamma of these moments,
    with the quantile of Wilson & Hilferty (1931): m (1 − r²/9 + z r/3)³ with r² = v/m².

    Args:
        mean: expected empirical density.
        variance: of the empirical density.
        inside: weight of each cell.
    """
    spread = np.sqrt(variance) / mean
    low, high = -8.0, 8.0  # in deviations: no quantile lies beyond
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        is_much = (_quantile(mean, spread, middle) * inside).sum() > (mean * inside).sum()
        low, high = (low, middle) if is_much else (middle, high)
    return _quantile(mean, spread, high)


def _quantile(mean: Few, spread: Few, z: float) -> Few:
    root = np.maximum(1 - spread * spread / 9 + z * spread / 3, 0.0)
    return np.asarray(mean * root * root * root)
