"""The console command: `saliency VERB …`, one module per verb.

A verb's module is imported only when it is called, so cropping never loads what training needs.
Each has `build_parser()` and `main(argv=None) -> int`.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from saliency import __version__
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
    "calibrate": "fit how sure a model's crop windows are",
    "prune": "make a trained model smaller and faster",
    "inspect": "show what each layer of a model costs and contributes",
}
"""What each verb does, in the order of the help."""

_RUNTIME_VERBS = ("crop",)
_EXTRAS = {"serve": "serve", "review": "serve"}  # what a verb needs where it is not "train"
_BUSY_SHARE = 0.4
_INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it


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


def run_reporting(verb: str, run: Callable[[], int]) -> int:
    """Run a verb; report an error on one line, and return the exit status.

    Returns:
        What `run` returns; 1 after a `SaliencyError`; 130 after Ctrl-C; 1 when the reader of the
        output has closed it (`| head`), and when its disk is full.
    """
    try:
        status = run()
        sys.stdout.flush()
    except SaliencyError as error:
        print(error_line(verb, str(error)), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(error_line(verb, "interrupted"), file=sys.stderr)
        return _INTERRUPTED
    except OSError as error:
        # Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            place = error.filename or "standard output"
            message = f"cannot read or write {place}: {error.strerror or error}"
            print(error_line(verb, message), file=sys.stderr)
        return 1
    return status


def wait_passively(verb: str, threads: int | None) -> None:
    """Prepare a command that trains on a machine that may have other work; before torch is loaded.

    OpenMP's threads wait for each other at every layer. They are set to give up the core while they
    wait; and if the machine is busy already, a warning names the remedy.

    Args:
        verb: of the command.
        threads: number of threads for the network; None for one per core.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    if threads == 1 or cores == 1 or not hasattr(os, "getloadavg"):
        return
    load = os.getloadavg()[0]
    if load > _BUSY_SHARE * cores:
        message = (
            f"saliency {verb}: warning: the machine is busy (load {load:.1f} on {cores} cores): "
            "with --torch-threads 1 a step may take a fraction of the time"
        )
        print(message, file=sys.stderr)


def error_line(verb: str, message: str) -> str:
    """Return an error as one line for standard error."""
    return f"saliency {verb}: error: {' '.join(message.split())}"


def warning_line(verb: str, message: str) -> str:
    """Return a warning as one line for standard error."""
    return f"saliency {verb}: warning: {' '.join(message.split())}"


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
