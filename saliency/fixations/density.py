"""The density of fixations: each blurred by a Gaussian."""

import math

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from saliency.fixations.scene import Fixations, pixel_indexes

FIXATIONS_AT_ONCE = 1000
"""Fixations that are blurred at a time, to bound memory."""


def empirical_density(
    fixations: Fixations, *, width: int, height: int, sigma_px: float
) -> Float64[ndarray, "height width"]:
    """Return the density of the fixations, blurred by a Gaussian; it sums to 1.

    Repeated fixations count repeatedly. Mass that the blur carries over the border is lost, and
    the rest scaled up: what the picture does not show cannot be looked at.

    Args:
        fixations: (x, y) in pixels of the image.
        width: of the image, in pixels.
        height: of the image, in pixels.
        sigma_px: standard deviation of the Gaussian; by custom one degree of visual angle.

    Raises:
        ValueError: there is no fixation, or `sigma_px` is not positive.
    """
    if len(fixations) == 0:
        raise ValueError("expected at least one fixation, got none: no density follows from none")
    if not 0 < sigma_px < math.inf:
        raise ValueError(f"expected sigma_px above 0, got {sigma_px}")
    columns, rows = pixel_indexes(fixations, width=width, height=height).T
    blurred = np.zeros((height, width))
    for start in range(0, len(fixations), FIXATIONS_AT_ONCE):
        part = slice(start, start + FIXATIONS_AT_ONCE)
        # A Gaussian is the product of one along each side: far less work than blurring all pixels.
        blurred += _bells(rows[part], height, sigma_px) @ _bells(columns[part], width, sigma_px).T
    density: Float64[ndarray, "height width"] = blurred / blurred.sum()
    return density


def _bells(
    middles: Int64[ndarray, " fixations"], length: int, sigma_px: float
) -> Float64[ndarray, "length fixations"]:
    """Return a Gaussian around each middle along one side of an image, cut at four deviations."""
    distance = np.arange(length)[:, None] - middles
    bells = np.exp(-((distance / sigma_px) ** 2) / 2)
    return np.asarray(np.where(np.abs(distance) <= int(4 * sigma_px + 0.5), bells, 0.0))
