"""Check a data set, or write it for pysaliency.

  saliency data check osie:PATH       counts against those of the published set, sizes and
                                      fixations, problems, each counted and with its remedy; and
                                      a contact sheet of images with fixations or maps
  saliency data export osie:PATH --out DIR
                                      stimuli.hdf5 and fixations.hdf5, which pysaliency reads

A check decodes every photo. Exit status: 0 when nothing is wrong, 1 when something is, 2 for a
wrong command line, 130 after Ctrl-C.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from saliency.commands.jobs.reporting import run_reporting
from saliency.errors import DatasetError
from saliency.files import check_writable, create_folder, write_whole


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="saliency data",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="look a data set over", allow_abbrev=False)
    check.add_argument(
        "--sheet",
        metavar="FILE",
        type=_picture_file,
        help="where to write the contact sheet (default: NAME-check.jpg in this folder)",
    )
    export = actions.add_parser("export", help="write it for pysaliency", allow_abbrev=False)
    export.add_argument(
        "--out", metavar="DIR", type=Path, required=True, help="folder, made if it is not there"
    )
    for action in (check, export):
        action.add_argument("data", metavar="LAYOUT:PATH", help="data set, such as osie:PATH")
        action.add_argument("--overwrite", action="store_true", help="replace files that exist")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = build_parser().parse_args(argv)
    action = _check if arguments.action == "check" else _export
    return run_reporting("data", lambda: action(arguments))


def _check(arguments: argparse.Namespace) -> int:
    """Print what a data set holds, and write its contact sheet."""
    import cv2  # noqa: PLC0415  scipy and OpenCV take a second; --help answers at once
    from tqdm import tqdm  # noqa: PLC0415

    from saliency.datasets.dataset import MappedPhoto  # noqa: PLC0415
    from saliency.datasets.inspection import (  # noqa: PLC0415
        contact_sheet,
        find_problems,
        statistics,
    )
    from saliency.datasets.layouts.registry import read_dataset  # noqa: PLC0415
    from saliency.datasets.published_counts import EXPECTED, Expected  # noqa: PLC0415
    from saliency.fixations.scene import Scene  # noqa: PLC0415

    dataset = read_dataset(arguments.data, refuse_faults=False)
    sheet = arguments.sheet or Path(f"{dataset.name}-check.jpg")
    check_writable(sheet, overwrite=arguments.overwrite)
    expected = EXPECTED.get(arguments.data.partition(":")[0], Expected())
    photos: list[Scene | MappedPhoto] = [*dataset.scenes, *dataset.mapped]
    if not photos and not dataset.faults:
        raise DatasetError(
            f"{dataset.describe()}: expected images with fixations or maps to look over"
        )
    rows = statistics(dataset, expected)
    width = max(len(name) for name, _ in rows)
    print(f"{dataset.name}")
    for name, value in rows:
        print(f"  {name:<{width}}  {value}")
    shown = tqdm(photos, desc="decoding", unit="image", file=sys.stderr, leave=False)
    problems = find_problems(dataset, shown, expected)
    for problem in problems or ["none"]:
        print(f"  {'problem':<{width}}  {problem}", flush=True)
    if photos:
        _, data = cv2.imencode(sheet.suffix, contact_sheet(photos)[..., ::-1])
        write_whole(data.tobytes(), sheet, overwrite=arguments.overwrite)
        print(f"written: {sheet}")
    return 1 if problems else 0


def _export(arguments: argparse.Namespace) -> int:
    """Write a data set as pysaliency's files."""
    from saliency.datasets.layouts.pysaliency_hdf5 import write_pysaliency  # noqa: PLC0415
    from saliency.datasets.layouts.registry import read_dataset  # noqa: PLC0415

    create_folder(arguments.out)
    for name in ("stimuli.hdf5", "fixations.hdf5"):
        check_writable(arguments.out / name, overwrite=arguments.overwrite)
    dataset = read_dataset(arguments.data)
    print(dataset.describe(), file=sys.stderr)
    stimuli, fixations = write_pysaliency(dataset.scenes, arguments.out)
    print(f"written: {stimuli}, {fixations}")
    return 0


def _picture_file(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in (".jpg", ".jpeg", ".png") or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(
            f"expected a .jpg or .png file in a folder that exists, got {text!r}"
        )
    return path
