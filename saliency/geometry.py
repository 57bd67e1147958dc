"""Sizes, aspect ratios and rectangles.

Free of numpy, so that a command line is checked without importing it.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

Size = tuple[int, int]
"""Width and height, in pixels."""

Aspect = Fraction | tuple[Fraction, ...]
"""Width / height of a crop; several of which the best is taken; an empty tuple for any."""

AUTO = "auto"
"""How it is written that a crop may have any ratio and size."""

BEST_OF = "best-of"
"""How it is written that a crop has the best of the ratios that follow."""

_PATTERN = re.compile(r"(\d+(?:\.\d+)?)[:x/](\d+(?:\.\d+)?)")
_MOST_EXTREME = 10_000


def parse_aspect(text: str) -> Fraction:
    """Return width / height as an exact fraction.

    Args:
        text: `16:9`, `1.91:1` or a size such as `1200x630`; `16/9` is understood too.

    Raises:
        ValueError: the text is not of these forms, or a side is zero or ten thousand times the
            other.
    """
    match = _PATTERN.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(f"expected W:H such as 16:9, 1.91:1 or 1200x630, got '{text}'")
    width, height = Fraction(match[1]), Fraction(match[2])
    longer, shorter = max(width, height), min(width, height)
    if longer >= shorter * _MOST_EXTREME:  # so is 0:1, and 0:0
        raise ValueError(
            f"expected two sides above zero, neither {_MOST_EXTREME} times the other, got '{text}'"
        )
    return width / height


def read_aspect(text: str) -> Aspect:
    """Return the ratio, or ratios, of a text: `16:9`, `auto`, or `best-of 1:1 4:5 16:9`.

    Raises:
        ValueError: the text has another form.
    """
    first, *others = text.split() or [""]
    if first == AUTO and not others:
        return ()
    if first != BEST_OF:
        return parse_aspect(text)
    if len(others) < 2:
        raise ValueError(f"expected two ratios or more to choose from, got '{text}'")
    return tuple(parse_aspect(other) for other in others)


def aspect_name(text: str) -> str:
    """Return an aspect ratio as it is written in the name of a file: `16x9`."""
    return re.sub("[:/]", "x", text.strip().lower())


def fitting_size(bounds: Size, ratio: Fraction) -> Size:
    """Return the largest width and height of a ratio within bounds, at least one pixel each."""
    width = min(Fraction(bounds[0]), bounds[1] * ratio)
    return max(1, round(width)), max(1, round(width / ratio))


def largest_size(photo_size: Size, ratio: Fraction) -> Size:
    """Return width and height of the largest window of a ratio that fits into a photo.

    One side is the photo's whole side; the other is what the ratio asks for, rounded to the
    nearest pixel, and at least one pixel.
    """
    width, height = photo_size
    if width >= height * ratio:
        return min(width, max(1, round(height * ratio))), height
    return width, min(height, max(1, round(width / ratio)))


@dataclass(frozen=True)
class Window:
    """A rectangle of whole pixels, (x, y) its top left corner in the upright photo."""

    x: int
    y: int
    width: int
    height: int

    @classmethod
    def between(cls, left: int, top: int, right: int, bottom: int) -> "Window":
        """Return the window between these edges, as `box` gives them."""
        return cls(left, top, right - left, bottom - top)

    @property
    def size(self) -> Size:
        """Width and height."""
        return self.width, self.height

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom edge; right and bottom are the first pixels outside."""
        return self.x, self.y, self.x + self.width, self.y + self.height

    def moved(self, x: int, y: int) -> "Window":
        """Return the window moved by x pixels to the right and y pixels down."""
        return Window(self.x + x, self.y + y, self.width, self.height)

    def common(self, other: "Window") -> "Window | None":
        """Return the part that lies in another window too, None where there is none."""
        left, top = max(self.x, other.x), max(self.y, other.y)
        right, bottom = min(self.box[2], other.box[2]), min(self.box[3], other.box[3])
        if left >= right or top >= bottom:
            return None
        return Window.between(left, top, right, bottom)


@dataclass(frozen=True)
class Frame:
    """The size of a photo, and which part of it is its picture.

    Attributes:
        size: width and height of the upright photo, in pixels.
        picture: all but a border (letterbox, frame) around it; no window reaches out of it.
    """

    size: Size
    picture: Window

    @classmethod
    def whole(cls, size: Size) -> "Frame":
        """Return the frame of a photo without a border."""
        return cls(size, Window(0, 0, *size))

    @property
    def has_border(self) -> bool:
        """Whether a part of the photo is no picture."""
        return self.picture.size != self.size

    def on_picture(self, window: Window) -> Window | None:
        """Return the part of a window on the photo that shows picture, in pixels of the picture."""
        inside = window.common(self.picture)
        return None if inside is None else inside.moved(-self.picture.x, -self.picture.y)

    def on_photo(self, window: Window) -> Window:
        """Return a window on the picture in pixels of the photo."""
        return window.moved(self.picture.x, self.picture.y)


@dataclass(frozen=True)
class Padding:
    """Borders that bring a whole photo to a ratio, in pixels of the photo."""

    left: int
    top: int
    right: int
    bottom: int
