"""The inter-observer ceiling: how well other people predict where a person looks.

Each observer of an image is left out in turn. The fixations of the others, blurred and mixed with
the center bias of the other images and an even density, predict those of the one left out. The
blur and the weights of the mixture are those under which left-out fixations of *other* images are
likeliest (cross-validation over images), so nothing of an image is fitted to itself. What a model
gains of this ceiling's information is its share of the explainable information (Kümmerer, Wallis &
Bethge, PNAS 2015).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray
from scipy.special import ndtr

from saliency.errors import DatasetError
from saliency.evaluation import metrics
from saliency.evaluation.reference import DatasetReference, Reference
from saliency.evaluation.scoring import METRICS, Scores
from saliency.fixations.scene import Scene

BLURS = tuple(float(blur) for blur in np.geomspace(0.3, 2.5, 9).round(3))
"""Deviations that are tried, in units of the blur of the empirical density."""

FOLD_COUNT = 5
FIT_COUNT = 200
"""Most images that the mixtures are fitted to, spread evenly over the data set."""

STEP_COUNT = 200
SMALLEST_SIGMA_PX = 0.5
LEAST_SHARE = 1e-6
"""Least weight of a part: no place is impossible."""


@dataclass(frozen=True)
class Mixture:
    """How the fixations of others become a density.

    Attributes:
        blur: deviation of the Gaussian, in units of the blur of the empirical density.
        observers: weight of the others' blurred fixations.
        center_bias: weight of the center bias of the other images.
        uniform: weight of the even density.
    """

    blur: float
    observers: float
    center_bias: float
    uniform: float


class Ceiling:
    """The inter-observer ceiling of one data set."""

    def __init__(
        self, scenes: Sequence[Scene], reference: DatasetReference, *, is_optimal: bool = True
    ) -> None:
        """Fit a mixture for each fold of the images.

        Args:
            scenes: all scenes of the data set.
            reference: of the same data set.
            is_optimal: as for `evaluate_scene`.

        Raises:
            DatasetError: under two images have several observers.
        """
        usable = [scene for scene in scenes if len(set(scene.observers.tolist())) > 1]
        if len(usable) < 2:
            raise DatasetError(
                f"expected at least 2 images with 2 observers or more for the ceiling, got "
                f"{len(usable)} of {len(scenes)}; name the observers of the fixations, or do "
                "without the ceiling"
            )
        self._is_optimal = is_optimal
        self._fold_of = {scene.name: number % FOLD_COUNT for number, scene in enumerate(usable)}
        fitted = usable[:: math.ceil(len(usable) / FIT_COUNT)]
        if len({self._fold_of[scene.name] for scene in fitted}) < 2:  # a step of 5, or two images
            fitted = usable[:FIT_COUNT]
        samples = [_Sample.of(scene, reference) for scene in fitted]
        folds = [self._fold_of[scene.name] for scene in fitted]
        self.mixtures = tuple(
            _fit([s for s, own in zip(samples, folds, strict=True) if own != fold])
            for fold in range(min(FOLD_COUNT, len(usable)))
        )

    def __call__(self, scene: Scene, reference: Reference) -> Scores | None:
        """Return how well the other observers predict each observer of a scene.

        The mean over all fixations. CC, KL and SIM are None: the fixations of a single person are
        too few for a density. None for an image of a single observer.
        """
        if scene.name not in self._fold_of:
            return None
        mixture = self.mixtures[self._fold_of[scene.name]]
        total = np.zeros(5)
        for observer in sorted(set(scene.observers.tolist())):
            is_own = scene.observers == observer
            density = others_density(scene, ~is_own, mixture, reference)
            total += is_own.sum() * self._score(density, scene.fixations[is_own], reference)
        means = [float(value) for value in total / len(scene.fixations)]
        return Scores(*means, *(None,) * (len(METRICS) - len(means)))

    def _score(
        self,
        density: Float64[ndarray, "height width"],
        fixations: Float64[ndarray, "fixations xy=2"],
        reference: Reference,
    ) -> Float64[ndarray, " metrics"]:
        log_density, baseline = np.log(density), reference.baseline
        against_others = log_density - baseline if self._is_optimal else log_density
        return np.array(
            [
                metrics.information_gain_bits(log_density, fixations, baseline=baseline),
                metrics.auc(log_density, fixations),
                metrics.judd_auc(log_density, fixations),
                metrics.shuffled_auc(
                    against_others, fixations, non_fixations=reference.non_fixations
                ),
                metrics.nss(density, fixations),
            ]
        )


def others_density(
    scene: Scene, is_other: Bool[ndarray, " fixations"], mixture: Mixture, reference: Reference
) -> Float64[ndarray, "height width"]:
    """Return what some fixations of a scene, blurred and mixed, predict for each pixel.

    Args:
        scene: the image.
        is_other: for each of its fixations, whether it is known.
        mixture: blur and weights.
        reference: of the image.
    """
    sigma_px = max(mixture.blur * scene.sigma_px, SMALLEST_SIGMA_PX)
    known = scene.fixations[is_other]
    across = _kernels(np.arange(scene.width) + 0.5, known[:, 0], scene.width, sigma_px)
    down = _kernels(np.arange(scene.height) + 0.5, known[:, 1], scene.height, sigma_px)
    density = down @ across.T
    density *= mixture.observers / density.sum()
    density += mixture.center_bias * np.exp(reference.baseline)
    density += mixture.uniform / density.size
    return np.asarray(density / density.sum())


@dataclass(frozen=True, eq=False)
class _Sample:
    """What the three parts of a mixture give each fixation of an image when its observer is out.

    Attributes:
        observers: the share of its pixel under the others' fixations, for each of `BLURS`.
        center_bias: under the center bias of the other images.
        uniform: of an even density.
    """

    observers: Float64[ndarray, "blurs fixations"]
    center_bias: Float64[ndarray, " fixations"]
    uniform: float

    @classmethod
    def of(cls, scene: Scene, reference: DatasetReference) -> "_Sample":
        is_other = scene.observers[:, None] != scene.observers[None, :]
        counts = is_other.sum(axis=1)
        middles = np.floor(scene.fixations) + 0.5  # of the pixels that they score
        observers = []
        for blur in BLURS:
            sigma_px = max(blur * scene.sigma_px, SMALLEST_SIGMA_PX)
            across = _kernels(middles[:, 0], scene.fixations[:, 0], scene.width, sigma_px)
            down = _kernels(middles[:, 1], scene.fixations[:, 1], scene.height, sigma_px)
            observers.append((across * down * is_other).sum(axis=1) / counts)
        log_baseline = reference.baseline_of(scene)
        return cls(
            observers=np.array(observers),
            center_bias=np.exp(metrics.values_at(log_baseline, scene.fixations)),
            uniform=1 / log_baseline.size,
        )


def _kernels(
    at: Float64[ndarray, " places"],
    means: Float64[ndarray, " fixations"],
    length: int,
    sigma_px: float,
) -> Float64[ndarray, "places fixations"]:
    """Return Gaussians along one side of an image, each with all its mass inside of it."""
    z = (at[:, None] - means[None, :]) / sigma_px
    inside = ndtr((length - means) / sigma_px) - ndtr(-means / sigma_px)
    return np.asarray(np.exp(-(z**2) / 2) / (math.sqrt(2 * math.pi) * sigma_px * inside))


def _fit(samples: Sequence[_Sample]) -> Mixture:
    """Return the mixture under which the fixations are likeliest; every image weighs the same."""
    sizes = [len(sample.center_bias) for sample in samples]
    weights = np.concatenate([np.full(size, 1 / (size * len(sizes))) for size in sizes])
    center_bias = np.concatenate([sample.center_bias for sample in samples])
    uniform = np.repeat([sample.uniform for sample in samples], sizes)
    candidates: dict[Mixture, float] = {}
    for number, blur in enumerate(BLURS):
        observers = np.concatenate([sample.observers[number] for sample in samples])
        shares, likelihood = _mix(np.stack([observers, center_bias, uniform]), weights)
        candidates[Mixture(blur, *(float(share) for share in shares))] = likelihood
    return max(candidates, key=candidates.__getitem__)


def _mix(
    parts: Float64[ndarray, "parts fixations"], weights: Float64[ndarray, " fixations"]
) -> tuple[Float64[ndarray, " parts"], float]:
    """Return the likeliest weights of the parts, by expectation maximisation, and the likelihood.

    The likelihood is concave in the weights: there is one maximum, and every start leads to it.
    """
    shares = np.full(len(parts), 1 / len(parts))
    for _ in range(STEP_COUNT):
        joint = shares[:, None] * parts
        shares = np.maximum((joint / joint.sum(axis=0)) @ weights, LEAST_SHARE)
        shares /= shares.sum()
    return shares, float(weights @ np.log(shares @ parts))
