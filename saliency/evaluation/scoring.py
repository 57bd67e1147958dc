"""Score predictions of fixations over the images of a data set.

A prediction is a log density at the image's own size. Each metric gets the map that is right for
it (see `optimal_maps`), or the density itself. A saliency map that is no density is scored as it
is, and has no information gain.

The references of an image come from its data set: see `saliency.evaluation.reference`.
"""

import dataclasses
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Float64, Real, UInt8
from numpy import ndarray

from saliency.errors import DatasetError
from saliency.evaluation import metrics
from saliency.evaluation.map_folder import MapFolder
from saliency.evaluation.optimal_maps import MetricMaps, one_map, optimal_maps
from saliency.evaluation.reference import DatasetReference, Reference
from saliency.evaluation.reliability import shares_by_level
from saliency.fixations.scene import Scene
from saliency.model.loading import Predict
from saliency.photo.reading import read_photo

CENTER_BIAS, UNIFORM, CEILING = "center bias", "uniform", "ceiling"
"""Names of the predictions beside the models': two baselines, and what observers reach."""

SUM_TOLERANCE = 1e-3
"""How far from 1 a density may sum: some millions of roundings in single precision."""


@dataclass(frozen=True)
class Scores:
    """Every metric of one prediction for one image; `evaluation.metrics` has the definitions.

    None where a metric is undefined: the information gain of a map that is no density.
    """

    information_gain_bits: float | None
    auc: float | None
    judd_auc: float | None
    shuffled_auc: float | None
    nss: float | None
    cc: float | None
    kl_divergence: float | None
    similarity: float | None


Judged = Callable[[Scene, Reference], Scores | None]
"""Returns the scores of a prediction made from the fixations; None where it makes none."""

METRICS = tuple(field.name for field in dataclasses.fields(Scores))


@dataclass(frozen=True)
class SceneScores:
    """How the models and the baselines predict one image.

    Attributes:
        name: of the scene.
        fixation_count: fixations of the scene.
        predictions: by name, the models' in their order, then the baselines'.
        levels: of the models that give a density, `reliability.shares_by_level`.
    """

    name: str
    fixation_count: int
    predictions: dict[str, Scores]
    levels: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class Estimate:
    """A mean over images, each weighing the same, with its standard error; None for one image."""

    mean: float
    standard_error: float | None


def evaluate_scene(
    log_density: Float[ndarray, "height width"], reference: Reference, *, is_optimal: bool = True
) -> Scores:
    """Return every metric of one predicted density.

    Args:
        log_density: natural log of each pixel's share, at the image's own size.
        reference: of the same image.
        is_optimal: whether each metric gets the map that is best for it, or the density itself.

    Raises:
        ValueError: the prediction has another size than the image, or does not sum to 1.
    """
    _check_size(log_density, reference)
    density = np.exp(log_density.astype(np.float64))
    if not abs(density.sum() - 1) < SUM_TOLERANCE:
        raise ValueError(f"expected a density that sums to 1, got a sum of {density.sum():g}")
    gain = metrics.information_gain_bits(
        log_density, reference.fixations, baseline=reference.baseline
    )
    if not is_optimal:
        return _scores_of_maps(one_map(density), reference, information_gain_bits=gain)
    maps = optimal_maps(
        log_density,
        baseline=reference.baseline,
        sigma_px=reference.sigma_px,
        fixation_count=reference.usual_count,
    )
    return _scores_of_maps(maps, reference, information_gain_bits=gain)


def evaluate_map(saliency_map: Real[ndarray, "height width"], reference: Reference) -> Scores:
    """Return every metric of a saliency map that is no density, but the information gain.

    Raises:
        ValueError: the map has another size than the image, is negative somewhere, 0 everywhere
            or holds NaN.
    """
    _check_size(saliency_map, reference)
    return _scores_of_maps(one_map(saliency_map), reference, information_gain_bits=None)


def _check_size(prediction: Real[ndarray, "height width"], reference: Reference) -> None:
    if prediction.shape != reference.empirical.shape:
        raise ValueError(
            f"expected a prediction of shape {reference.empirical.shape}, got {prediction.shape}"
        )


def _scores_of_maps(
    maps: MetricMaps, reference: Reference, *, information_gain_bits: float | None
) -> Scores:
    fixations, empirical = reference.fixations, reference.empirical
    return Scores(
        information_gain_bits=information_gain_bits,
        auc=metrics.auc(maps.auc, fixations),
        judd_auc=metrics.judd_auc(maps.auc, fixations),
        shuffled_auc=metrics.shuffled_auc(
            maps.shuffled_auc, fixations, non_fixations=reference.non_fixations
        ),
        nss=metrics.nss(maps.nss, fixations),
        cc=metrics.cc(maps.expected, empirical),
        kl_divergence=metrics.kl_divergence(maps.expected, empirical),
        similarity=metrics.similarity(maps.similarity, empirical),
    )


def evaluate_scenes(
    models: Mapping[str, Predict | MapFolder],
    scenes: Sequence[Scene],
    reference: DatasetReference,
    *,
    is_optimal: bool = True,
    others: Mapping[str, Judged] = MappingProxyType({}),
    worker_count: int | None = None,
) -> Iterator[SceneScores]:
    """Yield the scores of each scene, in order; photos are read, predicted and scored in threads.

    Memory is bounded by the number of threads and the size of an image: a thread holds one image
    and about twenty maps of its size. What is kept of an image are its scores.

    Args:
        models: by the name that they have in the scores.
        scenes: those to score, of one data set.
        reference: of the same data set.
        is_optimal: as for `evaluate_scene`.
        others: further predictions by name, which know the fixations, such as the ceiling.
        worker_count: threads; None for one per processor core, at most 8.

    Raises:
        PhotoError: a photo cannot be read.
        DatasetError: a photo or a saliency map is not of its scene's size, or a map is not one.
    """

    def score(scene: Scene) -> SceneScores:
        judge = reference.of(scene)
        predictions: dict[str, Scores] = {}
        levels: dict[str, tuple[float, ...]] = {}
        photo = None
        for name, model in models.items():
            if isinstance(model, MapFolder):
                predictions[name] = _evaluate_file(model, scene, judge, is_optimal=is_optimal)
                continue
            photo = read_photo_of(scene) if photo is None else photo
            log_density = model(photo)
            predictions[name] = evaluate_scene(log_density, judge, is_optimal=is_optimal)
            levels[name] = shares_by_level(log_density, scene.fixations)
        even = np.full(judge.baseline.shape, -math.log(judge.baseline.size))
        for name, baseline in ((CENTER_BIAS, judge.baseline), (UNIFORM, even)):
            predictions[name] = evaluate_scene(baseline, judge, is_optimal=is_optimal)
        for name, evaluate in others.items():
            if (scores := evaluate(scene, judge)) is not None:
                predictions[name] = scores
        return SceneScores(scene.name, len(scene.fixations), predictions, levels)

    with ThreadPoolExecutor(worker_count or min(os.cpu_count() or 1, 8)) as pool:
        yield from pool.map(score, scenes)


def _evaluate_file(
    folder: MapFolder, scene: Scene, reference: Reference, *, is_optimal: bool
) -> Scores:
    """Return the scores of a map in a folder; its faults name the file."""
    saliency_map = folder.read(scene)
    log_density = folder.log_density(saliency_map)
    try:
        if log_density is not None:
            return evaluate_scene(log_density, reference, is_optimal=is_optimal)
        return evaluate_map(saliency_map, reference)
    except ValueError as error:
        raise DatasetError(f"{folder.path_of(scene)}: {error}; write this map anew") from error


def summarise(scores: Sequence[Scores]) -> dict[str, Estimate | None]:
    """Return the mean and its standard error of each metric, by its name in `METRICS`.

    None where a metric is undefined.

    Raises:
        ValueError: there are no scores.
    """
    if not scores:
        raise ValueError("expected the scores of at least one image, got none")
    table = score_table(scores)
    count = len(table)
    errors = table.std(axis=0, ddof=1) / math.sqrt(count) if count > 1 else [None] * table.shape[1]
    return {
        name: None
        if math.isnan(mean)
        else Estimate(float(mean), None if error is None else float(error))
        for name, mean, error in zip(METRICS, table.mean(axis=0), errors, strict=True)
    }


def score_table(scores: Sequence[Scores]) -> Float64[ndarray, "images metrics"]:
    """Return scores as a table with a column for each of `METRICS`, NaN in place of None."""
    return np.array([dataclasses.astuple(row) for row in scores], dtype=np.float64)


def read_photo_of(scene: Scene) -> UInt8[ndarray, "height width 3"]:
    """Return the photo of a scene.

    Raises:
        PhotoError: it cannot be read.
        DatasetError: it is not of the scene's size.
    """
    photo = read_photo(scene.path)
    height, width, _ = photo.shape
    if (width, height) != (scene.width, scene.height):
        raise DatasetError(
            f"{scene.path}: expected a photo of {scene.width}x{scene.height} as when the data set "
            f"was read, got {width}x{height}; read the data set again"
        )
    return photo
