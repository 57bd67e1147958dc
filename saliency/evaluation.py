"""Score predictions of fixations over the images of a data set.

A prediction is a log density at the image's own size. Each metric gets the map that is right for
it: the log density for the information gain and, as they see only the order of values, both areas
under ROC; the density for NSS, CC, KL and SIM. (For shuffled AUC the density divided by the center
bias would score higher; the density itself is scored, as for AUC.)

What an image is judged by comes from its data set: its own fixations, their density, and from the
*other* images the center bias and the non-fixations.
"""

import dataclasses
import math
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from jaxtyping import Float, Float64, UInt8
from numpy import ndarray

from saliency import metrics
from saliency.center_bias import LeaveOneOut, Smoothing
from saliency.errors import DatasetError
from saliency.fixations import Scene, empirical_density
from saliency.image import read_photo

Predict = Callable[[UInt8[ndarray, "height width 3"]], Float[ndarray, "height width"]]
"""Gives the natural log of each pixel's share of the fixations; called from several threads."""

NON_FIXATION_COUNT = 200_000
"""Most non-fixations for one image; where the other images have more, so many are drawn."""

SUM_TOLERANCE = 1e-3
"""How far from 1 a density may sum: some millions of roundings in single precision."""


@dataclass(frozen=True)
class Scores:
    """Every metric of one prediction for one image; `saliency.metrics` has the definitions."""

    information_gain_bits: float
    auc: float
    shuffled_auc: float
    nss: float
    cc: float
    kl_divergence: float
    similarity: float


METRICS = tuple(field.name for field in dataclasses.fields(Scores))


@dataclass(frozen=True)
class SceneScores:
    """How a model and the center bias of the other images predict one image."""

    name: str
    fixation_count: int
    model: Scores
    center_bias: Scores


@dataclass(frozen=True)
class Estimate:
    """A mean over images, each weighing the same, with its standard error; None for one image."""

    mean: float
    standard_error: float | None


@dataclass(frozen=True, eq=False)
class Reference:
    """What predictions for one image are judged by, all at the image's own size.

    Attributes:
        fixations: those of the image, (x, y) in pixels.
        empirical: density of the fixations, blurred as the data set's scenes say.
        baseline: log density of the center bias of the other images.
        non_fixations: fixations of the other images, scaled to this image.
    """

    fixations: Float64[ndarray, "fixations xy=2"]
    empirical: Float64[ndarray, "height width"]
    baseline: Float64[ndarray, "height width"]
    non_fixations: Float64[ndarray, "non_fixations xy=2"]


class DatasetReference:
    """What predictions for the images of one data set are judged by."""

    def __init__(
        self, scenes: Sequence[Scene], *, seed: int = 0, smoothing: Smoothing | None = None
    ) -> None:
        """Take in the fixations of a data set.

        Args:
            scenes: *all* scenes of the data set, also those that are not to be scored.
            seed: draws the non-fixations where there are more than `NON_FIXATION_COUNT`.
            smoothing: of the center bias; None to choose it by cross-validation on the scenes.

        Raises:
            ValueError: there are fewer than two scenes, two of one name, or one without fixations.
        """
        self._leave_one_out = LeaveOneOut(scenes, smoothing)
        self._seed = seed
        self._relative = np.concatenate([s.fixations / (s.width, s.height) for s in scenes])
        bounds = pairwise(accumulate((len(s.fixations) for s in scenes), initial=0))
        self._own = {s.name: slice(*own) for s, own in zip(scenes, bounds, strict=True)}

    @property
    def smoothing(self) -> Smoothing:
        """How the center bias is smoothed."""
        return self._leave_one_out.smoothing

    def of(self, scene: Scene) -> Reference:
        """Return what predictions for one of the scenes are judged by.

        Raises:
            ValueError: the scene is not of this data set.
        """
        width, height = scene.width, scene.height
        return Reference(
            fixations=scene.fixations,
            empirical=empirical_density(
                scene.fixations, width=width, height=height, sigma_px=scene.sigma_px
            ),
            baseline=self._leave_one_out.without(scene.name).log_density((height, width)),
            non_fixations=self._non_fixations(scene),
        )

    def _non_fixations(self, scene: Scene) -> Float64[ndarray, "non_fixations xy=2"]:
        """Return fixations of the other images; the same ones whichever images are scored."""
        others = np.delete(self._relative, self._own[scene.name], axis=0)
        if len(others) > NON_FIXATION_COUNT:
            generator = np.random.default_rng([self._seed, zlib.crc32(scene.name.encode())])
            others = generator.choice(others, NON_FIXATION_COUNT, replace=False, shuffle=False)
        size = np.array([scene.width, scene.height], np.float64)
        # Rounding may carry a fixation at the far border over it.
        return np.minimum(others * size, np.nextafter(size, 0))


def evaluate_scene(log_density: Float[ndarray, "height width"], reference: Reference) -> Scores:
    """Return every metric of one prediction.

    Args:
        log_density: natural log of each pixel's share, at the image's own size.
        reference: of the same image.

    Raises:
        ValueError: the prediction has another size than the image, or does not sum to 1.
    """
    if log_density.shape != reference.empirical.shape:
        raise ValueError(
            f"expected a prediction of shape {reference.empirical.shape}, got {log_density.shape}"
        )
    density = np.exp(log_density.astype(np.float64))
    if not abs(density.sum() - 1) < SUM_TOLERANCE:
        raise ValueError(f"expected a density that sums to 1, got a sum of {density.sum():g}")
    fixations, empirical = reference.fixations, reference.empirical
    return Scores(
        information_gain_bits=metrics.information_gain_bits(
            log_density, fixations, baseline=reference.baseline
        ),
        auc=metrics.auc(log_density, fixations),
        shuffled_auc=metrics.shuffled_auc(
            log_density, fixations, non_fixations=reference.non_fixations
        ),
        nss=metrics.nss(density, fixations),
        cc=metrics.cc(density, empirical),
        kl_divergence=metrics.kl_divergence(density, empirical),
        similarity=metrics.similarity(density, empirical),
    )


def evaluate_scenes(
    predict: Predict,
    scenes: Sequence[Scene],
    reference: DatasetReference,
    *,
    worker_count: int | None = None,
) -> Iterator[SceneScores]:
    """Yield the scores of each scene, in order; photos are read, predicted and scored in threads.

    Args:
        predict: the model.
        scenes: those to score, of one data set.
        reference: of the same data set.
        worker_count: threads; None for one per processor core, at most 8.

    Raises:
        PhotoError: a photo cannot be read.
        DatasetError: a photo is not of its scene's size.
    """

    def score(scene: Scene) -> SceneScores:
        judge = reference.of(scene)
        return SceneScores(
            name=scene.name,
            fixation_count=len(scene.fixations),
            model=evaluate_scene(predict(_read_photo_of(scene)), judge),
            center_bias=evaluate_scene(judge.baseline, judge),
        )

    with ThreadPoolExecutor(worker_count or min(os.cpu_count() or 1, 8)) as pool:
        yield from pool.map(score, scenes)


def summarise(scores: Sequence[Scores]) -> dict[str, Estimate]:
    """Return the mean and its standard error of each metric, by its name in `METRICS`.

    Raises:
        ValueError: there are no scores.
    """
    if not scores:
        raise ValueError("expected the scores of at least one image, got none")
    table = np.array([dataclasses.astuple(row) for row in scores], dtype=np.float64)
    count = len(table)
    errors = table.std(axis=0, ddof=1) / math.sqrt(count) if count > 1 else [None] * table.shape[1]
    return {
        name: Estimate(float(mean), None if error is None else float(error))
        for name, mean, error in zip(METRICS, table.mean(axis=0), errors, strict=True)
    }


def _read_photo_of(scene: Scene) -> UInt8[ndarray, "height width 3"]:
    photo = read_photo(scene.path)
    height, width, _ = photo.shape
    if (width, height) != (scene.width, scene.height):
        raise DatasetError(
            f"{scene.path}: expected a photo of {scene.width}x{scene.height} as when the data set "
            f"was read, got {width}x{height}; read the data set again"
        )
    return photo
