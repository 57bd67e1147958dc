"""How far a mean over images may be off: resampling the images.

Images are drawn with replacement as often as there are images, many times over; the spread of the
means over the draws is that of the mean over other images of the same kind (Efron & Tibshirani,
"An introduction to the bootstrap", 1993). Columns that are averaged over the *same* draws, such as
two models, are compared image by image: what makes an image hard for both cancels out.
"""

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

RESAMPLE_COUNT = 10_000
CONFIDENCE = 0.95
VALUES_AT_ONCE = 4_000_000


def resampled_means(
    table: Float64[ndarray, "images columns"], *, seed: int, count: int = RESAMPLE_COUNT
) -> Float64[ndarray, "resamples columns"]:
    """Return the means of the columns over images drawn anew, one row for each draw.

    Raises:
        ValueError: there is no image.
    """
    image_count = len(table)
    if not image_count:
        raise ValueError("expected at least one image to draw from, got none")
    generator = np.random.default_rng(seed)
    even = np.full(image_count, 1 / image_count)
    means = []
    batch = max(1, VALUES_AT_ONCE // image_count)  # memory does not grow with the images
    for start in range(0, count, batch):
        times_drawn = generator.multinomial(image_count, even, size=min(batch, count - start))
        means.append(times_drawn @ table / image_count)
    return np.concatenate(means)


def interval(
    resampled: Float64[ndarray, " resamples"], *, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Return the percentiles between which the middle `confidence` of resampled values lies."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return float(low), float(high)
