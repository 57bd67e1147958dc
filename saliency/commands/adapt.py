"""Fit a trained model's output to the way in which a data set was recorded.

Data sets differ in how they were recorded. For each, ten numbers are fitted to its training images:
a blur, a sharpness and the eight weights of a center bias, which turn the model's density into the
one to expect in this data set. They go into --out, for `saliency evaluate --set-bias FILE`.
It prints the information gain on the validation images, in bits per fixation, without and with
them, and the 95 % interval of the difference (bootstrap over images).

Exit status: 0 when they are written, 1 when a file cannot be used, 2 for a wrong command
line, 130 after Ctrl-C.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saliency.commands.arguments.training import add_parts_option
from saliency.commands.jobs.reporting import run_reporting
from saliency.errors import DatasetError
from saliency.files import check_writable
from saliency.prediction.shipped_models import runnable_model


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="saliency adapt",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        type=runnable_model,
        help="an .onnx or .safetensors file, or fast, default or best",
    )
    parser.add_argument(
        "--data",
        metavar="LAYOUT:PATH",
        action="append",
        required=True,
        help="data set to fit to, such as cat2000:PATH; may be given several times",
    )
    add_parts_option(parser)
    parser.add_argument(
        "--out", metavar="FILE", type=Path, required=True, help="where to write the numbers"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = build_parser().parse_args(argv)
    return run_reporting("adapt", lambda: _adapt(arguments))


def _adapt(arguments: argparse.Namespace) -> int:
    """Fit each data set, report and write."""
    # Here and not above, so that --help answers at once, and without the training extra.
    from saliency.datasets.layouts.registry import read_dataset  # noqa: PLC0415
    from saliency.datasets.splits import split  # noqa: PLC0415
    from saliency.model.dataset_bias_file import write_numbers  # noqa: PLC0415
    from saliency.model.loading import load_look  # noqa: PLC0415
    from saliency.training.adaptation import fit_numbers  # noqa: PLC0415

    check_writable(arguments.out, overwrite=arguments.overwrite)
    datasets = [read_dataset(spec) for spec in arguments.data]
    for dataset in datasets:
        parts = split(dataset.scenes, parts=arguments.parts or "hashed")
        counts = len(parts.train), len(parts.validation)
        if not all(counts):
            raise DatasetError(
                f"{dataset.name}: expected images for training and for validation, got {counts[0]} "
                f"and {counts[1]}; give more of the data set"
            )
    look = load_look(arguments.model)
    numbers = {}
    for dataset in datasets:
        parts = split(dataset.scenes, parts=arguments.parts or "hashed")
        own = fit_numbers(look, parts.train)
        numbers[dataset.name] = own
        print(_describe_gain(dataset, parts.validation, look, own), flush=True)
    write_numbers(numbers, arguments.out, overwrite=arguments.overwrite)
    print(f"written: {arguments.out}")
    return 0


def _describe_gain(dataset: Any, scenes: Any, look: Any, own: Any) -> str:
    """Return the gain from a data set's numbers on its validation images, in words."""
    from saliency.evaluation.bootstrap import spread_of_mean  # noqa: PLC0415
    from saliency.evaluation.reference import DatasetReference  # noqa: PLC0415
    from saliency.model.loading import at_photo_size  # noqa: PLC0415
    from saliency.training.adaptation import information_gains  # noqa: PLC0415

    predictions = [at_photo_size(look), at_photo_size(own.adapt(look))]
    gains = information_gains(predictions, scenes, DatasetReference(dataset.scenes))
    without, with_them = gains.mean(axis=0)
    _, low, high = spread_of_mean(gains[:, 1] - gains[:, 0], seed=0)
    return (
        f"{dataset.name}: {len(scenes)} validation images, IG {without:.3f} without, "
        f"{with_them:.3f} with its own numbers: {with_them - without:+.3f} "
        f"[{low:+.3f}, {high:+.3f}]"
    )
