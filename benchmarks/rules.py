"""Fixations kept by the old rule, the new score, and both, on data sets left out.

    python benchmarks/rules.py MODEL --data osie:PATH --data eyecrowd:PATH --data fixatons:PATH

For the validation images of each data set and five ratios, printed is the share of fixations kept
by the middle and by

  old rule   the window of most density, or the middle where the confidence is below 0.5
  score      the window of the best score (`window_score`), whatever its confidence
  both       the same, or the middle where the confidence is below 0.5: what the program does

and in how many crops each keeps more than the middle, and in how many less. The confidence is
fitted to the other data sets; faces are not looked for.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from saliency.crop_windows.best_windows import centred
from saliency.crop_windows.confidence import Calibration, Evidence, gather_evidence
from saliency.crop_windows.search import best_place
from saliency.crop_windows.summed_area_table import ShareTable
from saliency.crop_windows.window_score import WindowScore
from saliency.datasets.layouts.registry import read_dataset
from saliency.datasets.splits import split_scenes
from saliency.evaluation.calibration.fit import RATIOS, SCALES, Case, fit_calibration
from saliency.evaluation.crop_quality import kept_share
from saliency.fixations.scene import Scene
from saliency.geometry import largest_size, parse_aspect
from saliency.photo.reading import read_photo
from saliency.prediction.predictor import Predictor
from saliency.prediction.shipped_models import model_path

SHOWN_RATIOS = ("1:1", "9:16", "16:9", "4:5", "1.91:1")
LEAST_CONFIDENCE = 0.5
DENSITY, SCORE = 0, 1


class Crop(NamedTuple):
    """What windows of one size keep of one photo's fixations, by density and by score."""

    scene: str
    ratio: str
    scale: float
    middle: float
    kept: tuple[float, float]
    evidence: tuple[Evidence | None, Evidence | None]

    def by_rule(self, by: int, calibration: Calibration) -> float:
        """Return what the window is worth that is taken with a confidence."""
        evidence = self.evidence[by]
        is_sure = evidence and calibration.probability(evidence) >= LEAST_CONFIDENCE
        return self.kept[by] if is_sure else self.middle


def crops_of(scene: Scene, predictor: Predictor) -> list[Crop]:
    """Return the crops of one photo."""
    size = scene.width, scene.height
    density = predictor.density(read_photo(scene.path))
    table = ShareTable(density, size)
    score = WindowScore(density, table)
    crops = []
    for ratio in RATIOS:
        most = largest_size(size, parse_aspect(ratio))
        for scale in SCALES:
            window_size = max(1, round(most[0] * scale)), max(1, round(most[1] * scale))
            middle = centred(window_size, size)
            windows = best_place(table, window_size), best_place(table, window_size, score=score)
            kept = tuple(kept_share(scene, window) for window in windows)
            evidence = tuple(
                None if window == middle else gather_evidence(table, window, middle)
                for window in windows
            )
            before = kept_share(scene, middle)
            crops.append(Crop(scene.name, ratio, scale, before, kept, evidence))
    return crops


def fitted(crops: Sequence[Crop], by: int) -> Calibration:
    """Return the confidence that fits the windows by density, or by score."""
    return fit_calibration(
        [
            Case(crop.scene, crop.evidence[by], crop.kept[by] > crop.middle)
            for crop in crops
            if crop.evidence[by] is not None
        ]
    )


def described(values: Sequence[float], middles: Sequence[float]) -> str:
    """Return a mean, and how often it is better and worse than the middle."""
    gains = np.array(values) - np.array(middles)
    return f"{np.mean(values):8.2%} {(gains > 0).sum():4}/{(gains < 0).sum():3}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--data", action="append", required=True)
    arguments = parser.parse_args()
    predictor = Predictor(model_path(arguments.model), threads=1)
    sets: list[tuple[str, list[Crop]]] = []
    for source in arguments.data:
        scenes = split_scenes(read_dataset(source).scenes, "validation")
        crops = [crop for scene in scenes for crop in crops_of(scene, predictor)]
        sets.append((Path(source.partition(":")[2]).name, crops))
    print(f"{'data set':9} {'aspect':6} {'middle':>8} {'old rule':>17} {'score':>17} {'both':>17}")
    for index, (name, crops) in enumerate(sets):
        others = [crop for number, one in enumerate(sets) if number != index for crop in one[1]]
        by_density, by_score = fitted(others, DENSITY), fitted(others, SCORE)
        for ratio in (*SHOWN_RATIOS, "all"):
            chosen = [
                crop
                for crop in crops
                if crop.scale == 1 and crop.ratio in (SHOWN_RATIOS if ratio == "all" else (ratio,))
            ]
            middles = [crop.middle for crop in chosen]
            rules = (
                [crop.by_rule(DENSITY, by_density) for crop in chosen],
                [crop.kept[SCORE] for crop in chosen],
                [crop.by_rule(SCORE, by_score) for crop in chosen],
            )
            columns = "  ".join(described(rule, middles) for rule in rules)
            print(f"{name:9} {ratio:6} {np.mean(middles):8.2%} {columns}")


if __name__ == "__main__":
    main()
