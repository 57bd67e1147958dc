"""Which part of a photo is picture: all but a border that was laid around it.

Of 1000 photos from the web 6 in 100 have one. It is not looked at and not wanted in a crop, and
however wide it is, the same picture is to get the same window. Two kinds are found, side by side:

- lines of one colour that end at once along most of the photo: letter boxes, frames, canvas that
  was filled up. What was photographed on an even background, or below the sky, does not end so;
- lines that repeat the outermost one of the picture, as encoders fill up blocks. No photo has
  those by itself, for grain.
"""

from collections.abc import Iterator

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

Lines = NDArray[np.uint8]
"""Pixels (lines, length, 3), from one side of the photo inwards."""


def find_content(pixels: Pixels) -> Window:
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


def _inside(photo: NDArray[np.uint8], least_other: float) -> Window:
    """Return what is inside of the borders on all sides."""
    height, width, _ = photo.shape
    top, bottom = _borders(photo, least_other)
    columns = photo[top : height - bottom].transpose(1, 0, 2)
    left, right = _borders(columns, least_other)
    return Window(left, top, width - left - right, height - top - bottom)


def _borders(lines: Lines, least_other: float) -> tuple[int, int]:
    """Return how many lines are border on either side; none where nothing would be left."""
    one, other = _border(lines, least_other), _border(lines[::-1], least_other)
    return (one, other) if one + other < len(lines) else (0, 0)


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


def _border(lines: Lines, least_other: float) -> int:
    """Return how many lines are border, from the outermost one on."""
    colour = _colour(lines[0])
    if _part_beside(colour, lines[0]) > _MOST_STRANGE:
        return _repeated(lines)
    strange = (n for n, line in enumerate(lines) if _part_beside(colour, line) > _MOST_STRANGE)
    end = next(strange, len(lines))
    others = [_part_beside(colour, line, by=_OTHER) for line in lines[end:][: _MIXED_LINES + 1]]
    for least in (_LEAST_OTHER, least_other):
        for count, other in enumerate(others, start=end):
            if other >= least:
                return count
    return 0


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
