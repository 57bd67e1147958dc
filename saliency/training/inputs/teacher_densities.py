"""Densities that trained models predict for photos, for another model to learn from."""

import io
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from numpy import ndarray
from tqdm import tqdm

from saliency.errors import CheckpointError
from saliency.files import write_whole
from saliency.photo.reading import load_photo, to_srgb
from saliency.prediction.predictor import Predictor

GRID_STRIDE = 4

Densities = list[Float32[ndarray, "_ _"]]
"""A density for each photo, (rows, columns), each of its own size."""


def mean_densities(paths: Sequence[Path], models: Iterable[Path]) -> Densities:
    """Return the models' mean density for each photo, on a grid of a quarter of their input size.

    Where the models disagree the mean is flat, so a student is confident only where they agree.
    Photos may have any size and proportions.

    Raises:
        SaliencyError: a model or a photo cannot be read.
    """
    predictors = [Predictor(model) for model in models]
    bar = tqdm(paths, desc="teacher", unit="photo", disable=None)
    return [_mean_density(path, predictors) for path in bar]


def save_densities(densities: Densities, path: Path) -> None:
    """Write densities of any sizes into one file, whole or not at all.

    Raises:
        SaliencyError: it cannot be written.
    """
    buffer = io.BytesIO()
    np.savez(buffer, *densities)
    write_whole(buffer.getvalue(), path, overwrite=True)


def load_densities(path: Path, *, count: int) -> Densities:
    """Return the densities of a file.

    Raises:
        CheckpointError: it is damaged, or does not hold `count` densities.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            densities = [stored[name] for name in stored.files]
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise CheckpointError(f"cannot read {path}: {error}; remove it") from error
    if len(densities) != count:
        raise CheckpointError(
            f"expected {count} densities in {path}, got {len(densities)}: the data has changed "
            "since the run was started; start a new one"
        )
    return densities


def _mean_density(path: Path, predictors: Sequence[Predictor]) -> Float32[ndarray, "rows columns"]:
    photo = to_srgb(load_photo(path))
    height, width, _ = photo.shape
    columns, rows = predictors[0].input_size((width, height))
    size = (max(1, columns // GRID_STRIDE), max(1, rows // GRID_STRIDE))
    densities = [predictor.density(photo, size=size) for predictor in predictors]
    return np.asarray(np.mean(densities, axis=0), np.float32)
