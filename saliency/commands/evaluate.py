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
import json
from collections.abc import Sequence
from pathlib import Path

from saliency.atomic import write_whole
from saliency.commands import run_reporting


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
        help="data set to score on, such as osie:PATH; may be given several times",
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


def _report(arguments: argparse.Namespace) -> int:
    """Evaluate, print the table and write the JSON."""
    # Here and not above, so that --help answers at once, and without the training extra.
    from saliency.score_report import evaluate_all, format_table  # noqa: PLC0415

    results = evaluate_all(
        arguments.model,
        arguments.data,
        part=arguments.split,
        limit=arguments.limit,
        seed=arguments.seed,
    )
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
