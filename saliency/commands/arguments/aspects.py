"""The ratios of crops, and all options of a command line or a query as those of crops."""

import argparse
from dataclasses import replace
from fractions import Fraction

from saliency.commands.arguments.fields import record_of
from saliency.crop_windows.options import ChoiceOptions
from saliency.cropping.options import CropOptions, Output
from saliency.geometry import AUTO, BEST_OF, Aspect, aspect_name, parse_aspect
from saliency.photo.formats import Encoding


def add_aspect_option(parser: argparse.ArgumentParser) -> None:
    """Add --aspect."""
    parser.add_argument(
        "--aspect",
        metavar="W:H",
        nargs="+",
        action="extend",
        help="width to height of a crop: 16:9, 1.91:1 or 1200x630; several make several crops of "
        "each photo; auto: any ratio and size, what people would make of the photo; best-of W:H "
        "W:H …: one crop, of the best of these ratios (default: that of --size, else 1:1)",
    )


def is_aspect(text: str) -> bool:
    """Return whether a text may be a value of --aspect."""
    try:
        return text in (AUTO, BEST_OF) or parse_aspect(text) > 0
    except ValueError:
        return False


def read_aspects(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Set `aspect` to a dict from how a ratio was written to its value, and `has_aspect`.

    A wrong ratio is reported by `parser.error`.
    """
    options.has_aspect = options.aspect is not None
    written = options.aspect
    if written is None:
        written = ["1:1"] if options.size is None else [f"{options.size[0]}x{options.size[1]}"]
    option = "--aspect" if options.has_aspect else "--size"
    aspects: dict[str, Aspect] = {}
    candidates: list[Fraction] | None = None  # those that follow best-of
    for text in written:
        if text == AUTO:
            aspects[AUTO] = ()
            continue
        if text == BEST_OF:
            candidates = candidates or []
            continue
        try:
            ratio = parse_aspect(text)
        except ValueError as error:
            parser.error(f"argument {option}: {error}")
        if candidates is not None:
            candidates.append(ratio)
            aspects[BEST_OF] = tuple(candidates)
        elif aspect_name(text) not in map(aspect_name, aspects):  # 16:9 and 16x9 are one crop
            aspects[text] = ratio
    if candidates is not None and len(candidates) < 2:
        parser.error("argument --aspect: best-of needs two ratios or more: best-of 1:1 4:5 16:9")
    options.aspect = aspects


def check_crop_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuse options that contradict each other, by `parser.error`; after `read_aspects`."""
    is_resized = any(value is not None for value in (options.size, options.scale, options.max_size))
    if options.lossless and is_resized:
        parser.error("argument --lossless: not allowed with --size, --scale or --max-size")
    if options.margin and options.zoom is None:
        parser.error("argument --margin: needs --zoom, whose windows it makes larger")
    if AUTO in options.aspect and (options.zoom or options.place):
        parser.error("argument --aspect: auto chooses size and place, without --zoom and --place")


def crop_options(options: argparse.Namespace, *, has_alternatives: bool) -> CropOptions:
    """Return the options of crops, after `read_aspects`.

    Args:
        options: of a command line or a query.
        has_alternatives: report other windows too, or make crops of them.
    """
    choice = record_of(ChoiceOptions, options)
    if not has_alternatives:
        choice = replace(choice, candidates=1)
    is_exact = options.size is not None and not options.has_aspect
    output = record_of(
        Output,
        options,
        exact_size=options.size if is_exact else None,
        bounds=None if is_exact else options.size,
    )
    return record_of(
        CropOptions,
        options,
        aspects=options.aspect,
        choice=choice,
        output=output,
        encoding=record_of(Encoding, options),
        is_lossless=options.lossless,
    )
