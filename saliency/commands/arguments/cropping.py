"""The options of `saliency crop` on what is read, what is written, and how it is reported."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from saliency.batch.naming import CANDIDATE_PATTERN, DEFAULT_PATTERN, parse_pattern
from saliency.commands.arguments.choice import checked_by
from saliency.geometry import Size
from saliency.photo.damage import DEFAULT_FAIL_ON, FailOn
from saliency.photo.formats import SUFFIXES, Encoding, Subsampling

_MOST_SIDE_PX = 65_535
_SIZE = re.compile(r"(\d+)x(\d+)")


def add_input_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for which photos are cropped."""
    add = parser.add_argument_group("photos").add_argument
    add("--recursive", action="store_true", help="crop the photos in folders inside of folders too")
    add(
        "--from-file",
        metavar="FILE",
        help="crop the photos that a file lists, one per line; - for standard input",
    )
    add(
        "--null",
        action="store_true",
        help="lists (--from-file, --rejects) have NULs between names, as `find -print0` writes",
    )
    add(
        "--decisions",
        metavar="FILE",
        type=Path,
        help="crop as was decided with `saliency review`: windows that a person chose or left to "
        "the model; photos without a decision are cropped by the model",
    )
    add_damage_option(add)


def add_damage_option(add: Callable[..., Any]) -> None:
    """Add --fail-on to a parser or a group, by its `add_argument`."""
    add(
        "--fail-on",
        choices=get_args(FailOn),
        default=DEFAULT_FAIL_ON,
        help="refuse photos that are damaged and can be decoded all the same: those whose end is "
        "missing (truncated), those too that have wrong parts (error), or any fault (warning) "
        "(default: %(default)s: they are cropped with a warning)",
    )


def add_file_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for the files of crops."""
    add = parser.add_argument_group("files of the crops").add_argument
    add(
        "--output-dir",
        metavar="DIR",
        type=Path,
        help="folder for the crops, created if missing; folders that were named keep their tree "
        "in it (default: the photo's own folder)",
    )
    add(
        "--name",
        dest="pattern",
        metavar="PATTERN",
        type=checked_by(parse_pattern),
        help="how crops are called, from {stem}, {aspect}, {ext}, {parent} (the photo's folder) and"
        " {candidate}, with which each window of --candidates has a crop; / makes folders (default:"
        f" {DEFAULT_PATTERN}; with --candidates {CANDIDATE_PATTERN})",
    )


def add_encoding_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for how crops are encoded, and what they keep of their photo's file."""
    add = parser.add_argument_group("encoding of the crops").add_argument
    add(
        "--format",
        dest="as_format",
        choices=tuple(SUFFIXES),
        help="format of the crops (default: the photo's own; PNG for BMP)",
    )
    add(
        "--quality",
        metavar="Q",
        type=_quality,
        default=Encoding.quality,
        help="quality of JPEG, WebP, AVIF and HEIC, 1 to 100 (default: %(default)s)",
    )
    add(
        "--subsampling",
        choices=get_args(Subsampling),
        help="how JPEG samples colours (default: 4:2:0 if the photo is a JPEG with fewer colours "
        "than pixels, else 4:4:4)",
    )
    add("--progressive", action="store_true", help="write JPEGs that load as a whole, then sharpen")
    add(
        "--lossless",
        action="store_true",
        help="cut JPEGs on the borders of their blocks without re-encoding: the window moves by up "
        "to half a block (8 or 16 pixels); write WebP without loss",
    )
    add(
        "--background",
        metavar="COLOUR",
        type=_colour,
        default=Encoding.background,
        help="of transparent parts in a JPEG, and of borders (--fallback pad): a name or #rrggbb "
        "(default: %(default)s)",
    )
    add(
        "--strip",
        dest="is_stripped",
        action="store_true",
        help="leave out EXIF, GPS, XMP and IPTC",
    )


def add_size_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for the size of a crop; at most one of them may be given."""
    add = parser.add_argument_group("size of the crops").add_mutually_exclusive_group().add_argument
    add(
        "--size",
        metavar="WxH",
        type=_size,
        help="size of the crops in pixels, and their ratio if there is no --aspect; with it, as "
        "large as fits into this size",
    )
    add("--scale", metavar="FACTOR", type=_factor, help="shrink or enlarge crops: 0.5 or 50%%")
    add(
        "--max-size",
        metavar="PX",
        type=whole_number,
        help="shrink crops whose longest side is longer (default: keep the photo's pixels)",
    )


def add_report_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for what is shown and for files that exist."""
    add = parser.add_argument_group("reports").add_argument
    add(
        "--dry-run",
        dest="is_dry",
        action="store_true",
        help="choose the windows and write no file",
    )
    add("--json", action="store_true", help="print what was done as JSON, see below")
    add("--overlay", action="store_true", help="write NAME-overlay.png too: density and windows")
    add(
        "--contact-sheet",
        metavar="FILE",
        type=Path,
        help="write a JPEG or PNG of all photos with their windows; further pages are FILE-2, …",
    )
    add("--timing", action="store_true", help="print how long each part took")
    add(
        "--rejects",
        metavar="FILE",
        type=Path,
        help="write a list of the photos that failed, for --from-file",
    )
    add("--overwrite", action="store_true", help="replace files that exist")
    add(
        "--resume",
        action="store_true",
        help="leave crops that exist, make those that are missing; with --candidates a photo is "
        "done where the crop of the chosen window exists, which is written last",
    )


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for predicting the density."""
    add = parser.add_argument_group("running").add_argument
    add(
        "--model",
        metavar="MODEL",
        help="fast, default or best, which come with the package, or an .onnx file (default: "
        "default)",
    )
    add(
        "--workers",
        metavar="N",
        type=whole_number,
        help="photos in work at a time (default: one per core)",
    )
    add(
        "--threads",
        metavar="N",
        type=whole_number,
        help="threads of the model for one photo (default: one per core, at most 4, for a single "
        "worker, else 1; 1 too where another core decodes the photo at its full size)",
    )


def whole_number(text: str) -> int:
    """Return a whole number above 0."""
    return _number_between(text, 1, None)


def _quality(text: str) -> int:
    """Return a quality, 1 to 100."""
    return _number_between(text, 1, 100)


def _number_between(text: str, least: int, most: int | None) -> int:
    """Return a whole number in a range, or refuse the argument."""
    value = int(text) if text.isascii() and text.isdigit() else least - 1
    if value < least or (most is not None and value > most):
        wanted = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise argparse.ArgumentTypeError(f"expected a whole number {wanted}, got '{text}'")
    return value


def _size(text: str) -> Size:
    """Return a size in pixels."""
    match = _SIZE.fullmatch(text.strip().lower())
    if match is None or not all(1 <= int(side) <= _MOST_SIDE_PX for side in match.groups()):
        raise argparse.ArgumentTypeError(
            f"expected WxH with sides from 1 to {_MOST_SIDE_PX}, such as 1200x630, got '{text}'"
        )
    return int(match[1]), int(match[2])


def _factor(text: str) -> float:
    """Return a factor, written as a number or as a percentage."""
    number = text.strip()
    try:
        factor = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
    except ValueError:
        factor = 0.0
    if not 0 < factor <= 100:
        raise argparse.ArgumentTypeError(
            f"expected a factor above 0 and up to 100, such as 0.5 or 50%, got '{text}'"
        )
    return factor


def _colour(text: str) -> str:
    """Return a colour as CSS writes it."""
    if text != Encoding.background:  # which needs no library
        from PIL import ImageColor  # noqa: PLC0415

        try:
            ImageColor.getrgb(text)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"expected a colour such as white or #202020, got '{text}'"
            ) from None
    return text
