"""The options of `saliency crop` on how a window is chosen."""

import argparse
from collections.abc import Callable
from typing import Any, get_args

from saliency.crop_windows.options import (
    FALLBACKS,
    LEAST_CONFIDENCE,
    LEAST_GAIN,
    PLACES,
    ChoiceOptions,
    Faces,
    parse_box,
    parse_share,
    parse_size,
)


def add_choice_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that are fields of `ChoiceOptions`, with its defaults."""
    add = parser.add_argument_group("choosing the window").add_argument
    _add_limits(add)
    share, box = checked_by(parse_share), checked_by(parse_box)
    add(
        "--zoom",
        metavar="SHARE",
        type=share,
        help="crop to the smallest window that keeps this share of the density, such as 0.8 or "
        "80%% (default: the largest window that fits)",
    )
    add(
        "--margin",
        metavar="SHARE",
        type=share,
        default=ChoiceOptions.margin,
        help="room around a zoomed window, on each side, as a share of it (default: %(default)s)",
    )
    add(
        "--keep",
        metavar="X,Y,W,H",
        type=box,
        action="append",
        help="box that the crop must hold, in pixels of the upright photo or in percent "
        "(50%%,0,50%%,100%%); may be given several times",
    )
    add(
        "--avoid",
        metavar="X,Y,W,H",
        type=box,
        action="append",
        help="box to leave out where possible; may be given several times, --keep comes first",
    )
    add(
        "--place",
        choices=PLACES,
        help="where in the crop the subject sits, as far as the photo allows: left, right, top "
        "and bottom are a third from that side, thirds the nearest of them on both axes "
        "(default: where the window scores best)",
    )
    add(
        "--min-size",
        metavar="WxH",
        type=checked_by(parse_size),
        help="least size of a window, in pixels of the photo; a photo too small for it is left "
        "to --fallback",
    )
    add(
        "--candidates",
        metavar="N",
        type=_count,
        help="make a crop of up to N windows of each ratio, called NAME-WxH-1.EXT, NAME-WxH-2.EXT, "
        "… (see --name); 1 is the chosen one, 2 the best one where that was not taken, each other "
        "shows most of what those before it do not (default: one crop, and up to "
        f"{ChoiceOptions.candidates} windows in --json)",
    )
    add(
        "--faces",
        choices=get_args(Faces),
        default=ChoiceOptions.faces,
        help="keep: cut through no person's head where that can be, and keep as many whole as "
        "possible; ignore: do not look for faces (default: %(default)s)",
    )
    add(
        "--keep-borders",
        action="store_true",
        help="let crops show the border around a picture: lines of one colour that end at once, as "
        "letter boxes and frames do, or that repeat the picture's outermost one (default: a crop "
        "is of the picture inside)",
    )


def _add_limits(add: Callable[..., Any]) -> None:
    """Add what a window must be worth, and what happens otherwise."""
    share = checked_by(parse_share)
    add(
        "--min-gain",
        metavar="SHARE",
        type=share,
        help="least share of the density that a window must keep more than the centred one "
        "(default: any)",
    )
    add(
        "--min-confidence",
        metavar="P",
        type=share,
        help="least probability that people's fixations prefer the window to the centred one; a "
        f"gain of {LEAST_GAIN} where the model has no calibration (default: {LEAST_CONFIDENCE}; "
        "any with --place)",
    )
    add(
        "--fallback",
        choices=FALLBACKS,
        default=ChoiceOptions.fallback,
        help="where these are not met: crop the middle, add borders to the whole photo, or write "
        "no crop (default: %(default)s)",
    )


def checked_by(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a type for argparse that shows the message of a parser's `ValueError`."""

    def read(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read


def _count(text: str) -> int:
    """Return a whole number above 0."""
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got '{text}'")
    return int(text)
