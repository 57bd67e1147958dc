"""Scores as plain values and as a table of text."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from saliency.evaluation.run import Result
from saliency.evaluation.summary import Figure

LABELS = {
    "information_gain_bits": "IG",
    "auc": "AUC",
    "judd_auc": "AUC-Judd",
    "shuffled_auc": "sAUC",
    "nss": "NSS",
    "cc": "CC",
    "kl_divergence": "KL",
    "similarity": "SIM",
}


def to_plain(result: Result) -> dict[str, Any]:
    """Return a result's values, ready for JSON; names of baselines with underscores."""
    images = [dataclasses.asdict(row) for row in result.rows]
    for image in images:
        image["predictions"] = {_key(k): v for k, v in image["predictions"].items()}
    return {
        "name": result.name,
        "clipped_count": result.clipped_count,
        "excluded_count": result.excluded_count,
        "unseen_count": result.unseen_count,
        "center_bias_smoothing": dataclasses.asdict(result.smoothing),
        "ceiling_mixtures": [dataclasses.asdict(mixture) for mixture in result.mixtures],
        "summary": {
            _key(name): {
                metric: None if figure is None else dataclasses.asdict(figure)
                for metric, figure in figures.items()
            }
            for name, figures in result.figures().items()
        },
        "explained_share": {
            name: dataclasses.asdict(figure) for name, figure in result.explained().items()
        },
        "images": images,
    }


def _key(name: str) -> str:
    return name.replace("center bias", "center_bias")


def table_cells(results: Sequence[Result]) -> list[list[str]]:
    """Return the header and a row of cells for each prediction: means with their intervals."""
    rows = [["data set", "images", "prediction", *LABELS.values()]]
    for result in results:
        for name, figures in result.figures().items():
            cells = [format_figure(figures[metric]) for metric in LABELS]
            rows.append([result.name, str(len(result.rows)), name, *cells])
    return rows


def format_table(results: Sequence[Result]) -> str:
    """Return aligned columns, and a line for each share of the explainable information."""
    rows = table_cells(results)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column == 1 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join([*lines, *explained_lines(results)])


def explained_lines(results: Sequence[Result]) -> list[str]:
    """Return a sentence for each share of the explainable information."""
    return [
        f"{result.name}: {name} reaches {format_figure(share)} of the explainable information"
        for result in results
        for name, share in result.explained().items()
    ]


def format_figure(figure: Figure | None) -> str:
    """Return a mean with the ends of its interval in brackets."""
    if figure is None:
        return "–"
    if figure.low is None or figure.high is None:
        return f"{figure.mean:.3f}"
    return f"{figure.mean:.3f} [{figure.low:.3f}, {figure.high:.3f}]"
