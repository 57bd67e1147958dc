"""A model's scores on data sets: as a table for people, as plain values for JSON."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from saliency.datasets import Dataset, Part, read_dataset, split_scenes
from saliency.errors import DatasetError
from saliency.evaluation import (
    METRICS,
    DatasetReference,
    Estimate,
    Predict,
    SceneScores,
    evaluate_scenes,
    summarise,
)
from saliency.fixations import Scene
from saliency.predictions import load_predict

LABELS = {
    "information_gain_bits": "IG",
    "auc": "AUC",
    "shuffled_auc": "sAUC",
    "nss": "NSS",
    "cc": "CC",
    "kl_divergence": "KL",
    "similarity": "SIM",
}


def evaluate_all(
    model: Path, specs: Sequence[str], *, part: Part, limit: int | None, seed: int
) -> list[dict[str, Any]]:
    """Return a model's results on data sets; all are read before the first is scored.

    Args:
        model: an .onnx or .safetensors file.
        specs: data sets as `LAYOUT:PATH`.
        part: which of their images to score.
        limit: how many of these at most; None for all.
        seed: draws the non-fixations.

    Raises:
        SaliencyError: the model, a data set or a photo is not as it should be.
    """
    datasets = [read_dataset(spec) for spec in specs]
    parts = [_chosen_scenes(dataset, part, limit) for dataset in datasets]
    predict = load_predict(model)
    return [
        _evaluate(predict, dataset, scenes, seed=seed)
        for dataset, scenes in zip(datasets, parts, strict=True)
    ]


def _chosen_scenes(dataset: Dataset, part: Part, limit: int | None) -> tuple[Scene, ...]:
    """Return the scenes to score."""
    print(dataset.describe(), file=sys.stderr)
    if len(dataset.scenes) < 2:
        raise DatasetError(
            f"{dataset.name}: expected at least 2 images with fixations, got "
            f"{len(dataset.scenes)}; an image is compared with the others of its data set"
        )
    scenes = split_scenes(dataset.scenes, part)[:limit]
    if not scenes:
        raise DatasetError(
            f"{dataset.name}: none of its {len(dataset.scenes)} images is in the part "
            f"{part}; use --split all"
        )
    return scenes


def _evaluate(
    predict: Predict, dataset: Dataset, scenes: Sequence[Scene], *, seed: int
) -> dict[str, Any]:
    """Return one data set's scores, ready for JSON."""
    reference = DatasetReference(dataset.scenes, seed=seed)
    scored = evaluate_scenes(predict, scenes, reference)
    rows: list[SceneScores] = list(
        tqdm(scored, total=len(scenes), desc=dataset.name, unit="image", file=sys.stderr)
    )
    return {
        "name": dataset.name,
        "clipped_count": dataset.clipped_count,
        "center_bias_smoothing": dataclasses.asdict(reference.smoothing),
        "summary": {
            "model": _plain(summarise([row.model for row in rows])),
            "center_bias": _plain(summarise([row.center_bias for row in rows])),
        },
        "images": [dataclasses.asdict(row) for row in rows],
    }


def format_table(results: Sequence[dict[str, Any]]) -> str:
    """Return aligned columns: each data set's model and center bias, mean ± standard error."""
    rows = [["data set", "images", "prediction", *LABELS.values()]]
    for result in results:
        for prediction in ("model", "center_bias"):
            cells = [_format_estimate(result["summary"][prediction][name]) for name in LABELS]
            name = prediction.replace("_", " ")
            rows.append([result["name"], str(len(result["images"])), name, *cells])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column == 1 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _plain(summary: dict[str, Estimate]) -> dict[str, dict[str, float | None]]:
    return {name: dataclasses.asdict(summary[name]) for name in METRICS}


def _format_estimate(estimate: dict[str, float | None]) -> str:
    error = estimate["standard_error"]
    return f"{estimate['mean']:.3f}" + ("" if error is None else f" ± {error:.3f}")
