"""Whether people's crops prefer windows as often as `crop_confidence` says, on photos left out.

    python benchmarks/crop_confidence.py FOLDER MODEL [MODEL ...]

FOLDER has images/ and crops.json, as in people_crops.py. For each image, eight ratios at the full,
0.8 and 0.6 times the size, the window of the best score is compared with the middle one by each
person's crop: it is preferred if the crop overlaps it more. Crops that overlap both alike are left
out. The coefficients are fitted to one half of the images, by the hash of their names, and judged
on the other; printed are the Brier score there, that of the base rate, and how often windows of
each confidence were preferred. Last come the coefficients that fit all images and models.
"""

import argparse
import hashlib
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from people_crops import overlap, read_crops
from scipy.optimize import minimize

from saliency.crop_windows.best_windows import centred
from saliency.crop_windows.confidence import gather_evidence
from saliency.crop_windows.crop_confidence import crop_features
from saliency.crop_windows.search import best_place
from saliency.crop_windows.summed_area_table import ShareTable
from saliency.crop_windows.window_score import WindowScore
from saliency.evaluation.calibration.fit import RATIOS, SCALES
from saliency.geometry import Size, Window, largest_size, parse_aspect
from saliency.photo.reading import read_photo
from saliency.prediction.predictor import Predictor
from saliency.prediction.shipped_models import model_path

PENALTY = 1e-5
LEVELS = (0, 0.4, 0.5, 0.6, 0.7, 1)
Rows = NDArray[np.float64]
"""Of every case: half of its image, whether the window is preferred, and the features."""


def boxes_in(photo_size: Size, boxes: list[list[float]]) -> list[Window]:
    """Return people's boxes in whole pixels of a photo."""
    width, height = photo_size
    return [
        Window(
            int(left),
            int(top),
            min(max(1, int(right - left)), width - int(left)),
            min(max(1, int(bottom - top)), height - int(top)),
        )
        for left, top, right, bottom in boxes
    ]


def gather(predictor: Predictor, images: Path, crops: dict[str, list[list[float]]]) -> Rows:
    """Return the cases of a model."""
    rows = []
    for name, boxes in crops.items():
        photo = read_photo(images / name)
        photo_size = photo.shape[1], photo.shape[0]
        density = predictor.density(photo)
        table = ShareTable(density, photo_size)
        score = WindowScore(density, table)
        half = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % 2
        for ratio in RATIOS:
            most = largest_size(photo_size, parse_aspect(ratio))
            for scale in SCALES:
                size = max(1, round(most[0] * scale)), max(1, round(most[1] * scale))
                window, centre = best_place(table, size, score=score), centred(size, photo_size)
                evidence = gather_evidence(table, window, centre)
                score_gain = score.score(window) - score.score(centre)
                features = crop_features(evidence, score_gain=score_gain)
                for box in boxes_in(photo_size, boxes):
                    gain = overlap(window, box) - overlap(centre, box)
                    if gain != 0:
                        rows.append((half, gain > 0, *features))
    return np.array(rows, dtype=np.float64)


def fit(rows: Rows) -> NDArray[np.float64]:
    """Return intercept and weights of the logistic regression."""
    features = np.insert(rows[:, 2:], 0, 1.0, axis=1)
    signs = np.where(rows[:, 1] > 0, 1.0, -1.0)

    def loss(weights: NDArray[np.float64]) -> float:
        unlikely = np.logaddexp(0, -signs * (features @ weights)).mean()
        return float(unlikely + PENALTY / 2 * (weights[1:] ** 2).sum())

    return np.asarray(minimize(loss, np.zeros(features.shape[1]), method="BFGS").x)


def probabilities(weights: NDArray[np.float64], rows: Rows) -> NDArray[np.float64]:
    """Return the probability of every case."""
    return np.asarray(1 / (1 + np.exp(-(weights[0] + rows[:, 2:] @ weights[1:]))))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("models", nargs="+", metavar="MODEL")
    arguments = parser.parse_args()
    images, crops = read_crops(arguments.folder)
    every = []
    print(f"{'model':8} {'half':>5} {'cases':>7} {'Brier':>7} {'base rate':>10}  preferred")
    for model in arguments.models:
        rows = gather(Predictor(model_path(model), threads=1), images, crops)
        every.append(rows)
        for half in (0, 1):
            judged = rows[rows[:, 0] == half]
            given, seen = probabilities(fit(rows[rows[:, 0] != half]), judged), judged[:, 1]
            brier, base = np.mean((given - seen) ** 2), seen.mean() * (1 - seen.mean())
            bands = [
                f"{low:.0%}-{high:.0%}: {seen[inside].mean():.0%} of {inside.sum()}"
                for low, high in pairwise(LEVELS)
                if (inside := (given >= low) & (given < high)).any()
            ]
            print(f"{model:8} {half:5} {len(seen):7} {brier:7.3f} {base:10.3f}  {'; '.join(bands)}")
    print("intercept, log gain, given up, log score gain:", fit(np.concatenate(every)).round(3))


if __name__ == "__main__":
    main()
