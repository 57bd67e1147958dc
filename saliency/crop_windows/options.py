"""Options for choosing a window, and how they are written.

Separate from `choice`, so that a command line is checked without importing numpy.
"""

import math
import re
from dataclasses import dataclass
from typing import Literal, get_args

from saliency.geometry import Size

Fallback = Literal["center", "pad", "skip"]
Place = Literal[
    "left",
    "right",
    "top",
    "bottom",
    "center",
    "thirds",
    "top-left",
    "top-right",
    "bottom-left",
    "bottom-right",
]

Faces = Literal["keep", "ignore"]

FALLBACKS: tuple[Fallback, ...] = get_args(Fallback)
PLACES: tuple[Place, ...] = get_args(Place)

LEAST_CONFIDENCE = 0.5
"""Confidence that a window must have unless another is asked for."""

LEAST_GAIN = 0.01
"""Gain that takes the place of a confidence where the model has no calibration."""

_NUMBER = re.compile(r"(\d+(?:\.\d+)?)(%?)")


@dataclass(frozen=True)
class Box:
    """A part of a photo to keep or to avoid, as it was written.

    Attributes:
        numbers: left edge, upper edge, width and height.
        are_percent: for each of them, whether it is a percentage of the photo's width or height;
            if not, it is in pixels of the upright photo.
    """

    numbers: tuple[float, float, float, float]
    are_percent: tuple[bool, bool, bool, bool]

    def edges(self, photo_size: Size) -> tuple[int, int, int, int] | None:
        """Return left, top, right and bottom on a photo, in whole pixels.

        They are rounded outwards, and end at the photo's border; None for a box that lies outside
        the photo.
        """
        x, y, width, height = (
            number * side / 100 if is_percent else number
            for number, is_percent, side in zip(
                self.numbers, self.are_percent, (*photo_size, *photo_size), strict=True
            )
        )
        right, bottom = (
            min(math.ceil(x + width), photo_size[0]),
            min(math.ceil(y + height), photo_size[1]),
        )
        left, top = math.floor(x), math.floor(y)
        return (left, top, right, bottom) if left < right and top < bottom else None

    def __str__(self) -> str:
        """Return the box as it is written on a command line."""
        pairs = zip(self.numbers, self.are_percent, strict=True)
        return ",".join(f"{number:g}{'%' * is_percent}" for number, is_percent in pairs)


@dataclass(frozen=True, kw_only=True)
class ChoiceOptions:
    """How windows are chosen; the defaults choose the largest window of the best score.

    Attributes:
        min_gain: share of the density, 0 to 1, that a window must keep more than the centred one;
            None for any.
        min_confidence: probability, 0 to 1, that people's fixations prefer a window to the
            centred one; with a model that has no calibration, any above 0 means a gain of
            `LEAST_GAIN`. None for `LEAST_CONFIDENCE`, and for any where a place is asked for.
        fallback: what is taken if these are not met: the centred window, the whole photo with
            borders, or nothing.
        zoom: take the least window that keeps this share of the density, 0 to 1; None for the
            largest window.
        margin: of a zoomed window, on each side, as a share of that side.
        keep: boxes that a window must contain, whole if they fit.
        avoid: boxes that a window must not contain, if that is possible.
        place: where in the window the subject should be; None for where the window scores best.
        min_size: least width and height of a window, in pixels.
        candidates: number of windows to report for each ratio at most, including the chosen one.
        faces: whether windows avoid cutting through people's heads, if that is possible.
        keep_borders: count a border around the picture as part of it.
    """

    min_gain: float | None = None
    min_confidence: float | None = None
    fallback: Fallback = "center"
    zoom: float | None = None
    margin: float = 0.0
    keep: tuple[Box, ...] = ()
    avoid: tuple[Box, ...] = ()
    place: Place | None = None
    min_size: Size | None = None
    candidates: int = 3
    faces: Faces = "keep"
    keep_borders: bool = False

    def __post_init__(self) -> None:
        """Refuse values that make no sense.

        Raises:
            ValueError: a share is not between 0 and 1, a count or a size is below 1, or a name is
                not among those above.
        """
        for name in ("min_gain", "min_confidence", "zoom", "margin"):
            share = getattr(self, name)
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"expected {name} from 0 to 1, got {share}")
        if self.fallback not in FALLBACKS:
            raise ValueError(f"expected one of {', '.join(FALLBACKS)}, got {self.fallback!r}")
        if self.place is not None and self.place not in PLACES:
            raise ValueError(f"expected one of {', '.join(PLACES)}, got {self.place!r}")
        if self.faces not in get_args(Faces):
            raise ValueError(f"expected one of {', '.join(get_args(Faces))}, got {self.faces!r}")
        if self.candidates < 1:
            raise ValueError(f"expected at least 1 candidate, got {self.candidates}")
        if self.min_size is not None and min(self.min_size) < 1:
            raise ValueError(f"expected a least size of at least 1x1, got {self.min_size}")

    @property
    def least_confidence(self) -> float:
        """The confidence that a window must have, 0 for any."""
        if self.min_confidence is not None:
            return self.min_confidence
        return LEAST_CONFIDENCE if self.place is None else 0.0


def parse_box(text: str) -> Box:
    """Return the box that a text names.

    Args:
        text: `X,Y,W,H`, each in pixels or with a percent sign: `40,0,200,120`, `50%,0,50%,100%`.

    Raises:
        ValueError: the text is no box, or the box is empty.
    """
    matches = [_NUMBER.fullmatch(part.strip()) for part in text.split(",")]
    found = [(float(match[1]), match[2] == "%") for match in matches if match is not None]
    if len(matches) != 4 or len(found) != 4 or min(found[2][0], found[3][0]) == 0:
        raise ValueError(
            "expected X,Y,W,H in pixels or percent, such as 40,0,200,120 or 50%,0,50%,100%, "
            f"with W and H above 0, got '{text}'"
        )
    (x, y, width, height), (*are_percent,) = zip(*found, strict=True)
    left, top, wide, high = are_percent
    return Box((x, y, width, height), (left, top, wide, high))


def parse_share(text: str) -> float:
    """Return a share, 0 to 1, that is written as a number or as a percentage.

    Raises:
        ValueError: it is neither, or out of this range.
    """
    match = _NUMBER.fullmatch(text.strip())
    value = math.nan if match is None else float(match[1]) / (100 if match[2] else 1)
    if not 0 <= value <= 1:
        raise ValueError(f"expected a share such as 0.8 or 80%, got '{text}'")
    return value


def parse_size(text: str) -> Size:
    """Return the width and height that `WxH` names, in pixels.

    Raises:
        ValueError: the text is not a size.
    """
    match = re.fullmatch(r"(\d+)x(\d+)", text.strip().lower())
    if match is None or min(int(match[1]), int(match[2])) < 1:
        raise ValueError(f"expected WxH in pixels, such as 640x360, got '{text}'")
    return int(match[1]), int(match[2])
