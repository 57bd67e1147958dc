"""Which part of a photo is picture: all but a border that was laid around it.

Of 1000 photos from the web 6 in 100 have one. It is not looked at and not wanted in a crop, and
however wide it is, the same picture is to get the same window. Two kinds are found, side by side:

- lines of one colour that end at once along most of the photo: letter boxes, frames, canvas that
  was filled up. A clear sky above a straight horizon ends so too, so such lines are required on
  the opposite side or on three sides, or very few of them, and no object may stand out of them;
- lines that repeat the outermost one of the picture, as encoders fill up blocks. No photo has
  those by itself, for grain.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from saliency.geometry import Window
from saliency.photo.colour import pixels_to_srgb
from saliency.photo.pixels import Pixels, cropped, pixel_size

# Found on 2000 photos with and without borders, stored as JPEG of several qualities.
_SAME = 10  # levels of 255 by which a border's colours differ at most, as JPEG changes them
_OTHER = 24  # levels by which the picture's differ at least
_MOST_STRANGE = 0.05  # part of a border's line that may be of another colour
_SAMPLES, _MOST_STRANGE_SAMPLES = 64, 0.15  # the same at a first look
_LEAST_OTHER = 0.6  # part of the picture's first line that is of another colour
_LEAST_OTHER_OF_FRAME = 0.3  # the same where another side has a border
_MOST_INNER_FRAMES = 2
_MIXED_LINES = 2  # between the two, which JPEG mixes
_LEAST_GRAIN = 0.1  # part of a line's pixels that differ from the one before, in a photo
_LEAST_PART = 0.25  # of both sides, that has to be picture
_MOST_OF_OBJECT = 0.005  # part of a border's line that may stand out by `_OTHER` levels
_BLURRED_LINES = 16  # before the picture, into which JPEG spreads what is in it
_MOST_ALONE = 0.02  # part of a side that is border where no other side has one
_MOST_UNEQUAL, _MOST_UNEVEN = 0.25, 4  # part of a side, and times the border opposite to it

Lines = NDArray[np.uint8]
"""Pixels (lines, length, 3), from one side of the photo inwards."""


def find_picture(pixels: Pixels) -> Window:
    """Return the part of a photo that lies inside of its border; all of it where it has none.

    Where no side looks like a border, as in most photos, this takes but a moment.
    """
    width, height = pixel_size(pixels)
    whole = Window(0, 0, width, height)
    if min(width, height) < 2 or not _may_have_border(pixels):
        return whole
    photo = pixels_to_srgb(pixels, None)
    found = _inside(photo, _LEAST_OTHER)
    if found != whole:  # then other sides may well have one too, and a frame another inside
        for _ in range(_MOST_INNER_FRAMES):
            left, top, right, bottom = found.box
            inner = _inside(photo[top:bottom, left:right], _LEAST_OTHER_OF_FRAME)
            found = inner.moved(left, top)
    is_picture = found.width >= _LEAST_PART * width and found.height >= _LEAST_PART * height
    return found if is_picture else whole


class _Band(NamedTuple):
    """Lines along a side that may be border.

    Attributes:
        lines: how many; 0 where they do not end at once.
        colour: of the outermost line; None where it is not of one colour, so that the lines
            repeat the next one, or where something stands out of them.
    """

    lines: int = 0
    colour: NDArray[np.int16] | None = None

    def is_like(self, other: "_Band") -> bool:
        """Return whether two bands have the same colour."""
        if self.colour is None or other.colour is None:
            return False
        return bool((np.abs(self.colour - other.colour) <= _SAME).all())


def _inside(photo: NDArray[np.uint8], least_other: float) -> Window:
    """Return what is inside of the borders on all sides."""
    height, width, _ = photo.shape
    rows = _bands(photo, least_other)
    between = photo[rows[0].lines : height - rows[1].lines]
    columns = _bands(between.transpose(1, 0, 2), least_other)
    top, bottom = _borders(rows, columns, height)
    left, right = _borders(columns, rows, width)
    return Window(left, top, width - left - right, height - top - bottom)


def _bands(lines: Lines, least_other: float) -> tuple[_Band, _Band]:
    """Return what may be border on either side; nothing where no line would be left."""
    one, other = _band(lines, least_other), _band(lines[::-1], least_other)
    return (one, other) if one.lines + other.lines < len(lines) else (_Band(), _Band())


def _borders(bands: tuple[_Band, _Band], across: tuple[_Band, _Band], full: int) -> tuple[int, int]:
    """Return how many lines are border on either side.

    Args:
        bands: what may be border there.
        across: the same on the two other sides.
        full: lines from one side to the other.
    """
    one, other = bands
    widest = max(one.lines, other.lines)
    are_even = widest <= _MOST_UNEQUAL * full or widest <= _MOST_UNEVEN * min(
        one.lines, other.lines
    )
    is_pair = one.is_like(other) and are_even

    def is_border(band: _Band) -> bool:
        is_third = across[0].is_like(across[1]) and band.is_like(across[0])
        is_narrow = band.lines <= _MOST_ALONE * full
        return band.colour is None or is_pair or is_third or is_narrow

    return (one.lines if is_border(one) else 0), (other.lines if is_border(other) else 0)


def _may_have_border(pixels: Pixels) -> bool:
    """Return whether some side begins as a border does, by some of its pixels."""
    sides = np.stack([_samples(side) for side in _sides(pixels)]).astype(np.int16)
    outer, inner = sides[:, 0], sides[:, 1]
    colours = np.sort(outer, axis=1)[:, outer.shape[1] // 2]
    strange = (np.abs(outer - colours[:, np.newaxis]) > _SAME).any(axis=2)
    is_repeated = (outer == inner).all(axis=(1, 2))
    return bool((is_repeated | (strange.mean(axis=1) <= _MOST_STRANGE_SAMPLES)).any())


def _sides(pixels: Pixels) -> Iterator[Lines]:
    """Yield the two outermost lines of each side, from outside inwards."""
    if isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8:
        rows: Lines = np.asarray(pixels, dtype=np.uint8)
        columns = rows.transpose(1, 0, 2)
        yield from (rows[:2], rows[:-3:-1], columns[:2], columns[:-3:-1])
        return
    width, height = pixel_size(pixels)
    yield pixels_to_srgb(cropped(pixels, (0, 0, width, 2)), None)
    yield pixels_to_srgb(cropped(pixels, (0, height - 2, width, height)), None)[::-1]
    yield pixels_to_srgb(cropped(pixels, (0, 0, 2, height)), None).transpose(1, 0, 2)
    right = pixels_to_srgb(cropped(pixels, (width - 2, 0, width, height)), None)
    yield right.transpose(1, 0, 2)[::-1]


def _samples(lines: Lines) -> Lines:
    """Return as many pixels of lines of any length, evenly apart."""
    return lines[:, np.arange(_SAMPLES) * lines.shape[1] // _SAMPLES]


def _band(lines: Lines, least_other: float) -> _Band:
    """Return the lines that may be border, from the outermost one on."""
    colour = _colour(lines[0])
    if _part_beside(colour, lines[0]) > _MOST_STRANGE:
        return _Band(_repeated(lines))
    strange = (n for n, line in enumerate(lines) if _part_beside(colour, line) > _MOST_STRANGE)
    end = next(strange, len(lines))
    others = [_part_beside(colour, line, by=_OTHER) for line in lines[end:][: _MIXED_LINES + 1]]
    for least in (_LEAST_OTHER, least_other):
        for count, other in enumerate(others, start=end):
            if other >= least:
                return _Band() if _has_object(lines[:count], colour) else _Band(count, colour)
    return _Band(0, colour)


def _has_object(lines: Lines, colour: NDArray[np.int16]) -> bool:
    """Return whether something stands out of a band of one colour: a boat, the moon, a title."""
    even = lines[: max(len(lines) - _BLURRED_LINES, 0)]
    return any(_part_beside(colour, line, by=_OTHER) > _MOST_OF_OBJECT for line in even)


def _repeated(lines: Lines) -> int:
    """Return how many lines repeat the next one, from the outermost one on, if they have grain."""
    first = lines[0]
    if (first[1:] != first[:-1]).any(axis=1).mean() < _LEAST_GRAIN:
        return 0
    others = (n for n, line in enumerate(lines) if not np.array_equal(line, first))
    return next(others, 1) - 1


def _colour(line: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Return the colour of most of a line."""
    return np.asarray(np.sort(line, axis=0)[len(line) // 2], dtype=np.int16)


def _part_beside(colour: NDArray[np.int16], line: NDArray[np.uint8], by: int = _SAME) -> float:
    """Return which part of a line differs from a colour by more than some levels."""
    return float((np.abs(line - colour) > by).any(axis=1).mean())
