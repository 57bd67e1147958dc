"""How far crop windows move when the same picture comes in another form.

    python benchmarks/stability.py saliency/weights/default.onnx --data osie:PATH

Every validation photo is mirrored, resized, stored as JPEG of another quality, given an opaque
alpha channel, padded on the right and below by repeating its last pixels or with white, or framed
in black by 8 pixels, and the windows of most density of four ratios are compared with those of the
photo as it is (of the mirrored photo: with the mirrored ones; of a padded one in pixels, as shares
of the side without the padding). Borders are left out as `saliency crop` does, but for `border
kept`. Printed are the share of windows that move by at most 1 % of the photo's side, and quantiles
of how far they move, in percent of the side; and what those that move further lose, of the density
that is expected on the photo as it is.
"""

import argparse
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image, ImageOps

from saliency.crop_windows.best_windows import best_windows
from saliency.crop_windows.summed_area_table import ShareTable
from saliency.datasets.layouts.registry import read_dataset
from saliency.datasets.splits import split_scenes
from saliency.geometry import Window, largest_size, parse_aspect
from saliency.photo.borders import find_picture
from saliency.photo.colour import pixels_to_srgb
from saliency.photo.pixels import as_image
from saliency.photo.reading import load_photo
from saliency.prediction.predictor import Predictor

RATIOS = tuple(parse_aspect(text) for text in ("1:1", "9:16", "16:9", "4:5"))


def resized(image: Image.Image, factor: float) -> Image.Image:
    """Return a photo resized by a factor."""
    size = (round(image.width * factor), round(image.height * factor))
    return image.resize(size, Image.Resampling.LANCZOS)


def stored_again(image: Image.Image, quality: int = 60) -> Image.Image:
    """Return a photo as a JPEG brings it back."""
    buffer = io.BytesIO()
    image.save(buffer, "jpeg", quality=quality)
    return Image.open(buffer).convert("RGB")


def padded(image: Image.Image, count: int) -> Image.Image:
    """Return a photo with its last column and row repeated, as encoders do to fill blocks."""
    wider = np.pad(np.asarray(image), ((0, count), (0, count), (0, 0)), mode="edge")
    return Image.fromarray(wider)


def filled(image: Image.Image, count: int) -> Image.Image:
    """Return a photo with white on its right and below."""
    return ImageOps.expand(image, (0, 0, count, count), fill="white")


@dataclass(frozen=True)
class Form:
    """How a picture may come.

    Attributes:
        change: makes it of the photo as it is, but for borders.
        border: lays a border around what was changed.
        offset: of the picture inside of the border, to the right and down.
        is_mirrored: left is right in it.
        has_borders_kept: the border counts as part of the photo.
    """

    change: Callable[[Image.Image], Image.Image] = lambda image: image
    border: Callable[[Image.Image], Image.Image] = lambda image: image
    offset: int = 0
    is_mirrored: bool = False
    has_borders_kept: bool = False


def framed(image: Image.Image) -> Image.Image:
    """Return a photo in a black frame."""
    return ImageOps.expand(image, 8)


FORMS = {
    "mirrored": Form(ImageOps.mirror, is_mirrored=True),
    "half the size": Form(partial(resized, factor=0.5)),
    "0.77 times the size": Form(partial(resized, factor=0.77)),
    "1.7 times the size": Form(partial(resized, factor=1.7)),
    "4 times the size": Form(partial(resized, factor=4)),
    "JPEG, quality 60": Form(stored_again),
    "alpha channel": Form(lambda image: image.convert("RGBA")),
    "padded by 1 pixel": Form(border=partial(padded, count=1)),
    "padded by 8 pixels": Form(border=partial(padded, count=8)),
    "padded by 31 pixels": Form(border=partial(padded, count=31)),
    "white, 1 pixel": Form(border=partial(filled, count=1)),
    "white, 8 pixels": Form(border=partial(filled, count=8)),
    "white, 31 pixels": Form(border=partial(filled, count=31)),
    "framed in black": Form(border=framed, offset=8),
    "framed, as a JPEG": Form(border=lambda image: stored_again(framed(image), 90), offset=8),
    "by 1, border kept": Form(border=partial(padded, count=1), has_borders_kept=True),
    "by 8, border kept": Form(border=partial(padded, count=8), has_borders_kept=True),
    "by 31, border kept": Form(border=partial(padded, count=31), has_borders_kept=True),
}


def corners(image: Image.Image, predictor: Predictor, form: Form) -> np.ndarray:
    """Return (x, y) of each window of a photo in a form, in shares of the sides of the picture."""
    changed = form.change(image)
    photo = form.border(changed)
    content = Window(0, 0, *photo.size) if form.has_borders_kept else find_picture(photo)
    density = predictor.density(pixels_to_srgb(photo.crop(content.box), None))
    found = [
        one.moved(content.x - form.offset, content.y - form.offset)
        for one in best_windows(density, RATIOS, content.size)
    ]
    lefts = [photo.width - one.x - one.width if form.is_mirrored else one.x for one in found]
    return np.array([lefts, [one.y for one in found]]).T / changed.size


def shares_at(table: ShareTable, places: np.ndarray) -> np.ndarray:
    """Return what windows of each ratio hold whose corners are given in shares of the sides."""
    sizes = [largest_size(table.photo_size, ratio) for ratio in RATIOS]
    last = np.array(table.photo_size) - sizes
    xy = np.clip(np.rint(places * table.photo_size), 0, last).astype(int)
    return np.array(
        [table.share(Window(int(x), int(y), *size)) for (x, y), size in zip(xy, sizes, strict=True)]
    )


def main() -> None:
    """Print a row for each form."""
    parser = argparse.ArgumentParser(description="How far windows move with a picture's form.")
    parser.add_argument("model", help="an .onnx file")
    parser.add_argument("--data", action="append", required=True, metavar="LAYOUT:PATH")
    arguments = parser.parse_args()
    predictor = Predictor(arguments.model)
    datasets = [read_dataset(spec) for spec in arguments.data]
    moves: dict[str, list[np.ndarray]] = {name: [] for name in FORMS}
    losses: dict[str, list[np.ndarray]] = {name: [] for name in FORMS}
    for scene in (one for data in datasets for one in split_scenes(data.scenes, "validation")):
        photo = as_image(load_photo(scene.path).pixels).convert("RGB")
        table = ShareTable(predictor.density(pixels_to_srgb(photo, None)), photo.size)
        before = corners(photo, predictor, Form())
        for name, form in FORMS.items():
            after = corners(photo, predictor, form)
            moves[name].append(np.abs(after - before).max(axis=1))
            losses[name].append(shares_at(table, before) - shares_at(table, after))
    print("form                  within 1 %  median    90 %    99 %    most    loss of the others")
    for name, found in moves.items():
        every, lost = np.concatenate(found), np.concatenate(losses[name])
        quantiles = " ".join(f"{np.quantile(every, part):7.2%}" for part in (0.5, 0.9, 0.99, 1))
        loss = f"{lost[every > 0.01].mean():21.2%}" if (every > 0.01).any() else ""
        print(f"{name:<20} {np.mean(every <= 0.01):11.1%} {quantiles} {loss}".rstrip())


if __name__ == "__main__":
    main()
