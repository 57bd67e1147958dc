"""Where the subject of a photo is, and how a window is placed around it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from saliency.crop_windows.options import Place
from saliency.geometry import Size, Window

_THIRD, _TWO_THIRDS = 1 / 3, 2 / 3
_SPOTS: dict[Place, tuple[float | None, float | None]] = {
    "left": (_THIRD, None),
    "right": (_TWO_THIRDS, None),
    "top": (None, _THIRD),
    "bottom": (None, _TWO_THIRDS),
    "center": (0.5, 0.5),
    "top-left": (_THIRD, _THIRD),
    "top-right": (_TWO_THIRDS, _THIRD),
    "bottom-left": (_THIRD, _TWO_THIRDS),
    "bottom-right": (_TWO_THIRDS, _TWO_THIRDS),
}
"""Where in a window the subject sits, as shares of its sides; None for where it comes to lie."""


def find_subject(
    density: NDArray[np.floating], window: Window, photo_size: Size
) -> tuple[float, float]:
    """Return (x, y) of the subject inside a window, in pixels of the photo.

    The subject is the connected region around the peak of the density in the window that has at
    least half the peak's height; its place is its centre of mass.

    Args:
        density: grid over the whole photo.
        window: in pixels of the photo.
        photo_size: width and height of the photo.
    """
    rows, columns = density.shape
    x_scale, y_scale = columns / photo_size[0], rows / photo_size[1]
    left, top = int(window.x * x_scale), int(window.y * y_scale)
    right = max(left + 1, round((window.x + window.width) * x_scale))
    bottom = max(top + 1, round((window.y + window.height) * y_scale))
    inside = np.asarray(density[top:bottom, left:right], dtype=np.float64)
    _, labels = cv2.connectedComponents((inside >= inside.max() / 2).astype(np.uint8))
    mass = np.where(labels == labels.flat[inside.argmax()], inside, 0.0)
    down, across = np.indices(mass.shape) + 0.5
    x = left + float((mass * across).sum() / mass.sum())
    y = top + float((mass * down).sum() / mass.sum())
    return x / x_scale, y / y_scale


def corner_for(place: Place, subject: tuple[float, float], window: Window) -> tuple[int, int]:
    """Return (x, y) of the top left corner of a window of the same size with the subject in place.

    Args:
        place: where in the window the subject should be; `thirds` is the third nearest to its
            place in the window given, on both axes.
        subject: (x, y) in pixels of the photo.
        window: the best one without a place; an axis that the place does not name stays.
    """
    sides, corner = (window.width, window.height), (window.x, window.y)
    now = [(at - low) / side for at, low, side in zip(subject, corner, sides, strict=True)]
    nearest = tuple(_THIRD if part < 0.5 else _TWO_THIRDS for part in now)
    spots = nearest if place == "thirds" else _SPOTS[place]
    x, y = (
        low if spot is None else round(at - spot * side)
        for spot, at, low, side in zip(spots, subject, corner, sides, strict=True)
    )
    return x, y
