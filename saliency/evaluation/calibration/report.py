"""The quality of a calibration, judged on cases that were not used to fit it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray

from saliency.evaluation.calibration.fit import Case, outcomes_of

_BINS = 10


@dataclass(frozen=True)
class Bin:
    """The cases whose probability lies between two limits.

    Attributes:
        low: lower limit, 0 to 1.
        high: upper limit.
        said: mean of the predicted probabilities.
        seen: share of the cases in which people preferred the window; where it agrees with
            `said`, the probabilities are calibrated.
        count: of the cases.
    """

    low: float
    high: float
    said: float
    seen: float
    count: int

    @property
    def number(self) -> int:
        """Place of the bin among all, from 0."""
        return round(self.low * _BINS)


def brier_score(
    probabilities: Float64[ndarray, " cases"], outcomes: Bool[ndarray, " cases"]
) -> float:
    """Return the mean squared error of probabilities; 0 is best.

    Brier, "Verification of forecasts expressed in terms of probability", 1950.
    """
    return float(((probabilities - outcomes) ** 2).mean())


def reliability(
    probabilities: Float64[ndarray, " cases"], outcomes: Bool[ndarray, " cases"]
) -> list[Bin]:
    """Return the tenths of the range of probabilities that have cases."""
    tenths = bins_of(probabilities)
    return [
        Bin(
            low=tenth / _BINS,
            high=(tenth + 1) / _BINS,
            said=float(probabilities[tenths == tenth].mean()),
            seen=float(outcomes[tenths == tenth].mean()),
            count=int((tenths == tenth).sum()),
        )
        for tenth in range(_BINS)
        if (tenths == tenth).any()
    ]


def bins_of(probabilities: Float64[ndarray, " cases"]) -> Int64[ndarray, " cases"]:
    """Return the number of each probability's bin, from 0."""
    return np.minimum((probabilities * _BINS).astype(np.int64), _BINS - 1)


def summarise_fit(
    cases: Sequence[Case], probabilities: Float64[ndarray, " cases"]
) -> dict[str, Any]:
    """Return the counts and the Brier score, as a model's metadata holds them.

    `brier_of_base_rate` is that of the same probability for all: the share of cases in which
    people preferred the window.
    """
    outcomes = outcomes_of(cases)
    base_rate = np.full(len(cases), outcomes.mean())
    return {
        "photos": len({case.scene for case in cases}),
        "windows": len(cases),
        "brier": round(brier_score(probabilities, outcomes), 4),
        "brier_of_base_rate": round(brier_score(base_rate, outcomes), 4),
    }


def describe_fit(cases: Sequence[Case], probabilities: Float64[ndarray, " cases"]) -> str:
    """Return the Brier score and the reliability as lines for people.

    The length of a bar is how often people preferred the windows; `|` marks where it should end.
    """
    figures, outcomes = summarise_fit(cases, probabilities), outcomes_of(cases)
    lines = [
        f"{figures['photos']} photos, {figures['windows']} windows beside the middle",
        f"Brier score {figures['brier']:.4f}, of the base rate {figures['brier_of_base_rate']:.4f}",
        "confidence     said   seen  windows",
    ]
    return "\n".join(lines + [_describe_bin(one) for one in reliability(probabilities, outcomes)])


def _describe_bin(one: Bin) -> str:
    """Return a line with a bar of 40 characters for 100 %."""
    marks = list(("#" * round(40 * one.seen)).ljust(41))
    marks[round(40 * one.said)] = "|"
    limits = f"{one.low:4.0%} to {one.high:4.0%}"
    return f"{limits}  {one.said:5.1%}  {one.seen:5.1%}  {one.count:7}  {''.join(marks).rstrip()}"
