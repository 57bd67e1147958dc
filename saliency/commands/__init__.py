"""The console command: `saliency VERB …`, one module per verb.

A verb's module is imported only when it is called, so cropping never loads what training needs.
Each has `build_parser()` and `main(argv=None) -> int`.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from saliency import __version__
from saliency.commands.jobs.reporting import run_reporting
from saliency.errors import SaliencyError

VERBS = {
    "crop": "crop photos, keeping what people look at",
    "serve": "serve crops over HTTP, with a page for people",
    "review": "see the crops of a folder in a browser, and correct them",
    "data": "check a data set, or write it for pysaliency",
    "train": "train a model on the fixations of people",
    "evaluate": "measure a model on the fixations of people",
    "export": "write a trained model as ONNX, for cropping",
    "adapt": "fit what is particular to a data set to a trained model",
    "calibrate": "fit a model's density, and how sure its crop windows are",
    "prune": "make a trained model smaller and faster",
    "inspect": "show what each layer of a model costs and contributes",
}
"""What each verb does, in the order of the help."""

_RUNTIME_VERBS = ("crop",)
_EXTRAS = {"serve": "serve", "review": "serve"}  # what a verb needs where it is not "train"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command without its verbs' options."""
    verbs = "\n".join(f"  {verb:<10}{does}" for verb, does in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="saliency",
        description="Predict where people look in a photo, and crop photos by it.",
        usage="saliency [-h] [--version] VERB ...",
        epilog=f"verbs:\n{verbs}\n\n`saliency VERB --help` describes the options of a verb.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"saliency {__version__}")
    parser.add_argument("verb", metavar="VERB", choices=VERBS, help="what to do, see below")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] not in VERBS:
        build_parser().parse_args(arguments)  # prints help or version, or the error, and exits
    verb, rest = arguments[0], arguments[1:]
    return run_reporting(verb, lambda: _run(verb, rest))


def _run(verb: str, arguments: Sequence[str]) -> int:
    """Import the module of a verb and run it."""
    try:
        status: int = import_module(f"saliency.commands.{verb}").main(arguments)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if verb in _RUNTIME_VERBS or missing in ("", "saliency"):
            raise
        extra = _EXTRAS.get(verb, "train")
        raise SaliencyError(
            f"{missing} is not installed, which this verb needs; "
            f'install it with: pip install "saliency-crop[{extra}]"'
        ) from error
    return status
