"""Fit the ten numbers of a data set to a trained model, without changing the model.

The model predicts each photo once. For a given blur the log density of a set is linear in the other
nine numbers, so that their likelihood has one maximum; blurs are tried in rising order for as long
as it rises. Every image weighs the same.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from numpy import ndarray
from scipy.optimize import minimize

from saliency.errors import DatasetError
from saliency.evaluation.metrics import information_gain_bits
from saliency.evaluation.reference import DatasetReference
from saliency.evaluation.scoring import read_photo_of
from saliency.fixations.scene import Scene, pixel_indexes, rescale_fixations
from saliency.model.dataset_bias import TERMS, bias_terms, blur_density
from saliency.model.dataset_bias_file import SetNumbers
from saliency.model.loading import Look, Predict

BLURS = tuple(float(blur) for blur in np.geomspace(0.002, 0.018, 7).round(4))
"""Deviations that are tried; a larger one would not fit into the kernel."""

FIT_COUNT = 200
"""Most images that are fitted to, spread evenly over those given."""

PENALTY = 1e-4
"""On the squared weights, for sets so small that a place is looked at by chance."""

LEAST_SHARPNESS = 0.05
TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class _Seen:
    """A model's prediction for one image, and where people looked on the same grid.

    Attributes:
        log_density: of the model.
        places: (row, column) of each fixation.
    """

    log_density: Float32[ndarray, "rows columns"]
    places: Int64[ndarray, "fixations yx=2"]

    @classmethod
    def of(cls, scene: Scene, look: Look) -> "_Seen":
        log_density = np.asarray(look(read_photo_of(scene)), np.float32)
        size = (log_density.shape[1], log_density.shape[0])
        fixations = rescale_fixations(
            scene.fixations, from_size=(scene.width, scene.height), to_size=size
        )
        columns, rows = pixel_indexes(fixations, width=size[0], height=size[1]).T
        return cls(log_density, np.stack([rows, columns], axis=1))


def fit_numbers(look: Look, scenes: Sequence[Scene]) -> SetNumbers:
    """Return the numbers under which the fixations of the scenes are likeliest.

    Args:
        look: the model.
        scenes: of one data set, without those used to judge the fit.

    Raises:
        DatasetError: there is no scene, or a photo is not of its scene's size.
        PhotoError: a photo cannot be read.
    """
    if not scenes:
        raise DatasetError("expected images to fit to, got none; give more of the data set")
    seen = [_Seen.of(scene, look) for scene in scenes[:: math.ceil(len(scenes) / FIT_COUNT)]]
    best_blur, (least, best) = BLURS[0], _fit_weights(seen, BLURS[0], np.eye(1 + len(TERMS))[0])
    for blur in BLURS[1:]:
        loss, weights = _fit_weights(seen, blur, best)
        if loss >= least:
            break
        best_blur, least, best = blur, loss, weights
    sharpness, *bias = (float(weight) for weight in best)
    return SetNumbers(best_blur, sharpness, tuple(bias))


def _fit_weights(
    seen: Sequence[_Seen], blur: float, start: Float64[ndarray, " weights"]
) -> tuple[float, Float64[ndarray, " weights"]]:
    """Return the least loss under a blur, in nats per fixation, and the weights that reach it."""
    images = [_blurred(image, blur) for image in seen]

    def loss(weights: Float64[ndarray, " weights"]) -> tuple[float, Float64[ndarray, " weights"]]:
        value = PENALTY / 2 * (weights[1:] ** 2).sum()
        slope = PENALTY * np.array([0.0, *weights[1:]])
        sharpness, bias = weights.astype(np.float32)[0], weights.astype(np.float32)[1:]
        for blurred, at_fixations in images:
            terms = _terms(*blurred.shape)
            scores = sharpness * blurred.ravel() + bias @ terms
            most = scores.max()
            shares = np.exp(scores - most)
            total = shares.sum()
            expected = np.array([blurred.ravel() @ shares, *(terms @ shares)]) / total
            value += (most + math.log(total) - weights @ at_fixations) / len(images)
            slope += (expected - at_fixations) / len(images)
        return float(value), slope

    bounds = [(LEAST_SHARPNESS, None), *[(None, None)] * len(TERMS)]
    fit = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, tol=TOLERANCE)
    return float(fit.fun), np.asarray(fit.x)


def _blurred(
    image: _Seen, blur: float
) -> tuple[Float32[ndarray, "rows columns"], Float64[ndarray, " weights"]]:
    """Return the blurred log density, and the mean of each weighted term over the fixations."""
    with torch.inference_mode():
        shared = torch.from_numpy(image.log_density)[None]
        blurred = blur_density(shared, torch.tensor([blur]))[0].numpy()
    rows, columns = image.places.T
    places = rows * blurred.shape[1] + columns
    seen = np.stack([blurred.ravel()[places], *_terms(*blurred.shape)[:, places]])
    return blurred, seen.mean(axis=1, dtype=np.float64)


@lru_cache(maxsize=16)
def _terms(rows: int, columns: int) -> Float32[ndarray, "terms pixels"]:
    return np.asarray(bias_terms(rows, columns).flatten(1).numpy())


def information_gains(
    predictions: Sequence[Predict], scenes: Sequence[Scene], reference: DatasetReference
) -> Float64[ndarray, "images predictions"]:
    """Return the information gain of each prediction for each scene, in bits per fixation.

    The same as `saliency evaluate` gives, without the other metrics.

    Raises:
        SaliencyError: a photo cannot be read, or is not of its scene's size.
    """
    rows = []
    for scene in scenes:
        photo, baseline = read_photo_of(scene), reference.baseline_of(scene)
        rows.append(
            [
                information_gain_bits(predict(photo), scene.fixations, baseline=baseline)
                for predict in predictions
            ]
        )
    return np.array(rows, np.float64).reshape(len(rows), len(predictions))
