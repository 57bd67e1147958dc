"""The probability that people's fixations prefer one window to another of the same size.

A window is preferred if it keeps more of the fixations that people make on the photo. Two figures
contain nearly all the evidence that is available without fixations: the gain, and the share of the
density given up for it, which the other window contains and this one does not. A logistic
regression turns them into a probability; `saliency calibrate` fits it and stores it in the model's
file.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from saliency.crop_windows.summed_area_table import ShareTable
from saliency.geometry import Window

CALIBRATION_KEY = "calibration"
"""Where a model's metadata has the coefficients."""

_GAIN_FLOOR = 0.001  # keeps the logarithm of no gain finite


@dataclass(frozen=True)
class Evidence:
    """The evidence for a window over another of its size; shares of the density, 0 to 1.

    Attributes:
        gain: what it holds more than the other, below 0 when it holds less.
        given_up: what the other holds and it does not.
    """

    gain: float
    given_up: float

    def features(self) -> tuple[float, float]:
        """Return the regression's inputs: log(max(gain, 0) + 0.001) and `given_up`."""
        return math.log(max(self.gain, 0.0) + _GAIN_FLOOR), self.given_up


@dataclass(frozen=True)
class Calibration:
    """The coefficients of the logistic regression of one model."""

    intercept: float
    log_gain: float
    given_up: float

    def probability(self, evidence: Evidence) -> float:
        """Return the probability, 0 to 1, that fixations prefer the window."""
        log_gain, given_up = evidence.features()
        score = self.intercept + self.log_gain * log_gain + self.given_up * given_up
        return 0.5 + 0.5 * math.tanh(score / 2)  # the logistic function, which cannot overflow

    def to_json(self) -> dict[str, float]:
        """Return the coefficients by name, as a model's metadata holds them."""
        return asdict(self)


def gather_evidence(table: ShareTable, window: Window, other: Window) -> Evidence:
    """Return the evidence for a window over another, both in the photo of the table."""
    share, other_share = table.share(window), table.share(other)
    common = window.common(other)
    common_share = 0.0 if common is None else table.share(common)
    return Evidence(gain=share - other_share, given_up=max(other_share - common_share, 0.0))


def read_calibration(metadata: Mapping[str, Any]) -> Calibration | None:
    """Return the calibration in a model's metadata, None if there is none.

    Raises:
        ValueError: the value is not a calibration.
    """
    values = metadata.get(CALIBRATION_KEY)
    if values is None:
        return None
    names = ("intercept", "log_gain", "given_up")
    if not isinstance(values, Mapping) or any(not _is_number(values.get(name)) for name in names):
        raise ValueError(f"expected finite numbers for {', '.join(names)}, got {values!r}")
    return Calibration(**{name: float(values[name]) for name in names})


def _is_number(value: Any) -> bool:
    is_numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return is_numeric and math.isfinite(value)
