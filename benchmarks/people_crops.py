"""How well windows agree with the crops that people make.

    python benchmarks/people_crops.py MODEL FOLDER
    python benchmarks/people_crops.py MODEL decisions:FILE

FOLDER has images/ and crops.json: for each image, boxes [left, top, right, bottom] that people
cropped it to. decisions:FILE is what a person decided with `saliency review`, beside the photos. A
window of each box's size is put in the middle, where most density is, where its score is best, and
there only if the confidence in it is at least 0.5, as `saliency crop` does. Printed is the mean
intersection over union with that box, over the boxes of even and of odd number, and over the images
of two halves by the hash of their names.

Then the window of any size and ratio (`--aspect auto`) beside the whole photo: its intersection
over union with the nearest of the boxes, with all of them in the mean, and its part of the photo,
on the same two halves of the images (its weights were chosen on the first).
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saliency.batch.decisions import Decisions
from saliency.crop_windows.best_windows import centred
from saliency.crop_windows.candidates import read_task
from saliency.crop_windows.confidence import gather_evidence
from saliency.crop_windows.free_window import propose_free
from saliency.crop_windows.options import LEAST_CONFIDENCE, ChoiceOptions
from saliency.crop_windows.search import best_place
from saliency.crop_windows.summed_area_table import ShareTable
from saliency.crop_windows.window_score import WindowScore
from saliency.geometry import Frame, Size, Window
from saliency.photo.reading import read_photo
from saliency.prediction.predictor import Predictor
from saliency.prediction.shipped_models import model_path

PARITIES, HALVES = ("even", "odd"), ("first", "second")
"""Of the number of a box, and of the images."""

SURE = LEAST_CONFIDENCE


def overlap(one: Window, other: Window) -> float:
    """Return the intersection over union of two windows."""
    common = one.common(other)
    inside = 0 if common is None else common.width * common.height
    return inside / (one.width * one.height + other.width * other.height - inside)


def free_overlaps(
    density: NDArray[np.floating], photo_size: Size, boxes: list[list[float]]
) -> tuple[float, ...]:
    """Return the overlaps of the free window and of the whole photo with people's boxes."""
    window = propose_free(read_task(density, Frame.whole(photo_size), ChoiceOptions()))
    whole = Window(0, 0, *photo_size)
    wanted = [
        Window(int(left), int(top), max(1, int(right - left)), max(1, int(bottom - top)))
        for left, top, right, bottom in boxes
    ]
    row: list[float] = []
    for one in (window, whole):
        overlaps = [overlap(one, each) for each in wanted]
        row += [max(overlaps), float(np.mean(overlaps))]
    return (*row, window.width * window.height / (photo_size[0] * photo_size[1]))


def row(label: str, found: list[tuple[float, ...]], width: int) -> str:
    """Return a line of means, and of how many they are; of few decisions a half may be empty."""
    means = np.mean(found, axis=0) if found else []
    return f"{label:6} {len(found):6}" + "".join(f" {mean:{width}.3f}" for mean in means)


def read_crops(source: str) -> tuple[Path, dict[str, list[list[float]]]]:
    """Return the folder of the images, and the boxes of each."""
    kind, _, place = source.rpartition("decisions:")
    if place == source or kind:
        folder = Path(source)
        return folder / "images", json.loads((folder / "crops.json").read_text(encoding="utf-8"))
    decisions = Decisions.read(Path(place))
    boxes = {name: [list(one.box) for one in found] for name, found in decisions.persons_windows()}
    return Path(place).parent, boxes


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("crops", metavar="FOLDER|decisions:FILE")
    arguments = parser.parse_args()
    predictor = Predictor(model_path(arguments.model), threads=1)
    calibration = predictor.calibration
    assert calibration is not None, "run `saliency calibrate` on the model"
    images, crops = read_crops(arguments.crops)
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in (*PARITIES, *HALVES)}
    free: tuple[list[tuple[float, ...]], list[tuple[float, ...]]] = ([], [])
    for name, boxes in crops.items():
        photo = read_photo(images / name)
        photo_size = photo.shape[1], photo.shape[0]
        density = predictor.density(photo)
        table = ShareTable(density, photo_size)
        score = WindowScore(density, table)
        half = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % 2
        free[half].append(free_overlaps(density, photo_size, boxes))
        for number, (left, top, right, bottom) in enumerate(boxes):
            size = min(int(right - left), photo_size[0]), min(int(bottom - top), photo_size[1])
            if min(size) < 1:
                continue
            wanted = Window(int(left), int(top), *size)
            centre, best = centred(size, photo_size), best_place(table, size, score=score)
            confidence = calibration.probability(gather_evidence(table, best, centre))
            sure = best if confidence >= SURE else centre
            windows = (centre, best_place(table, size), best, sure)
            overlaps = tuple(overlap(window, wanted) for window in windows)
            found[PARITIES[number % 2]].append(overlaps)
            found[HALVES[half]].append(overlaps)
    print(f"{'boxes':6} {'number':>6} {'middle':>8} {'density':>8} {'score':>8} {'sure':>8}")
    for label, rows in found.items():
        print(row(label, rows, 8))
    heads = ("nearest", "all", "whole: nearest", "all", "area")
    print(f"\n{'auto':6} {'images':>6}" + "".join(f" {head:>14}" for head in heads))
    for label, rows in zip(HALVES, free, strict=True):
        print(row(label, rows, 14))


if __name__ == "__main__":
    main()
