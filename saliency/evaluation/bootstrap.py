"""The uncertainty of a mean over images: SciPy's bootstrap, always called in one way.

Images are drawn with replacement as often as there are images, many times over; the spread of the
statistic over the draws is that over other images of the same kind (Efron & Tibshirani, "An
introduction to the bootstrap", 1993).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64
from numpy import ndarray
from scipy import stats

RESAMPLE_COUNT = 10_000
CONFIDENCE = 0.95
VALUES_AT_ONCE = 4_000_000


class Spread(NamedTuple):
    """Standard error of a statistic over images, and the ends of its interval (percentiles)."""

    standard_error: float
    low: float
    high: float


def spread_of_mean(values: Float64[ndarray, " images"], *, seed: int) -> Spread:
    """Return the uncertainty of the mean of a value over images.

    Raises:
        ValueError: there are fewer than two images.
    """
    return _spread((values,), np.mean, seed=seed)


def spread_of_ratio(
    part: Float64[ndarray, " images"], whole: Float64[ndarray, " images"], *, seed: int
) -> Spread:
    """Return the uncertainty of the ratio of two means over the same images.

    Both means are over the same draws, so that the difficulty of an image cancels out.

    Raises:
        ValueError: there are fewer than two images.
    """

    def ratio(parts: Any, wholes: Any, axis: int) -> Any:
        return parts.mean(axis=axis) / wholes.mean(axis=axis)

    return _spread((part, whole), ratio, seed=seed)


def _spread(samples: tuple[Any, ...], statistic: Callable[..., Any], *, seed: int) -> Spread:
    count = len(samples[0])
    if count < 2:
        raise ValueError(f"expected at least two images to draw from, got {count}")
    if all(np.ptp(sample) == 0 for sample in samples):  # SciPy warns where there is no spread
        value = float(statistic(*samples, axis=0))
        return Spread(0.0, value, value)
    found = stats.bootstrap(
        samples,
        statistic,
        n_resamples=RESAMPLE_COUNT,
        batch=max(1, VALUES_AT_ONCE // count),
        paired=True,
        vectorized=True,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    ends = found.confidence_interval
    return Spread(float(found.standard_error), float(ends.low), float(ends.high))
