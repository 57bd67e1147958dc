"""The references that predictions for the images of a data set are scored against.

Of an image they are its fixations and their density; of the *other* images, the center bias and the
non-fixations.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from saliency.fixations.center_bias import LeaveOneOut, Smoothing
from saliency.fixations.density import empirical_density
from saliency.fixations.scene import Scene

NON_FIXATION_COUNT = 200_000
"""Most non-fixations for one image; where the other images have more, this number is drawn."""


@dataclass(frozen=True, eq=False)
class Reference:
    """The references for one image, all at the image's own size.

    Attributes:
        fixations: those of the image, (x, y) in pixels.
        empirical: density of the fixations, blurred by one degree, as the data set's scenes state
            it.
        baseline: log density of the center bias of the other images.
        non_fixations: fixations of the other images, scaled to this image.
        sigma_px: deviation of that blur.
        usual_count: mean number of fixations of the other images.
    """

    fixations: Float64[ndarray, "fixations xy=2"]
    empirical: Float64[ndarray, "height width"]
    baseline: Float64[ndarray, "height width"]
    non_fixations: Float64[ndarray, "non_fixations xy=2"]
    sigma_px: float
    usual_count: float


class DatasetReference:
    """The references for the images of one data set."""

    def __init__(
        self, scenes: Sequence[Scene], *, seed: int = 0, smoothing: Smoothing | None = None
    ) -> None:
        """Take in the fixations of a data set.

        Args:
            scenes: *all* scenes of the data set, including those that are not scored.
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

    def baseline_of(self, scene: Scene) -> Float64[ndarray, "height width"]:
        """Return the log density of the center bias of the other images, for one of the scenes.

        Raises:
            ValueError: the scene is not of this data set.
        """
        return self._leave_one_out.without(scene.name).log_density((scene.height, scene.width))

    def of(self, scene: Scene) -> Reference:
        """Return the references for one of the scenes.

        Raises:
            ValueError: the scene is not of this data set.
        """
        width, height = scene.width, scene.height
        other_count = len(self._relative) - len(scene.fixations)
        return Reference(
            fixations=scene.fixations,
            empirical=empirical_density(
                scene.fixations, width=width, height=height, sigma_px=scene.sigma_px
            ),
            baseline=self.baseline_of(scene),
            non_fixations=self._non_fixations(scene),
            sigma_px=scene.sigma_px,
            usual_count=other_count / (len(self._own) - 1),
        )

    def _non_fixations(self, scene: Scene) -> Float64[ndarray, "non_fixations xy=2"]:
        """Return fixations of the other images; the same ones whichever images are scored."""
        own = self._own[scene.name]
        other_count = len(self._relative) - (own.stop - own.start)
        chosen = np.arange(other_count)
        if other_count > NON_FIXATION_COUNT:
            generator = np.random.default_rng([self._seed, zlib.crc32(scene.name.encode())])
            chosen = generator.choice(other_count, NON_FIXATION_COUNT, replace=False, shuffle=False)
        others = self._relative[np.where(chosen < own.start, chosen, chosen + own.stop - own.start)]
        size = np.array([scene.width, scene.height], np.float64)
        # Rounding may carry a fixation at the far border over it.
        return np.minimum(others * size, np.nextafter(size, 0))
