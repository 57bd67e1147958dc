"""See the crops of a folder's photos in a browser, and correct them.

The page shows each photo with the window of each ratio, the least confident photos first. A window
can be dragged, resized, replaced by an alternative or by the middle, or crossed out; everything
works by keyboard too. Decisions are kept in decisions.json in the folder, on the disk after each;
`saliency crop FOLDER --decisions FOLDER/decisions.json` crops by them.

Exit status: 0 when it was stopped (Ctrl-C or SIGTERM), 1 when it cannot start, 2 for a wrong
command line.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from saliency.commands.arguments.choice import checked_by
from saliency.commands.jobs.reporting import run_reporting
from saliency.geometry import parse_aspect
from saliency.service.listening import add_address_options, run_app


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="saliency review",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("folder", metavar="FOLDER", type=Path, help="folder of photos")
    add(
        "--aspect",
        metavar="W:H",
        nargs="+",
        type=checked_by(_ratio),
        default=["16:9", "1:1", "4:5"],
        help="ratios to review (default: 16:9 1:1 4:5)",
    )
    add(
        "--decisions",
        metavar="FILE",
        type=Path,
        help="file of the decisions (default: decisions.json in the folder)",
    )
    add("--recursive", action="store_true", help="review the photos in folders inside of it too")
    add("--model", help="fast, default or best, or an .onnx file (default: default)")
    add_address_options(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the review and return the exit status."""
    arguments = build_parser().parse_args(argv)
    return run_reporting("review", lambda: _review(arguments))


def _review(arguments: argparse.Namespace) -> int:
    """Run the review until it is stopped."""
    from saliency.review.app import create_app  # noqa: PLC0415  so that --help answers at once
    from saliency.review.session import ReviewSession  # noqa: PLC0415

    folder: Path = arguments.folder
    session = ReviewSession(
        folder,
        arguments.decisions or folder / "decisions.json",
        {text: parse_aspect(text) for text in arguments.aspect},
        model=arguments.model,
        is_recursive=arguments.recursive,
    )
    hosts = ["127.0.0.1", "localhost", arguments.host]
    run_app("review", lambda: create_app(session, hosts), arguments.host, arguments.port)
    return 0


def _ratio(text: str) -> str:
    """Return a ratio as it was written, checked."""
    parse_aspect(text)
    return text
