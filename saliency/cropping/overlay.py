"""Pictures that show what was predicted and what was chosen."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from saliency.colour_map import colours_of, density_levels
from saliency.crop_windows.choice import Choice
from saliency.cropping.analysis import Analysis
from saliency.geometry import Frame, Size, Window
from saliency.photo.reading import to_srgb

_SIDE_RANGE = (720, 1600)  # longest side of the picture: text has one size, so it stays legible
_NARROWEST = 720
_LINE_PX = 54
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.6
_COLOURS = ((86, 180, 233), (240, 228, 66), (0, 204, 140), (255, 140, 190), (255, 255, 255))
_BACKGROUND = (24, 24, 24)

Colour = tuple[int, int, int]


def draw_analysis(seen: Analysis, choices: Sequence[Choice]) -> NDArray[np.uint8]:
    """Return the overlay of a photo that was looked at (`draw_overlay`).

    Raises:
        PhotoError: the photo, which is decoded larger for this, is damaged.
    """
    size = seen.photo.size
    canvas = _canvas_size(size)
    least = min(size[0], canvas[0]), min(size[1], canvas[1])
    rgb = to_srgb(seen.decoded_for(least), least)
    return draw_overlay(
        rgb,
        seen.density,
        choices,
        frame=seen.frame,
        heads=[face.head for face in seen.faces],
    )


def draw_overlay(
    photo: NDArray[np.uint8],
    density: NDArray[np.floating],
    choices: Sequence[Choice],
    *,
    frame: Frame,
    heads: Sequence[Window] = (),
) -> NDArray[np.uint8]:
    """Return the photo under its density, with the chosen windows and their figures below.

    The density is drawn in OpenCV's inferno (dark to bright, even to the eye) as its square root
    relative to its peak, the more opaque the larger; a window as a solid frame, the centred one
    of the same size as a thin dashed frame of the same colour.

    Args:
        photo: uint8 (height, width, 3), sRGB, at any size.
        density: grid over the picture.
        choices: the windows to draw.
        frame: size of the photo that the windows are in, and its picture.
        heads: of people, drawn as thin white frames.

    Returns:
        uint8 (height, width, 3), sRGB, whatever the photo's size 720 to 1600 pixels on the longest
        side of the photo, plus one line for each choice.
    """
    size = _canvas_size(frame.size)
    scale = (size[0] / frame.size[0], size[1] / frame.size[1])
    left, top, right, bottom = _scaled(frame.picture, scale)
    inside = cv2.resize(
        density_levels(density),
        (right + 1 - left, bottom + 1 - top),
        interpolation=cv2.INTER_LINEAR,
    )
    level = np.zeros(size[::-1], dtype=np.float32)
    level[top : bottom + 1, left : right + 1] = np.clip(inside, 0, 1)
    canvas = _blend(photo, level)
    for head in heads:
        x, y, end_x, end_y = _scaled(head, scale)
        cv2.rectangle(canvas, (x, y), (end_x, end_y), (255, 255, 255), 1)
    for index, choice in enumerate(choices):
        colour = _COLOURS[index % len(_COLOURS)]
        _draw_dashed(canvas, _scaled(choice.centre, scale), colour)
        _draw_solid(canvas, _scaled(choice.window, scale), colour)
    legend_shape = (_LINE_PX * len(choices) + 10, max(size[0], _NARROWEST), 3)
    legend = np.full(legend_shape, _BACKGROUND, dtype=np.uint8)
    return np.concatenate([_widened(canvas, legend.shape[1]), _with_lines(legend, choices)])


def _canvas_size(photo_size: Size) -> Size:
    """Return the size at which a photo is drawn: its own, within the range of the longest side."""
    longest = max(photo_size)
    factor = min(max(longest, _SIDE_RANGE[0]), _SIDE_RANGE[1]) / longest
    return max(1, round(photo_size[0] * factor)), max(1, round(photo_size[1] * factor))


def _blend(photo: NDArray[np.uint8], level: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the photo with colours for levels from 0 to 1 over it, at their size."""
    size = level.shape[1], level.shape[0]
    is_smaller = size[0] * size[1] < photo.shape[0] * photo.shape[1]
    fit = cv2.INTER_AREA if is_smaller else cv2.INTER_CUBIC
    picture = cv2.resize(photo, size, interpolation=fit).astype(np.float32)
    colours = colours_of(level).astype(np.float32)
    opacity = (0.35 + 0.35 * level)[..., np.newaxis]
    return np.asarray(picture * (1 - opacity) + colours * opacity, dtype=np.uint8)


def _scaled(window: Window, scale: tuple[float, float]) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of a window on the canvas, both ends inside the window."""
    left, top = int(window.x * scale[0]), int(window.y * scale[1])
    right = max(left, round((window.x + window.width) * scale[0]) - 1)
    bottom = max(top, round((window.y + window.height) * scale[1]) - 1)
    return left, top, right, bottom


def _draw_solid(
    canvas: NDArray[np.uint8], edges: tuple[int, int, int, int], colour: Colour
) -> None:
    """Draw a frame inside the edges, on a dark line so that it shows on bright ground too."""
    left, top, right, bottom = edges
    for margin, width, ink in ((2, 5, _BACKGROUND), (2, 3, colour)):
        inner = (left + margin, top + margin), (right - margin, bottom - margin)
        cv2.rectangle(canvas, *inner, ink, width)


def _draw_dashed(
    canvas: NDArray[np.uint8], edges: tuple[int, int, int, int], colour: Colour
) -> None:
    """Draw a thin dashed frame inside the edges, by colouring every other run of pixels."""
    left, top, right, bottom = edges
    rows, columns = np.arange(top, bottom + 1), np.arange(left, right + 1)
    for ink, phase in ((_BACKGROUND, 1), (colour, 0)):
        on_rows = rows[(rows // 8) % 2 == phase]
        on_columns = columns[(columns // 8) % 2 == phase]
        for column in (left, right):
            canvas[on_rows, column] = ink
        for row in (top, bottom):
            canvas[row, on_columns] = ink


def _widened(canvas: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Return the canvas with background on its right, up to a width."""
    missing = width - canvas.shape[1]
    filler = np.full((canvas.shape[0], missing, 3), _BACKGROUND, dtype=np.uint8)
    return np.concatenate([canvas, filler], axis=1)


def _with_lines(legend: NDArray[np.uint8], choices: Sequence[Choice]) -> NDArray[np.uint8]:
    """Return the legend with two lines per choice: ratio, outcome, shares, confidence; reason."""
    for index, choice in enumerate(choices):
        colour = _COLOURS[index % len(_COLOURS)]
        middle = 20 + index * _LINE_PX
        cv2.rectangle(legend, (10, middle - 8), (30, middle + 8), colour, cv2.FILLED)
        sure = "" if choice.confidence is None else f"   confidence {choice.confidence:.0%}"
        text = (
            f"{choice.aspect} {choice.outcome}   keeps {choice.share:.1%}   "
            f"centre (dashed) {choice.centre_share:.1%}{sure}"
        )
        for row, line in enumerate((text, choice.reason)):
            place = (42, middle + 7 + row * _LINE_PX // 2)
            cv2.putText(legend, line, place, _FONT, _FONT_SCALE, (235, 235, 235), 1, cv2.LINE_AA)
    return legend
