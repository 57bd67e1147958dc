"""Contact sheets: each photo with its windows, small, many to a page."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from saliency.crop_windows.choice import Choice
from saliency.cropping.report import CropReport, printable
from saliency.geometry import Size

COLUMNS, ROWS = 5, 8
"""Photos on a page."""

_CELL_PX = 240
_CAPTION_PX = 20
_GAP_PX = 12
_GROUND, _INK = (24, 24, 24), (235, 235, 235)
_FRAMES = ((255, 176, 0), (0, 190, 255), (255, 90, 160), (120, 220, 90))


@dataclass(frozen=True)
class Cell:
    """One photo of a sheet: its name, its size, and what is drawn."""

    caption: str
    picture: Image.Image


def make_cell(report: CropReport) -> Cell:
    """Return a photo for a sheet, its windows framed, everything outside the first one darker.

    Args:
        report: of the photo, with a preview.

    Raises:
        ValueError: the report has no preview.
    """
    if report.preview is None:
        raise ValueError("expected a report with a preview")
    scale = _CELL_PX / max(report.frame.size)
    size = tuple(max(1, round(side * scale)) for side in report.frame.size)
    picture = Image.fromarray(report.preview).resize((size[0], size[1]))
    if report.choices:
        picture = _dimmed(picture, report.choices[0], report.frame.size)
    from PIL import ImageDraw  # noqa: PLC0415  for sheets only

    draw = ImageDraw.Draw(picture)
    for index, choice in enumerate(report.choices):
        draw.rectangle(
            _edges(choice, report.frame.size, picture.size), outline=_frame(index), width=2
        )
    return Cell(printable(Path(report.photo.name)), picture)


def draw_sheets(cells: list[Cell]) -> Iterator[Image.Image]:
    """Yield the pages for some photos, `COLUMNS` times `ROWS` to a page, in their order."""
    per_page = COLUMNS * ROWS
    for start in range(0, len(cells), per_page):
        yield _draw_page(cells[start : start + per_page])


def encode_sheet(page: Image.Image, path: Path) -> bytes:
    """Return a page as the bytes of a file: a PNG where the name ends so, else a JPEG."""
    buffer = BytesIO()
    page.save(buffer, "png" if path.suffix.lower() == ".png" else "jpeg", quality=90)
    return buffer.getvalue()


def page_name(path: Path, number: int) -> Path:
    """Return the file name of a page: as given for the first, then `NAME-2.jpg`, …."""
    return path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")


def _draw_page(cells: list[Cell]) -> Image.Image:
    """Return one page."""
    from PIL import ImageDraw, ImageFont  # noqa: PLC0415  for sheets only

    columns = min(COLUMNS, len(cells))
    rows = -(-len(cells) // COLUMNS)
    across, down = _CELL_PX + _GAP_PX, _CELL_PX + _CAPTION_PX + _GAP_PX
    page = Image.new("RGB", (columns * across + _GAP_PX, rows * down + _GAP_PX), _GROUND)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(12)
    for index, cell in enumerate(cells):
        left = _GAP_PX + index % COLUMNS * across
        top = _GAP_PX + index // COLUMNS * down
        width, height = cell.picture.size
        page.paste(cell.picture, (left + (_CELL_PX - width) // 2, top + (_CELL_PX - height) // 2))
        place = (left, top + _CELL_PX + 4)
        caption = _shortened(cell.caption, partial(draw.textlength, font=font))
        draw.text(place, caption, fill=_INK, font=font)
    return page


def _dimmed(picture: Image.Image, choice: Choice, photo_size: Size) -> Image.Image:
    """Return a photo darker where it is outside of a window."""
    values: NDArray[np.uint8] = np.asarray(picture)
    left, top, right, bottom = _edges(choice, photo_size, picture.size)
    shown = (values * 0.45).astype(np.uint8)
    shown[top : bottom + 1, left : right + 1] = values[top : bottom + 1, left : right + 1]
    return Image.fromarray(shown)


def _edges(choice: Choice, photo_size: Size, size: Size) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of a window in a small picture, all inside of it."""
    window = choice.window
    x_scale, y_scale = size[0] / photo_size[0], size[1] / photo_size[1]
    left, top = int(window.x * x_scale), int(window.y * y_scale)
    right = max(left, round((window.x + window.width) * x_scale) - 1)
    bottom = max(top, round((window.y + window.height) * y_scale) - 1)
    return left, top, right, bottom


def _frame(index: int) -> tuple[int, int, int]:
    """Return the colour of a window's frame."""
    return _FRAMES[index % len(_FRAMES)]


def _shortened(text: str, width_of: Callable[[str], float]) -> str:
    """Return a caption that is no wider than its photo."""
    text = text.encode("latin-1", "replace").decode("latin-1")  # what the built-in font can show
    while len(text) > 1 and width_of(text) > _CELL_PX:
        text = text[:-2] + "…"
    return text
