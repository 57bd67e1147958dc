"""Fit a model's `EntropyAdjustment` to where people looked in photos that it did not learn from."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64, Int
from numpy import ndarray
from safetensors import safe_open
from safetensors.torch import save
from scipy.optimize import minimize
from torch import Tensor

from saliency.evaluation.bootstrap import spread_of_mean
from saliency.files import write_whole
from saliency.fixations.scene import Scene, rescale_fixations
from saliency.model.checkpoint import read_metadata
from saliency.model.network import SaliencyModel
from saliency.model.readout import ADJUSTMENT
from saliency.photo.reading import read_photo
from saliency.prediction.model_metadata import METADATA_KEY
from saliency.prediction.processing import shown_alike

UNCHANGED = (1.0, 0.0, 0.0, 0.0)
"""The numbers with which nothing is adjusted, in the order of `ADJUSTMENT`."""

LEAST_PHOTOS = 10
"""Fewer say too little about four numbers."""

Numbers = Float64[ndarray, "4"]


@dataclass(frozen=True)
class Seen:
    """What a model makes of a photo before the adjustment, and where people looked.

    Attributes:
        scores: log density in the cells, (1, 1, rows, columns), up to a constant.
        bias: center bias in the cells, of the same shape.
        photo: as the model sees it, uint8 (1, height, width, 3).
        rows: of the pixels with fixations.
        columns: of the pixels with fixations.
    """

    scores: Tensor
    bias: Tensor
    photo: Tensor
    rows: Int[ndarray, " fixations"]
    columns: Int[ndarray, " fixations"]


def see(model: SaliencyModel, scenes: Sequence[Scene]) -> list[Seen]:
    """Return what a model makes of photos, on the CPU.

    Raises:
        PhotoError: a photo cannot be read.
    """
    return [_see(model, scene) for scene in scenes]


def mean_log_density(
    model: SaliencyModel, seen: Sequence[Seen], numbers: Numbers
) -> Float64[ndarray, " photos"]:
    """Return the mean log density at the fixations of each photo, in nats."""
    with _one_thread(), torch.inference_mode():
        values = [_at_fixations(model, one, torch.tensor(numbers)) for one in seen]
    return np.array([float(value) for value in values])


def fit_adjustment(
    model: SaliencyModel, seen: Sequence[Seen], *, first: Sequence[float] = UNCHANGED
) -> Numbers:
    """Return the four numbers under which the fixations are likeliest, each photo weighed equally.

    Args:
        model: whose map is adjusted.
        seen: at least one photo.
        first: numbers to begin with.
    """

    def loss(numbers: Numbers) -> tuple[float, Numbers]:
        free = torch.tensor(numbers, requires_grad=True)
        values = torch.stack([_at_fixations(model, one, free) for one in seen])
        mean = values.mean()
        (-mean).backward()  # type: ignore[no-untyped-call]
        assert free.grad is not None
        return -mean.item(), free.grad.numpy()

    with _one_thread():
        found: Numbers = minimize(loss, np.array(first), jac=True, method="L-BFGS-B").x
    return found


def cross_validated(
    model: SaliencyModel, seen: Sequence[Seen], numbers: Numbers, *, folds: int = 5, seed: int = 0
) -> Float64[ndarray, " photos"]:
    """Return `mean_log_density` of each photo by a fit to the photos of the other folds.

    Args:
        model: whose map is adjusted.
        seen: the photos.
        numbers: fit to all, from which the fits begin.
        folds: into how many parts the photos fall.
        seed: draws the parts.

    Raises:
        ValueError: there are fewer than two photos.
    """
    if len(seen) < 2:
        raise ValueError(f"expected at least 2 photos, got {len(seen)}")
    drawn = np.random.default_rng(seed).permutation(len(seen)) % min(folds, len(seen))
    values = np.zeros(len(seen))
    for fold in range(drawn.max() + 1):
        inside = [one for one, part in zip(seen, drawn, strict=True) if part == fold]
        others = [one for one, part in zip(seen, drawn, strict=True) if part != fold]
        fitted = fit_adjustment(model, others, first=tuple(numbers))
        values[drawn == fold] = mean_log_density(model, inside, fitted)
    return values


def store_adjustment(path: Path, numbers: Numbers) -> None:
    """Write the four numbers into a `.safetensors` model, replacing the file, without its scores.

    Raises:
        CheckpointError: the file is no model of this package.
        OutputError: it cannot be written.
    """
    metadata = read_metadata(path) | {"scores": {}}  # those of the density before
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    for name, number in zip(ADJUSTMENT, numbers, strict=True):
        tensors[f"adjustment.{name}"] = torch.tensor(float(number))
    content = save(tensors, {METADATA_KEY: json.dumps(metadata)})
    write_whole(content, path, overwrite=True)


def stored_numbers(model: SaliencyModel) -> Numbers:
    """Return the four numbers that a model has."""
    return np.array([float(getattr(model.adjustment, name)) for name in ADJUSTMENT])


def describe_adjustment(numbers: Numbers, changes: Float64[ndarray, " photos"]) -> str:
    """Return in words what an adjustment does, and how the information gain of photos changes."""
    spread = spread_of_mean(changes, seed=0)
    sharpness, sharpness_per_nat, bias, bias_per_nat = numbers
    return (
        f"sharpness {sharpness:.3f} {sharpness_per_nat:+.3f} per nat of entropy, "
        f"center bias {bias:.3f} {bias_per_nat:+.3f} per nat\n"
        f"information gain {changes.mean():+.4f} [{spread.low:+.4f}, {spread.high:+.4f}] bit per "
        f"fixation on {len(changes)} photos, each by a fit to others, against the model as it was"
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep torch to one thread: several wait for each other at every operation on a small map."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _see(model: SaliencyModel, scene: Scene) -> Seen:
    shown, is_mirrored = shown_alike(model.as_seen(read_photo(scene.path)))
    photo = torch.tensor(shown)[None]
    height, width = photo.shape[1:3]
    with torch.inference_mode():
        scores, bias = model.scores_and_bias(photo)
    points = rescale_fixations(
        scene.fixations, from_size=(scene.width, scene.height), to_size=(width, height)
    )
    columns, rows = np.floor(points).astype(int).T
    columns = width - 1 - columns if is_mirrored else columns
    return Seen(
        scores.clone(),
        bias.clone(),
        photo,
        rows.clip(0, height - 1),
        columns.clip(0, width - 1),
    )


def _at_fixations(model: SaliencyModel, seen: Seen, numbers: Tensor) -> Tensor:
    adjusted = torch.func.functional_call(
        model.adjustment,
        dict(zip(ADJUSTMENT, numbers.float(), strict=True)),
        (seen.scores, seen.bias),
    )
    log_density = model.density_of(adjusted, seen.photo)[0]
    return log_density[seen.rows, seen.columns].mean()
