"""How far crop windows move when the same picture comes in another form.

    python benchmarks/stability.py saliency/weights/default.onnx --data osie:PATH

Every validation photo is mirrored, resized, stored as JPEG of another quality, given an opaque
alpha channel, or padded on the right and below by repeating its last pixels, and the windows of
most density of four ratios are compared with those of the photo as it is (of the mirrored photo:
with the mirrored ones; of a padded one in pixels, as shares of the photo's side). Printed are the
share of windows that move by at most 1 % of the photo's side, and quantiles of how far they move,
in percent of the side.
"""

import argparse
import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageOps

from saliency.datasets import read_dataset, split_scenes
from saliency.image import load_photo, pixels_to_srgb
from saliency.pixels import as_image
from saliency.predictor import Predictor
from saliency.window import Window, best_windows

RATIOS = ("1:1", "9:16", "16:9", "4:5")


def resized(factor: float) -> Callable[[Image.Image], Image.Image]:
    """Return what resizes a photo by a factor."""

    def change(image: Image.Image) -> Image.Image:
        size = (round(image.width * factor), round(image.height * factor))
        return image.resize(size, Image.Resampling.LANCZOS)

    return change


def stored_again(image: Image.Image) -> Image.Image:
    """Return a photo as a JPEG of quality 60 brings it back."""
    buffer = io.BytesIO()
    image.save(buffer, "jpeg", quality=60)
    return Image.open(buffer).convert("RGB")


def padded(count: int) -> Callable[[Image.Image], Image.Image]:
    """Return what repeats the last column and row of a photo, as encoders do to fill blocks."""

    def change(image: Image.Image) -> Image.Image:
        wider = np.pad(np.asarray(image), ((0, count), (0, count), (0, 0)), mode="edge")
        return Image.fromarray(wider)

    return change


FORMS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "mirrored": ImageOps.mirror,
    "half the size": resized(0.5),
    "0.77 times the size": resized(0.77),
    "1.7 times the size": resized(1.7),
    "JPEG, quality 60": stored_again,
    "alpha channel": lambda image: image.convert("RGBA"),
    "padded by 1 pixel": padded(1),
    "padded by 8 pixels": padded(8),
    "padded by 31 pixels": padded(31),
}


def windows(image: Image.Image, predictor: Predictor) -> list[Window]:
    """Return the windows of most density."""
    return best_windows(predictor.density(pixels_to_srgb(image, None)), RATIOS, image.size)


def corners(
    image: Image.Image, predictor: Predictor, *, sides: tuple[int, int], is_mirrored: bool = False
) -> np.ndarray:
    """Return (x, y) of each window in shares of the sides; a mirrored photo's are turned back."""
    found = windows(image, predictor)
    lefts = [image.width - one.x - one.width if is_mirrored else one.x for one in found]
    return np.array([lefts, [one.y for one in found]]).T / sides


def main() -> None:
    """Print a row for each form."""
    parser = argparse.ArgumentParser(description="How far windows move with a picture's form.")
    parser.add_argument("model", help="an .onnx file")
    parser.add_argument("--data", action="append", required=True, metavar="LAYOUT:PATH")
    arguments = parser.parse_args()
    predictor = Predictor(arguments.model)
    datasets = [read_dataset(spec) for spec in arguments.data]
    moves: dict[str, list[np.ndarray]] = {name: [] for name in FORMS}
    for scene in (one for data in datasets for one in split_scenes(data.scenes, "validation")):
        photo = as_image(load_photo(scene.path).pixels).convert("RGB")
        before = corners(photo, predictor, sides=photo.size)
        for name, change in FORMS.items():
            changed, is_mirrored = change(photo), name == "mirrored"
            sides = photo.size if name.startswith("padded") else changed.size
            after = corners(changed, predictor, sides=sides, is_mirrored=is_mirrored)
            moves[name].append(np.abs(after - before).max(axis=1))
    print("form                  within 1 %  median    90 %    99 %    most")
    for name, found in moves.items():
        every = np.concatenate(found)
        quantiles = " ".join(f"{np.quantile(every, part):7.2%}" for part in (0.5, 0.9, 0.99, 1))
        print(f"{name:<20} {np.mean(every <= 0.01):11.1%} {quantiles}")


if __name__ == "__main__":
    main()
