"""What trained models expect of photos, for another model to learn from."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from numpy import ndarray
from tqdm import tqdm

from saliency.image import load_photo, to_srgb
from saliency.predictor import Predictor

GRID_STRIDE = 4


def mean_densities(
    paths: Sequence[Path], models: Iterable[Path]
) -> list[Float32[ndarray, "rows columns"]]:
    """Return the models' mean density for each photo, on a grid of a quarter of their input size.

    Where the models disagree the mean is flat, so what learns from it is sure only where they all
    are. Photos may have any size and proportions.

    Raises:
        SaliencyError: a model or a photo cannot be read.
    """
    predictors = [Predictor(model) for model in models]
    bar = tqdm(paths, desc="teacher", unit="photo", disable=None)
    return [_mean_density(path, predictors) for path in bar]


def _mean_density(path: Path, predictors: Sequence[Predictor]) -> Float32[ndarray, "rows columns"]:
    photo = to_srgb(load_photo(path))
    first = predictors[0].density(photo)
    rows, columns = first.shape
    size = (max(1, columns // GRID_STRIDE), max(1, rows // GRID_STRIDE))
    densities = [predictor.density(photo, size=size) for predictor in predictors]
    return np.asarray(np.mean(densities, axis=0), np.float32)
