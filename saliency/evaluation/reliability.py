"""Whether a predicted density is calibrated: does a share of it contain that share of fixations?"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

LEVEL_COUNT = 20


def shares_by_level(
    log_density: Float[ndarray, "height width"], fixations: Float[ndarray, "fixations xy=2"]
) -> tuple[float, ...]:
    """Return the share of fixations in each twentieth of the predicted mass, densest first.

    Pixels are ordered by their density. The first twentieth are the densest ones that together
    hold 5 % of the predicted mass, the last are the emptiest. Of a calibrated density each has
    5 % of the fixations; of an over-confident one, the last ones have more.

    Args:
        log_density: natural log of each pixel's share.
        fixations: (x, y) in pixels, inside the image, at least one.
    """
    ordered = np.sort(log_density, axis=None)[::-1]
    mass = np.cumsum(np.exp(ordered.astype(np.float64)))
    columns, rows = fixations.astype(np.int64).T
    # The middle of the run of equal values, so that an even density is calibrated too.
    values = log_density[rows, columns]
    before = np.searchsorted(-ordered, -values, side="left")
    after = np.searchsorted(-ordered, -values, side="right")
    level = (mass[after - 1] + np.where(before > 0, mass[before - 1], 0.0)) / 2 / mass[-1]
    places = np.minimum((level * LEVEL_COUNT).astype(np.int64), LEVEL_COUNT - 1)
    counts = np.bincount(places, minlength=LEVEL_COUNT)
    return tuple(float(share) for share in counts / len(fixations))
