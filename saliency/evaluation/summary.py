"""The summary of the scores of many images: means, intervals, comparisons."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saliency.evaluation.bootstrap import spread_of_mean, spread_of_ratio
from saliency.evaluation.scoring import (
    CEILING,
    METRICS,
    SceneScores,
    Scores,
    score_table,
    summarise,
)


@dataclass(frozen=True)
class Figure:
    """A mean over images, each weighed equally, and its uncertainty.

    Attributes:
        mean: over the images.
        standard_error: of the mean; None for one image.
        low: end of the bootstrap interval that holds 95 %; None for one image.
        high: the other end.
    """

    mean: float
    standard_error: float | None
    low: float | None
    high: float | None


def summarise_rows(
    rows: Sequence[SceneScores], *, seed: int
) -> dict[str, dict[str, Figure | None]]:
    """Return, for each prediction, the figure of each metric; None where it is undefined.

    Args:
        rows: at least one; the ceiling counts those images for which there is one.
        seed: of the bootstrap.
    """
    names = list(dict.fromkeys(name for row in rows for name in row.predictions))
    return {
        name: _figures([row.predictions[name] for row in rows if name in row.predictions], seed)
        for name in names
    }


def compare(
    rows: Sequence[SceneScores], first: str, second: str, *, seed: int
) -> dict[str, Figure | None]:
    """Return the second prediction's scores minus the first's, compared image by image."""
    return _figures(
        [_difference(row.predictions[second], row.predictions[first]) for row in rows], seed
    )


def explained_share(rows: Sequence[SceneScores], name: str, *, seed: int) -> Figure | None:
    """Return the share of the ceiling's information gain that a prediction reaches.

    Mean gain by mean gain, over the images that have a ceiling. None where the prediction has no
    gain, or the ceiling none to reach.
    """
    gains = [
        (row.predictions[name].information_gain_bits, ceiling.information_gain_bits)
        for row in rows
        if (ceiling := row.predictions.get(CEILING)) is not None
    ]
    table = np.array(gains, dtype=np.float64).reshape(-1, 2)
    if not len(table) or np.isnan(table).any() or table[:, 1].mean() <= 0:
        return None
    reached, possible = table.mean(axis=0)
    if len(table) == 1:
        return Figure(float(reached / possible), None, None, None)
    spread = spread_of_ratio(table[:, 0], table[:, 1], seed=seed)
    return Figure(float(reached / possible), *spread)


def _figures(scores: Sequence[Scores], seed: int) -> dict[str, Figure | None]:
    table = score_table(scores)
    figures: dict[str, Figure | None] = {}
    for column, (name, estimate) in enumerate(summarise(scores).items()):
        if estimate is None:
            figures[name] = None
        elif len(scores) == 1:
            figures[name] = Figure(estimate.mean, None, None, None)
        else:
            _, low, high = spread_of_mean(table[:, column], seed=seed)
            figures[name] = Figure(estimate.mean, estimate.standard_error, low, high)
    return figures


def _difference(minuend: Scores, subtrahend: Scores) -> Scores:
    pairs = ((getattr(minuend, name), getattr(subtrahend, name)) for name in METRICS)
    return Scores(*(None if None in pair else pair[0] - pair[1] for pair in pairs))
