"""The probability that people's fixations prefer one window to another of the same size.

A window is preferred if it keeps more of the fixations that people make on the photo. Three figures
contain nearly all the evidence that is available without fixations: the gain, the share of the
density given up for it, which the other window contains and this one does not, and what the other
window leaves out. A logistic regression turns them into a probability; `saliency calibrate` fits it
and stores it in the model's file.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from saliency.crop_windows.summed_area_table import ShareTable
from saliency.geometry import Window

CALIBRATION_KEY = "calibration"
"""Where a model's metadata has the coefficients."""

_FLOOR = 0.001  # keeps the logarithm of nothing finite


@dataclass(frozen=True)
class Evidence:
    """The evidence for a window over another of its size; shares of the density, 0 to 1.

    Attributes:
        gain: what it holds more than the other, below 0 when it holds less.
        given_up: what the other holds and it does not.
        left_out: what the other does not hold.
    """

    gain: float
    given_up: float
    left_out: float

    def features(self) -> tuple[float, float, float]:
        """Return the regression's inputs.

        They are log(max(gain, 0) + 0.001), `given_up` and log(max(left_out, 0) + 0.001).
        """
        return (
            math.log(max(self.gain, 0.0) + _FLOOR),
            self.given_up,
            math.log(max(self.left_out, 0.0) + _FLOOR),
        )


@dataclass(frozen=True)
class Calibration:
    """The coefficients of the logistic regression of one model."""

    intercept: float
    log_gain: float
    given_up: float
    log_left_out: float = 0.0  # in files of before it was used

    def probability(self, evidence: Evidence) -> float:
        """Return the probability, 0 to 1, that fixations prefer the window."""
        weights = self.log_gain, self.given_up, self.log_left_out
        pairs = zip(weights, evidence.features(), strict=True)
        score = self.intercept + sum(weight * feature for weight, feature in pairs)
        return 0.5 + 0.5 * math.tanh(score / 2)  # the logistic function, which cannot overflow

    def to_json(self) -> dict[str, float]:
        """Return the coefficients by name, as a model's metadata holds them."""
        return asdict(self)


def gather_evidence(table: ShareTable, window: Window, other: Window) -> Evidence:
    """Return the evidence for a window over another, both in the photo of the table."""
    share, other_share = table.share(window), table.share(other)
    common = window.common(other)
    common_share = 0.0 if common is None else table.share(common)
    return Evidence(
        gain=share - other_share,
        given_up=max(other_share - common_share, 0.0),
        left_out=1.0 - other_share,
    )


def read_calibration(metadata: Mapping[str, Any]) -> Calibration | None:
    """Return the calibration in a model's metadata, None if there is none.

    Raises:
        ValueError: the value is not a calibration.
    """
    values = metadata.get(CALIBRATION_KEY)
    if values is None:
        return None
    names = ("intercept", "log_gain", "given_up", "log_left_out")
    numbers = {"log_left_out": 0.0, **values} if isinstance(values, Mapping) else {}
    if any(not _is_number(numbers.get(name)) for name in names):
        raise ValueError(f"expected finite numbers for {', '.join(names)}, got {values!r}")
    return Calibration(**{name: float(numbers[name]) for name in names})


def _is_number(value: Any) -> bool:
    is_numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return is_numeric and math.isfinite(value)
