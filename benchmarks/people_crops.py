"""How well windows agree with the crops that people make.

    python benchmarks/people_crops.py MODEL FOLDER

FOLDER has images/ and crops.json: for each image, boxes [left, top, right, bottom] that people
cropped it to. A window of each box's size is put in the middle, where most density is, and where
its score is best; printed is the mean intersection over union with that box, over the boxes of even
and of odd number (the weights of the score were chosen on the even ones).
"""

import argparse
import json
from pathlib import Path

import numpy as np

from saliency.crop_windows.best_windows import centred
from saliency.crop_windows.search import best_place
from saliency.crop_windows.summed_area_table import ShareTable
from saliency.crop_windows.window_score import WindowScore
from saliency.geometry import Window
from saliency.photo.reading import read_photo
from saliency.prediction.predictor import Predictor
from saliency.prediction.shipped_models import model_path


def overlap(one: Window, other: Window) -> float:
    """Return the intersection over union of two windows."""
    common = one.common(other)
    inside = 0 if common is None else common.width * common.height
    return inside / (one.width * one.height + other.width * other.height - inside)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    predictor = Predictor(model_path(arguments.model), threads=1)
    crops = json.loads((arguments.folder / "crops.json").read_text(encoding="utf-8"))
    found: tuple[list[tuple[float, ...]], list[tuple[float, ...]]] = ([], [])
    for name, boxes in crops.items():
        photo = read_photo(arguments.folder / "images" / name)
        photo_size = photo.shape[1], photo.shape[0]
        density = predictor.density(photo)
        table = ShareTable(density, photo_size)
        score = WindowScore(density, table)
        for number, (left, top, right, bottom) in enumerate(boxes):
            size = min(int(right - left), photo_size[0]), min(int(bottom - top), photo_size[1])
            if min(size) < 1:
                continue
            wanted = Window(int(left), int(top), *size)
            windows = (
                centred(size, photo_size),
                best_place(table, size),
                best_place(table, size, score=score),
            )
            found[number % 2].append(tuple(overlap(window, wanted) for window in windows))
    print(f"{'boxes':6} {'middle':>8} {'density':>8} {'score':>8}")
    for label, rows in zip(("even", "odd"), found, strict=True):
        means = np.mean(rows, axis=0)
        print(f"{label:6}" + "".join(f" {mean:8.3f}" for mean in means))


if __name__ == "__main__":
    main()
