"""How often a border is found where there is none, and missed where there is one.

    python benchmarks/find_borders.py FOLDER [--sheet FILE]

Drawn pictures without a border (skies, walls, roofs, slides, products on paper, each with chance
in its colours, places and JPEG quality), and photos of a folder as they are and with frames laid
around them. Prints for each kind how many there were and in how many a border was found; --sheet
shows the photos of the folder in which one was found, to be looked at.
"""

import argparse
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageOps

from saliency.geometry import Window
from saliency.photo.borders import find_picture

SIZE = (480, 320)
COUNT = 200
TILE_PX, TILES_ACROSS = 200, 8


def grain(rng: Generator, low: int = 40, high: int = 180) -> Image.Image:
    """Return a picture of coarse and fine grain."""
    coarse = rng.integers(low, high, size=(8, 12, 3), dtype=np.uint8)
    values = cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC).astype(int)
    values += rng.integers(-12, 13, size=values.shape)
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def clear(rng: Generator) -> tuple[int, int, int]:
    """Return a colour of clipped sky, of night, or of a clear day."""
    colours = ((255, 255, 255), (0, 0, 0), (130, 180, 235))
    return colours[rng.integers(3)]


def sky(rng: Generator) -> Image.Image:
    """Return a clear sky above a straight horizon, with or without a thing in it."""
    image, colour = grain(rng), clear(rng)
    horizon = int(rng.integers(20, 240))
    image.paste(colour, (0, 0, SIZE[0], horizon))
    if rng.random() < 0.5:
        x, y, side = int(rng.integers(400)), int(rng.integers(horizon)), int(rng.integers(4, 20))
        image.paste((120, 90, 60), (x, max(y - side, 0), x + side, min(y + side, horizon)))
    return image


def wall(rng: Generator) -> Image.Image:
    """Return an even wall beside something else, with its edge upright."""
    image = grain(rng)
    image.paste(clear(rng), (0, 0, int(rng.integers(20, 300)), SIZE[1]))
    return image


def roof(rng: Generator) -> Image.Image:
    """Return a night sky, a lit strip of town, and a black roof in front."""
    image, top = grain(rng, 60, 255), int(rng.integers(30, 160))
    image.paste((0, 0, 0), (0, 0, SIZE[0], top))
    x, y = int(rng.integers(440)), int(rng.integers(max(top - 20, 1)))
    ImageDraw.Draw(image).ellipse((x, y, x + 14, y + 14), fill=(250, 250, 220))
    image.paste((0, 0, 0), (0, SIZE[1] - int(rng.integers(20, 90)), *SIZE))
    return image


def slide(rng: Generator) -> Image.Image:
    """Return a slide: a bar with a title, text on an even ground."""
    image = Image.new("RGB", SIZE, "white")
    draw, height = ImageDraw.Draw(image), int(rng.integers(30, 70))
    draw.rectangle((0, 0, SIZE[0], height), fill=(20, 60, 120))
    draw.text((20, height // 3), "Results of the third quarter", fill="white")
    for line in range(int(rng.integers(3, 9))):
        draw.text(
            (30, height + 20 + 22 * line), "a line of text " * int(rng.integers(1, 4)), "black"
        )
    return image


def product(rng: Generator) -> Image.Image:
    """Return a thing on white paper with a soft shadow, perhaps cut by the edge."""
    values = np.full((SIZE[1], SIZE[0], 3), 255, dtype=np.uint8)
    x, y = int(rng.integers(0, 240)), int(rng.integers(0, 120))
    cv2.rectangle(values, (x, y + 170), (x + 230, y + 200), (190, 190, 190), -1)
    values = cv2.GaussianBlur(values, (0, 0), 9)
    colour = tuple(int(level) for level in rng.integers(0, 200, 3))
    cv2.rectangle(values, (x + 10, y), (x + 210, y + 185), colour, -1)
    return Image.fromarray(values)


def framed(photo: Image.Image, rng: Generator) -> Image.Image:
    """Return a photo in a frame, or between two bars."""
    wide, high = (int(value) for value in rng.integers(1, 60, 2))
    edges = ((wide, high, wide, high), (wide, 0, wide, 0), (0, high, 0, high))[rng.integers(3)]
    return ImageOps.expand(photo, edges, fill=clear(rng))


def stored(image: Image.Image, rng: Generator) -> Image.Image:
    """Return an image after JPEG."""
    buffer = BytesIO()
    image.convert("RGB").save(buffer, "jpeg", quality=int(rng.integers(70, 98)))
    return Image.open(buffer)


def is_found(image: Image.Image) -> bool:
    """Return whether a border is found."""
    return find_picture(image) != Window(0, 0, *image.size)


def draw_sheet(photos: list[Image.Image], path: Path) -> None:
    """Write photos with the outline of what is taken for their picture."""
    rows = -(-len(photos) // TILES_ACROSS)
    sheet = Image.new("RGB", (TILES_ACROSS * TILE_PX, rows * TILE_PX), (90, 90, 200))
    for number, photo in enumerate(photos):
        shown = photo.convert("RGB")
        ImageDraw.Draw(shown).rectangle(find_picture(photo).box, outline=(255, 0, 0), width=3)
        shown.thumbnail((TILE_PX - 6, TILE_PX - 6))
        row, column = divmod(number, TILES_ACROSS)
        sheet.paste(shown, (column * TILE_PX + 3, row * TILE_PX + 3))
    sheet.save(path)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    kinds: tuple[Callable[[Generator], Image.Image], ...] = (sky, wall, roof, slide, product)
    print(f"{'kind':24}{'pictures':>10}{'border found':>14}")
    for kind in kinds:
        found = sum(is_found(stored(kind(rng), rng)) for _ in range(COUNT))
        print(f"{'without: ' + kind.__name__:24}{COUNT:10}{found:14}")
    paths = sorted(path for path in arguments.folder.rglob("*.jp*g"))
    photos = [Image.open(path) for path in paths]
    bordered = [photo for photo in photos if is_found(photo)]
    print(f"{'photos as they are':24}{len(photos):10}{len(bordered):14}")
    plain = [photo for photo in photos if photo not in bordered][:COUNT]
    found = sum(is_found(stored(framed(photo.convert("RGB"), rng), rng)) for photo in plain)
    print(f"{'with: framed photos':24}{len(plain):10}{found:14}")
    if arguments.sheet is not None:
        draw_sheet(bordered, arguments.sheet)


if __name__ == "__main__":
    main()
