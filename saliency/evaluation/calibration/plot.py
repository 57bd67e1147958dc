"""The reliability of a calibration as a picture: how often people agree with each confidence."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from jaxtyping import Float64
from matplotlib.figure import Figure as Canvas
from numpy import ndarray

from saliency.evaluation.bootstrap import spread_of_ratio
from saliency.evaluation.calibration.fit import Case, outcomes_of
from saliency.evaluation.calibration.report import Bin, bins_of, reliability, summarise_fit

_COLOUR, _PALE = "#0072b2", "#bbbbbb"
_SEED = 0


def draw_reliability(cases: Sequence[Case], probabilities: Float64[ndarray, " cases"]) -> bytes:
    """Return a PNG: for each tenth of confidence, how often people preferred the windows.

    On the diagonal the confidence is right. Bars are 95 % intervals by a bootstrap over the
    photos, as the windows of one photo are much alike; below is how many windows there are. The
    same cases give the same bytes.

    Args:
        cases: windows that were judged.
        probabilities: the confidence of each, given without knowing its outcome.
    """
    bins = reliability(probabilities, outcomes_of(cases))
    limits = np.array([_limits(one, cases, probabilities) for one in bins])
    said, seen = np.array([(one.said, one.seen) for one in bins]).T
    figures = summarise_fit(cases, probabilities)
    canvas = Canvas(figsize=(5, 5.4), layout="constrained")
    upper, lower = canvas.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    upper.axline((0, 0), slope=1, color=_PALE, linewidth=1, zorder=0)
    reach = np.clip(np.stack([seen - limits[:, 0], limits[:, 1] - seen]), 0, None)
    upper.errorbar(said, seen, yerr=reach, fmt="o", color=_COLOUR, markersize=5, linewidth=1)
    upper.set(
        title=f"{figures['windows']} windows of {figures['photos']} photos\n"
        f"Brier score {figures['brier']:.4f}, of the base rate {figures['brier_of_base_rate']:.4f}",
        ylabel="people preferred the window",
        xlim=(0, 1),
        ylim=(0, 1),
    )
    lows = [one.low for one in bins]
    lower.bar(lows, [one.count for one in bins], width=0.1, align="edge", color=_PALE, ec="white")
    lower.set(xlabel="confidence", ylabel="windows")
    for axes in (upper, lower):
        axes.grid(color="#eeeeee")
        axes.set_axisbelow(True)
    buffer = BytesIO()
    canvas.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()


def _limits(
    one: Bin, cases: Sequence[Case], probabilities: Float64[ndarray, " cases"]
) -> tuple[float, float]:
    """Return the interval of what was seen in a bin, over photos drawn anew."""
    counts: dict[str, list[float]] = {}
    for case, number in zip(cases, bins_of(probabilities), strict=True):
        if number == one.number:
            pair = counts.setdefault(case.scene, [0.0, 0.0])
            pair[0] += case.is_preferred
            pair[1] += 1
    preferred, judged = np.array(list(counts.values())).T
    if len(judged) == 1:
        return float(preferred[0] / judged[0]), float(preferred[0] / judged[0])
    _, low, high = spread_of_ratio(preferred, judged, seed=_SEED)
    return low, high
