"""Score a model on data sets of fixations.

Every image is predicted and scored at its own size, and the center bias of the other images of its
data set beside it. Printed are means over images with their standard errors:

  IG    information gain over that center bias, bits per fixation
  AUC   area under the ROC curve of fixations against all pixels
  sAUC  the same against the fixations of the other images
  NSS   z-score of the density at the fixations
  CC    correlation with the density of the fixations
  KL    divergence from the density of the fixations, nats; less is better
  SIM   mass shared with the density of the fixations

Exit status: 0 when all images were scored, 1 when a file is not as it should be, 2 for a wrong
command line, 130 after Ctrl-C.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from saliency.atomic import write_whole
from saliency.commands import run_reporting
from saliency.datasets import LAYOUTS, Dataset, read_dataset, split_scenes
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


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="saliency evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", type=Path, help="an .onnx or .safetensors file")
    parser.add_argument(
        "--data",
        metavar="LAYOUT:PATH",
        action="append",
        required=True,
        help=f"data set to score on, layouts: {', '.join(LAYOUTS)}; may be given several times",
    )
    parser.add_argument(
        "--split",
        choices=("validation", "train", "all"),
        default="validation",
        help="part of each data set that is scored; what it is compared with comes from the whole "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--limit", metavar="COUNT", type=_count, help="score only the first COUNT images of each"
    )
    parser.add_argument(
        "--seed",
        metavar="NUMBER",
        type=_seed,
        default=0,
        help="draws the non-fixations of sAUC where a data set has more than 200,000 "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--json",
        metavar="FILE",
        type=_json_file,
        help="write the means and the scores of every image to FILE, replacing it",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = build_parser().parse_args(argv)
    return run_reporting("evaluate", lambda: _report(arguments))


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


def _report(arguments: argparse.Namespace) -> int:
    """Evaluate, print the table and write the JSON."""
    results = _evaluate_all(arguments)
    print(format_table(results))
    if arguments.json is not None:
        report = {
            "model": str(arguments.model),
            "split": arguments.split,
            "seed": arguments.seed,
            "data_sets": results,
        }
        text = json.dumps(report, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
        write_whole(text.encode(), arguments.json, overwrite=True)
    return 0


def _evaluate_all(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the results of each data set; all of them are read before the first is scored."""
    datasets = [read_dataset(spec) for spec in arguments.data]
    parts = [_chosen_scenes(dataset, arguments) for dataset in datasets]
    predict = load_predict(arguments.model)
    return [
        _evaluate(predict, dataset, scenes, seed=arguments.seed)
        for dataset, scenes in zip(datasets, parts, strict=True)
    ]


def _chosen_scenes(dataset: Dataset, arguments: argparse.Namespace) -> tuple[Scene, ...]:
    """Return the scenes to score."""
    print(dataset.describe(), file=sys.stderr)
    if len(dataset.scenes) < 2:
        raise DatasetError(
            f"{dataset.name}: expected at least 2 images with fixations, got "
            f"{len(dataset.scenes)}; an image is compared with the others of its data set"
        )
    scenes = split_scenes(dataset.scenes, arguments.split)[: arguments.limit]
    if not scenes:
        raise DatasetError(
            f"{dataset.name}: none of its {len(dataset.scenes)} images is in the part "
            f"{arguments.split}; use --split all"
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


def _plain(summary: dict[str, Estimate]) -> dict[str, dict[str, float | None]]:
    return {name: dataclasses.asdict(summary[name]) for name in METRICS}


def _format_estimate(estimate: dict[str, float | None]) -> str:
    error = estimate["standard_error"]
    return f"{estimate['mean']:.3f}" + ("" if error is None else f" ± {error:.3f}")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number, 0 or above, got {text!r}")
    return int(text)


def _json_file(text: str) -> Path:
    path = Path(text)
    if not path.parent.is_dir() or path.is_dir():
        raise argparse.ArgumentTypeError(f"expected a file in a folder that exists, got {text!r}")
    return path
