"""Fit what a model says to where people looked, and write it into the model.

Of an .onnx file it fits the confidence of crop windows. For the validation photos of the data sets
and several ratios and sizes, the window that scores best is compared with the centred one by
people's fixations. A logistic regression learns from that how likely people are to prefer a window;
`saliency crop` then shows it as the confidence of each window. Nothing else in the file changes; a
checksum beside it (NAME.onnx.sha256) is written anew. It prints the Brier score, by
cross-validation over the photos, and how often people preferred the windows of each confidence;
--plot draws that.

Of a .safetensors file it fits the density: its sharpness and its center bias, both as straight
lines in the entropy that the density had before. So where nothing stands out there can be more
center bias. It prints what that adds to the information gain, by cross-validation over the photos.
Export the model afterwards, and calibrate the .onnx file.

The model stays as it is where a fit makes it no better on photos to which it was not fitted: a
confidence than the base rate, a density (whose whole interval has to be above 0) than what it was.

Exit status: 0 when it is written, 1 when a file cannot be used, 2 for a wrong command line,
130 after Ctrl-C.
"""

import argparse
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from saliency.commands.arguments.training import add_parts_option
from saliency.commands.jobs.reporting import run_reporting, wait_passively
from saliency.errors import DatasetError, OutputError
from saliency.files import check_writable, write_whole
from saliency.prediction.shipped_models import runnable_model

if TYPE_CHECKING:  # it wants the training extra, which --help does without
    from saliency.fixations.scene import Scene


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="saliency calibrate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        type=runnable_model,
        help="an .onnx file, or fast, default or best, for the confidence; a .safetensors file for "
        "the density",
    )
    parser.add_argument(
        "--data",
        metavar="LAYOUT:PATH",
        action="append",
        required=True,
        help="data set to fit to, such as osie:PATH; may be given several times",
    )
    parser.add_argument(
        "--split",
        choices=("validation", "train", "all"),
        default="validation",
        help="part of each data set to fit to; a model is too sure of what it was trained on "
        "(default: %(default)s)",
    )
    add_parts_option(parser)
    parser.add_argument(
        "--plot",
        metavar="FILE",
        type=Path,
        help="PNG to write, in place of one of that name, for an .onnx file: how often people "
        "preferred the windows of each confidence",
    )
    parser.add_argument("--dry-run", action="store_true", help="leave the model as it is")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = build_parser().parse_args(argv)
    return run_reporting("calibrate", lambda: _calibrate(arguments))


def _check_arguments(arguments: argparse.Namespace) -> None:
    """Refuse what could not be read or written after the work is done."""
    parts = [spec.partition(":") for spec in arguments.data]
    if len({(layout, Path(path).resolve()) for layout, _, path in parts}) < len(parts):
        raise DatasetError("expected each --data once; a set given twice counts no more")
    if arguments.plot is not None:
        if arguments.model.suffix == ".safetensors":
            raise OutputError("--plot draws the confidence, which is fitted to an .onnx file")
        if arguments.plot.suffix.lower() != ".png":
            raise OutputError(f"expected a file with the ending .png to draw to: {arguments.plot}")
        check_writable(arguments.plot, overwrite=True)
    if not arguments.dry_run:
        check_writable(arguments.model, overwrite=True)


def _calibrate(arguments: argparse.Namespace) -> int:
    # Here and not above, so that --help answers at once, and without the training extra.
    from saliency.datasets.layouts.registry import read_dataset  # noqa: PLC0415
    from saliency.datasets.splits import select  # noqa: PLC0415

    _check_arguments(arguments)
    datasets = [read_dataset(spec) for spec in arguments.data]
    scenes = [
        scene
        for dataset in datasets
        for scene in select(dataset.scenes, arguments.split, parts=arguments.parts or "hashed")
    ]
    is_density = arguments.model.suffix == ".safetensors"
    (_fit_density if is_density else _fit_confidence)(arguments, scenes)
    if not arguments.dry_run:
        print(f"written: {arguments.model}")
    return 0


def _fit_confidence(arguments: argparse.Namespace, scenes: Sequence["Scene"]) -> None:
    """Gather the cases, fit, report and write."""
    from saliency.evaluation.calibration.fit import (  # noqa: PLC0415
        cross_validate,
        fit_calibration,
        gather_cases,
        store_calibration,
    )
    from saliency.evaluation.calibration.report import describe_fit, summarise_fit  # noqa: PLC0415
    from saliency.prediction.predictor import Predictor  # noqa: PLC0415

    cases = gather_cases(Predictor(arguments.model), scenes)
    if len({case.scene for case in cases}) < 2:
        raise DatasetError(
            "expected at least 2 photos with fixations and a best window beside the middle, got "
            f"fewer, of {len(scenes)} with fixations; give more data"
        )
    probabilities = cross_validate(cases)
    print(describe_fit(cases, probabilities))
    notes = summarise_fit(cases, probabilities)
    if arguments.plot is not None:
        from saliency.evaluation.calibration.plot import draw_reliability  # noqa: PLC0415  for --plot only

        write_whole(draw_reliability(cases, probabilities), arguments.plot, overwrite=True)
        print(f"written: {arguments.plot}")
    if notes["brier"] >= notes["brier_of_base_rate"]:
        raise DatasetError(
            f"{arguments.model} stays as it is: its confidence would be no better than saying "
            "the base rate of every window; give more photos, of the kind that it is for"
        )
    if not arguments.dry_run:
        # Where a link leads, so that it goes on to name the model.
        store_calibration(arguments.model.resolve(), fit_calibration(cases), notes=notes)


def _fit_density(arguments: argparse.Namespace, scenes: Sequence["Scene"]) -> None:
    """See the photos, fit, report and write."""
    threads = 1 if os.environ.get("OMP_NUM_THREADS") == "1" else None
    wait_passively("calibrate", threads, remedy="OMP_NUM_THREADS=1")
    from saliency.evaluation.bootstrap import spread_of_mean  # noqa: PLC0415
    from saliency.evaluation.calibration.density import (  # noqa: PLC0415  torch takes seconds
        LEAST_PHOTOS,
        cross_validated,
        describe_adjustment,
        fit_adjustment,
        mean_log_density,
        see,
        store_adjustment,
        stored_numbers,
    )
    from saliency.model.checkpoint import load_model  # noqa: PLC0415  as above

    if len(scenes) < LEAST_PHOTOS:
        raise DatasetError(
            f"expected at least {LEAST_PHOTOS} photos with fixations in this part (--split "
            f"{arguments.split}), got {len(scenes)}; give more data"
        )
    model = load_model(arguments.model)
    seen = see(model, scenes)
    numbers = fit_adjustment(model, seen)
    before = mean_log_density(model, seen, stored_numbers(model))
    changes = (cross_validated(model, seen, numbers) - before) / math.log(2)
    print(describe_adjustment(numbers, changes))
    if spread_of_mean(changes, seed=0).low <= 0:
        raise DatasetError(
            f"{arguments.model} stays as it is: fitted to some photos, its density is not surely "
            "better on others; give more photos, of the kind that it is for"
        )
    if not arguments.dry_run:
        store_adjustment(arguments.model.resolve(), numbers)
