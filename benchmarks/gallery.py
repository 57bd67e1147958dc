"""Sheets of photos with their crops by three rules: the middle, libvips' attention, and ours.

    pip install pyvips pyvips-binary
    python benchmarks/gallery.py FOLDER --out docs/gallery

Every photo of the folder is shown, in the order of their names: upright ones cropped to 16:9, all
others to 9:16, which leaves most out. Each row has the overlay (density, faces, our window; the
middle one dashed), then the three crops. `docs/gallery.md` credits the photos.
"""

import argparse
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyvips
from PIL import Image, ImageDraw

from saliency.crop_windows.choice import Choice
from saliency.crop_windows.options import ChoiceOptions
from saliency.cropping.options import CropOptions
from saliency.cropping.overlay import draw_analysis
from saliency.cropping.photo_cropper import PhotoCropper
from saliency.prediction.predictor import Predictor

ROWS_PER_SHEET = 6
PHOTO_BOX, CROP_BOX, GAP, CAPTION = (330, 220), (220, 220), 10, 20
HEADS = ("", "middle", "libvips", "saliency")


def ratio_for(width: int, height: int) -> str:
    """Return the ratio that leaves most of a photo out."""
    return "16:9" if height > width else "9:16"


def look(path: Path, predictor: Predictor) -> tuple[Choice, Image.Image]:
    """Return what is chosen for a photo, and the overlay without its legend."""
    with Image.open(path) as opened:
        size = opened.size
    label = ratio_for(*size)
    aspects = {label: Fraction(*map(int, label.split(":")))}
    cropper = PhotoCropper(predictor, CropOptions(aspects=aspects, choice=ChoiceOptions()))
    seen = cropper.look(path.read_bytes(), path)
    (choice,) = cropper.choose(seen)
    drawn = draw_analysis(seen, [choice])
    legend = 64  # pixels below the picture
    return choice, Image.fromarray(
        drawn[:-legend, : round(size[0] * (len(drawn) - legend) / size[1])]
    )


def attention(path: Path, size: tuple[int, int]) -> Image.Image:
    """Return libvips' crop of a photo to a size."""
    crop = pyvips.Image.thumbnail(str(path), size[0], height=size[1], crop="attention")
    return Image.fromarray(np.asarray(crop.colourspace("srgb"))[:, :, :3])


def draw_row(path: Path, predictor: Predictor) -> Image.Image:
    """Return a row: overlay, crop of the middle, of libvips and of ours, and a caption."""
    choice, overlay = look(path, predictor)
    with Image.open(path) as opened:
        photo = opened.convert("RGB")
    pictures = [
        overlay,
        photo.crop(choice.centre.box),
        attention(path, choice.window.size),
        photo.crop(choice.window.box),
    ]
    width = PHOTO_BOX[0] + 3 * CROP_BOX[0] + 5 * GAP
    row = Image.new("RGB", (width, PHOTO_BOX[1] + CAPTION + GAP), "white")
    left = GAP
    for picture, box in zip(pictures, (PHOTO_BOX, CROP_BOX, CROP_BOX, CROP_BOX), strict=True):
        picture.thumbnail(box, Image.Resampling.LANCZOS)
        row.paste(picture, (left + (box[0] - picture.width) // 2, 0))
        left += box[0] + GAP
    caption = (
        f"{path.stem}   {choice.aspect} {choice.outcome}   of the predicted fixations the middle "
        f"keeps {choice.centre_share:.0%}, ours {choice.share:.0%}"
    )
    ImageDraw.Draw(row).text((GAP, PHOTO_BOX[1] + 2), caption, fill="black", font_size=13)
    return row


def draw_sheet(rows: list[Image.Image]) -> Image.Image:
    """Return rows one below the other, with a head."""
    head = 24
    sheet = Image.new("RGB", (rows[0].width, head + sum(row.height for row in rows)), "white")
    left = GAP
    for text, box in zip(HEADS, (PHOTO_BOX, CROP_BOX, CROP_BOX, CROP_BOX), strict=True):
        place = (left + box[0] // 2, head // 2)
        ImageDraw.Draw(sheet).text(place, text, fill="black", anchor="mm", font_size=14)
        left += box[0] + GAP
    top = head
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    return sheet


def main() -> None:
    """Write the sheets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    predictor = Predictor(arguments.model, threads=1)
    photos = sorted(path for path in arguments.folder.iterdir() if path.suffix == ".jpg")
    rows = [draw_row(path, predictor) for path in photos]
    arguments.out.mkdir(parents=True, exist_ok=True)
    for number, first in enumerate(range(0, len(rows), ROWS_PER_SHEET), start=1):
        sheet = draw_sheet(rows[first : first + ROWS_PER_SHEET])
        sheet.save(arguments.out / f"{number}.jpg", quality=82, optimize=True)


if __name__ == "__main__":
    main()
