"""The probability that a person's crop prefers one window to another of the same size.

A crop prefers a window if it overlaps it more, by intersection over union. The evidence is that of
`confidence`, and the gain in the score of windows (`window_score`): a window of a higher score
without more density is better balanced, as people's crops are.
"""

import math
from dataclasses import dataclass

from saliency.crop_windows.confidence import Evidence

_GAIN_FLOOR = 0.001  # keeps the logarithm of no gain finite


@dataclass(frozen=True)
class CropCalibration:
    """The coefficients of a logistic regression."""

    intercept: float
    log_gain: float
    given_up: float
    log_score_gain: float

    def probability(self, evidence: Evidence, *, score_gain: float) -> float:
        """Return the probability, 0 to 1, that a person's crop prefers a window.

        It counts the people whose crop overlaps the two windows differently.

        Args:
            evidence: for the window.
            score_gain: how much higher its score is; one below 0 counts as 0.
        """
        features = crop_features(evidence, score_gain=score_gain)
        weights = self.log_gain, self.given_up, self.log_score_gain
        score = sum(weight * one for weight, one in zip(weights, features, strict=True))
        return 0.5 + 0.5 * math.tanh((self.intercept + score) / 2)  # the logistic function


def crop_features(evidence: Evidence, *, score_gain: float) -> tuple[float, float, float]:
    """Return the regression's inputs.

    They are the gain and what is given up for it, as `confidence` takes them, and
    log(score_gain + 0.001). What the other window leaves out says nothing about people's crops.
    """
    log_gain, given_up, _ = evidence.features()
    return log_gain, given_up, math.log(max(score_gain, 0.0) + _GAIN_FLOOR)


PEOPLES_CROPS = CropCalibration(
    intercept=0.754, log_gain=-0.74, given_up=-0.69, log_score_gain=0.892
)
"""The fit to the ten crops of each photo of FLMS, by the densities of the three shipped models.

`python benchmarks/crop_confidence.py` prints it.
"""
