"""A window as image services and style sheets write it."""

from typing import Any

from saliency.geometry import Size, Window

_DIGITS = 4


def focal_point(window: Window, photo_size: Size) -> tuple[float, float]:
    """Return the middle of a window in fractions of the photo's width and height, 0 to 1."""
    width, height = photo_size
    return (window.x + window.width / 2) / width, (window.y + window.height / 2) / height


def service_values(window: Window, photo_size: Size) -> dict[str, Any]:
    """Return the focal point of a window, and how image services and CSS express the window.

    Returns:
        `focal_point`: x and y of the window's middle, in fractions of the photo.
        `css`: shows exactly the window in a frame of its ratio with `object-fit: cover`.
        `thumbor`: the part of the URL that crops to the window.
        `imgproxy`: the option that puts the point in the middle of what it crops.
        `imgix`: the parameters that do so.
        `sharp`: the argument of `extract`.
    """
    x, y = (round(value, _DIGITS) for value in focal_point(window, photo_size))
    right, bottom = window.x + window.width, window.y + window.height
    across = _percentage(window.x, photo_size[0] - window.width)
    down = _percentage(window.y, photo_size[1] - window.height)
    return {
        "focal_point": {"x": x, "y": y},
        "css": f"object-position: {across} {down}",
        "thumbor": f"{window.x}x{window.y}:{right}x{bottom}",
        "imgproxy": f"gravity:fp:{x:g}:{y:g}",
        "imgix": f"fit=crop&crop=focalpoint&fp-x={x:g}&fp-y={y:g}",
        "sharp": {
            "left": window.x,
            "top": window.y,
            "width": window.width,
            "height": window.height,
        },
    }


def _percentage(offset: int, room: int) -> str:
    """Return the position of a window in the room it has, as a CSS percentage."""
    return f"{100 * offset / room if room else 50:.4g}%"
