"""Posters, screenshots and photos with words on them, drawn with Pillow's own font.

Used by text.py. Every picture comes with the box of each line and logo that was drawn, so what a
crop slices can be counted without a detector's opinion.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from saliency.geometry import Window

PHOTOS = Path(__file__).parents[1] / "data" / "photos"
TEXT = """summer light river market stone paper music harbour winter garden open night city station
bread north tickets from today until friday free entry new edition sale menu coffee tea of the and
with for you no at in by on"""
WORDS = tuple(TEXT.split())
DARK, LIGHT = (24, 26, 32), (246, 246, 242)


class Drawn(NamedTuple):
    """A picture, and the boxes of its lines and logos."""

    picture: Image.Image
    lines: list[Window]


class Sheet:
    """A picture that is being drawn on; it notes the box of each line."""

    def __init__(self, picture: Image.Image) -> None:
        """Begin with a background."""
        self.picture, self.lines = picture, list[Window]()
        self._pen = ImageDraw.Draw(picture)

    def write(self, text: str, place: tuple[int, int], size: int, colour: object) -> int:
        """Write a line; return how high it is. Lines that do not fit are left out."""
        font = ImageFont.load_default(size)
        left, top, right, bottom = self._pen.textbbox(place, text, font=font)
        width, height = self.picture.size
        if left < 0 or top < 0 or right > width or bottom > height:
            return 0
        self._pen.text(place, text, fill=colour, font=font)
        self.lines.append(Window(int(left), int(top), int(right - left) + 1, int(bottom - top) + 1))
        return int(bottom - top)

    def plate(self, box: tuple[int, int, int, int], colour: object) -> None:
        """Fill a rectangle."""
        self._pen.rectangle(box, fill=colour)

    def logo(self, place: tuple[int, int], size: int, colour: object) -> None:
        """Draw a ring with a bar, which counts as one line."""
        x, y = place
        self._pen.ellipse((x, y, x + size, y + size), outline=colour, width=max(2, size // 6))
        self._pen.rectangle((x + size // 4, y + size // 2, x + 3 * size // 4, y + size // 2 + 3))
        self.lines.append(Window(x, y, size, size))


def words(random: np.random.Generator, count: int) -> str:
    """Return some words."""
    text = " ".join(random.choice(WORDS, count))
    return text.upper() if random.random() < 0.3 else text.capitalize()


def background(random: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Return a part of a photo, or a gradient between two colours."""
    if random.random() < 0.25:
        ends = random.integers(0, 256, (2, 3)).astype(np.float64)
        ramp = np.linspace(0, 1, size[1])[:, None, None]
        rows = ends[0] * (1 - ramp) + ends[1] * ramp
        return Image.fromarray(np.broadcast_to(rows, (size[1], size[0], 3)).astype(np.uint8))
    path = random.choice(sorted(PHOTOS.glob("*.jpg")))
    with Image.open(path) as opened:
        photo = opened.convert("RGB")
    scale = max(size[0] / photo.width, size[1] / photo.height)
    photo = photo.resize((round(photo.width * scale) + 1, round(photo.height * scale) + 1))
    x = int(random.integers(0, photo.width - size[0] + 1))
    y = int(random.integers(0, photo.height - size[1] + 1))
    return photo.crop((x, y, x + size[0], y + size[1]))


def poster(random: np.random.Generator) -> Drawn:
    """Draw a headline, a subtitle, a small line and a logo over a background."""
    size = ((800, 1100), (1100, 800), (900, 900))[random.integers(3)]
    sheet = Sheet(background(random, size))
    colour = LIGHT if random.random() < 0.6 else DARK
    y = int(size[1] * random.uniform(0.03, 0.6))
    x = int(size[0] * random.uniform(0.03, 0.3))
    for scale, count in ((0.09, 2), (0.09, 1), (0.045, 3), (0.03, 5)):
        y += sheet.write(words(random, count), (x, y), int(scale * min(size)), colour)
        y += int(0.02 * size[1])
    corner = random.integers(4)
    side = int(0.1 * min(size))
    place = (
        int(0.03 * size[0]) if corner % 2 else size[0] - side - int(0.03 * size[0]),
        int(0.03 * size[1]) if corner < 2 else size[1] - side - int(0.03 * size[1]),
    )
    sheet.logo(place, side, colour)
    return Drawn(sheet.picture, sheet.lines)


def screenshot(random: np.random.Generator) -> Drawn:
    """Draw a page: a bar with a logo, a menu, paragraphs and a picture."""
    size = ((1280, 800), (800, 1280))[random.integers(2)]
    ground, ink = (LIGHT, DARK) if random.random() < 0.7 else (DARK, LIGHT)
    sheet = Sheet(Image.new("RGB", size, ground))
    sheet.plate((0, 0, size[0], 60), tuple(random.integers(0, 256, 3).tolist()))
    sheet.logo((20, 14), 32, LIGHT)
    for number in range(4):
        sheet.write(words(random, 1), (120 + 150 * number, 18), 20, LIGHT)
    left = int(size[0] * random.uniform(0.05, 0.3))
    y = 100 + sheet.write(words(random, 3), (left, 90), 44, ink)
    picture_at = int(random.integers(2, 7))
    for number in range(14):
        y += 14
        if number == picture_at:
            shown = background(random, (int(size[0] * 0.5), int(size[1] * 0.25)))
            sheet.picture.paste(shown, (left, y))
            y += shown.height + 10
        y += sheet.write(words(random, int(random.integers(3, 7))), (left, y), 22, ink) + 4
    return Drawn(sheet.picture, sheet.lines)


def sign(random: np.random.Generator) -> Drawn:
    """Draw a plate with one to three lines somewhere in a photo, a little blurred."""
    size = ((1000, 750), (750, 1000))[random.integers(2)]
    sheet = Sheet(background(random, size))
    height = int(0.05 * min(size) * random.uniform(0.8, 2))
    count = int(random.integers(1, 4))
    x, y = int(size[0] * random.uniform(0, 0.6)), int(size[1] * random.uniform(0, 0.7))
    right = min(size[0], x + 7 * height)
    sheet.plate((x, y, right, y + count * int(1.5 * height)), tuple(random.integers(0, 256, 3)))
    for number in range(count):
        place = x + height // 3, y + int((1.5 * number + 0.2) * height)
        sheet.write(words(random, 1), place, height, LIGHT if random.random() < 0.5 else DARK)
    return Drawn(sheet.picture.filter(ImageFilter.GaussianBlur(0.8)), sheet.lines)


KINDS = {"posters": poster, "screenshots": screenshot, "signs": sign}
