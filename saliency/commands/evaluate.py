"""Score models on data sets of fixations.

Every image is predicted and scored at its own size, and beside it the center bias of the other
images of its data set and an even density. MODEL is an .onnx or .safetensors file, or a folder of
saliency maps: a picture or .npy array for each image, of its name and size, scored as it is.
It prints means over images with their 95 % intervals (bootstrap over images):

  IG        information gain over that center bias, bits per fixation
  AUC       area under the ROC curve of fixations against uniform samples: all pixels
  AUC-Judd  the same against the pixels without fixations, as Judd's code has it
  sAUC      the same against the fixations of the other images
  NSS       z-score at the fixations
  CC        correlation with the density of the fixations
  KL        divergence from the density of the fixations, nats; less is better
  SIM       mass shared with the density of the fixations

Each metric scores the map that is best for it, made from the model's density: for sAUC the density
divided by the center bias, for CC and KL the density blurred as that of the fixations is, for SIM
the map of most expected similarity. --maps density scores the density itself by all of them.

Further models are compared with the first one, image by image. With --ceiling the other observers
of an image predict each one in turn: no model can be expected to do better.

Exit status: 0 when all images were scored, 1 when a file cannot be used, 2 for a wrong
command line, 130 after Ctrl-C.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from saliency.commands.arguments.fields import record_of
from saliency.commands.arguments.training import add_fold_options, add_parts_option, chosen_fold
from saliency.commands.jobs.reporting import run_reporting
from saliency.files import check_writable, write_whole
from saliency.prediction.shipped_models import runnable_model


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="saliency evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "models",
        metavar="MODEL",
        nargs="+",
        type=runnable_model,
        help="an .onnx or .safetensors file, fast, default or best, which come with the package, "
        "or a folder of saliency maps",
    )
    add(
        "--data",
        metavar="LAYOUT:PATH",
        action="append",
        required=True,
        help="data set to score on, such as osie:PATH; may be given several times",
    )
    add(
        "--split",
        dest="part",
        choices=("validation", "train", "all"),
        help="part of each data set that is scored; what it is compared with comes from the whole "
        "(default: validation)",
    )
    add_parts_option(parser)
    add_fold_options(parser, does="are scored, whatever their part")
    add("--limit", metavar="COUNT", type=_count, help="score only the first COUNT images of each")
    _add_scoring_options(parser)
    add(
        "--json",
        metavar="FILE",
        type=_file,
        help="write the means and the scores of every image to FILE, replacing it",
    )
    add(
        "--html",
        metavar="FILE",
        type=_file,
        help="write a report with figures, and the best and worst images, to FILE, replacing it",
    )
    return parser


def _add_scoring_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--maps",
        choices=("optimal", "density"),
        default="optimal",
        help="optimal: each metric gets the map that is best for it; density: all get the density "
        "itself (default: %(default)s)",
    )
    parser.add_argument(
        "--map-kind",
        choices=("auto", "map", "log-density"),
        default="auto",
        help="what folders of maps hold; log densities get information gain too; auto: arrays "
        "whose exponentials sum to 1 are log densities (default: %(default)s)",
    )
    parser.add_argument(
        "--ceiling",
        dest="has_ceiling",
        action="store_true",
        help="score how well observers predict each other",
    )
    parser.add_argument(
        "--set-bias",
        dest="numbers",
        metavar="FILE",
        type=Path,
        help="numbers of the data sets, from `saliency adapt` or a run with --set-bias own: models "
        "are scored with them too",
    )
    parser.add_argument(
        "--seed",
        metavar="NUMBER",
        type=_seed,
        default=0,
        help="draws the images of the bootstrap, and the non-fixations of sAUC where a data set "
        "has more than 200,000 (default: %(default)s)",
    )


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options, `fold` as (folds, fold) or None.

    Raises:
        SystemExit: as the parser does.
    """
    parser = build_parser()
    arguments = parser.parse_intermixed_args(argv)
    arguments.fold = chosen_fold(parser, arguments)
    if arguments.fold and arguments.part:
        parser.error("argument --split: not allowed with --folds, which choose the images")
    if len(set(arguments.models)) < len(arguments.models):
        parser.error("argument MODEL: expected different models, got one twice")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = parse_arguments(argv)
    return run_reporting("evaluate", lambda: _report(arguments))


def _report(arguments: argparse.Namespace) -> int:
    """Evaluate, print the table and write the files."""
    # Here and not above, so that --help answers at once, and without the training extra.
    from saliency.evaluation.report.table import format_table, to_plain  # noqa: PLC0415
    from saliency.evaluation.run import Choices, evaluate_all  # noqa: PLC0415

    for file in (arguments.json, arguments.html):
        if file is not None:
            check_writable(file, overwrite=True)
    choices = record_of(Choices, arguments)
    results = evaluate_all(arguments.models, arguments.data, choices)
    print(format_table(results))
    asked = {
        "models": [str(model) for model in arguments.models],
        "split": None if choices.fold else choices.part,
        "fold": choices.fold,
        "parts": choices.parts,
        "maps": choices.maps,
        "set_bias": None if choices.numbers is None else str(choices.numbers),
        "seed": choices.seed,
    }
    if arguments.json is not None:
        report = {**asked, "data_sets": [to_plain(result) for result in results]}
        text = json.dumps(report, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
        write_whole(text.encode(), arguments.json, overwrite=True)
    if arguments.html is not None:
        from saliency.evaluation.report.html import render_report  # noqa: PLC0415  matplotlib takes a second

        page = render_report(results, asked)
        write_whole(page.encode(), arguments.html, overwrite=True)
    return 0


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number, 0 or above, got {text!r}")
    return int(text)


def _file(text: str) -> Path:
    path = Path(text)
    if not path.parent.is_dir() or path.is_dir():
        raise argparse.ArgumentTypeError(f"expected a file in a folder that exists, got {text!r}")
    return path
