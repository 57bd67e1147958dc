"""Share of people's fixations that crops keep: the centre, the default choice, the best possible.

    python benchmarks/windows.py default --data osie:PATH --data eyecrowd:PATH

For every validation photo and aspect ratio the window is the largest that fits. Printed are the
means over photos of what is kept by

  centre    the window in the middle
  default   the window that `saliency crop` takes by default: the one of the best score, or the
            middle where the confidence is too low; faces are not looked for
  always    the window of most density
  best      the window chosen by the very fixations that judge it, blurred by one degree

and how far `default` goes from the centre to the best; how many crops it moves, in how many of
those it keeps more than the centre and in how many less, the mean gain of a moved crop, and what
`default` keeps more than the centre over all photos, with its 95 % interval. The confidence of each
photo comes from a calibration that is fitted to the other photos; with --own-calibration from that
in the model's file.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from saliency.crop_windows.best_windows import best_windows
from saliency.crop_windows.choice import ChoiceOptions, choose
from saliency.crop_windows.confidence import Calibration
from saliency.datasets.layouts.registry import read_dataset
from saliency.datasets.splits import split_scenes
from saliency.evaluation.bootstrap import spread_of_mean
from saliency.evaluation.calibration.fit import fit_without_own, gather_cases
from saliency.evaluation.crop_quality import kept_share
from saliency.fixations.density import empirical_density
from saliency.fixations.scene import Scene
from saliency.geometry import Frame, parse_aspect
from saliency.photo.reading import read_photo
from saliency.prediction.predictor import Predictor

RATIOS = {text: parse_aspect(text) for text in ("1:1", "9:16", "16:9", "4:5", "1.91:1")}
HEADER = (
    "data set   aspect   centre  default   always     best   way    moved  better   worse    gain  "
    "more than the centre"
)


@dataclass(frozen=True)
class Kept:
    """Shares of a photo's fixations that the windows of one ratio keep, 0 to 1."""

    centre: float
    default: float
    always: float
    best: float
    is_moved: bool


def measure(
    scene: Scene, predictor: Predictor, ratios: Mapping[str, Fraction], calibration: Calibration
) -> list[Kept]:
    """Return what the windows of each ratio keep."""
    photo_size = scene.width, scene.height
    density = predictor.density(read_photo(scene.path))
    truth = empirical_density(
        scene.fixations, width=scene.width, height=scene.height, sigma_px=scene.sigma_px
    )
    options = ChoiceOptions(candidates=1)
    return [
        Kept(
            centre=kept_share(scene, choice.centre),
            default=kept_share(scene, choice.window),
            always=kept_share(scene, always),
            best=kept_share(scene, best),
            is_moved=choice.outcome == "moved",
        )
        for choice, always, best in zip(
            choose(density, ratios, Frame.whole(photo_size), options, calibration),
            best_windows(density, list(ratios.values()), photo_size),
            best_windows(truth, list(ratios.values()), photo_size),
            strict=True,
        )
    ]


def describe(name: str, label: str, rows: list[Kept]) -> str:
    """Return the line of one data set and ratio."""
    means = np.mean([(row.centre, row.default, row.always, row.best) for row in rows], axis=0)
    centre, default, always, best = means
    gains = np.array([row.default - row.centre for row in rows if row.is_moved])
    way = (default - centre) / (best - centre)
    advantages = np.array([row.default - row.centre for row in rows])
    spread = spread_of_mean(advantages, seed=0)
    return (
        f"{name:<10} {label:<6} {centre:8.1%} {default:8.1%} {always:8.1%} {best:8.1%} {way:5.0%}"
        f"  {len(gains):3}/{len(rows):3}  {np.mean(gains > 0):6.0%}  {np.mean(gains < 0):6.0%}"
        f"  {gains.mean():6.1%}  {advantages.mean():6.2%} [{spread.low:.2%}, {spread.high:.2%}]"
    )


def main() -> None:
    """Print a row for each data set and aspect ratio."""
    parser = argparse.ArgumentParser(description="Share of people's fixations that a crop keeps.")
    parser.add_argument("model", help="an .onnx file")
    parser.add_argument("--data", action="append", required=True, metavar="LAYOUT:PATH")
    parser.add_argument("--own-calibration", action="store_true")
    arguments = parser.parse_args()
    predictor = Predictor(arguments.model)
    parts = [
        (Path(spec.partition(":")[2]).name, split_scenes(read_dataset(spec).scenes, "validation"))
        for spec in arguments.data
    ]
    scenes = [scene for _, part in parts for scene in part]
    if arguments.own_calibration:
        assert predictor.calibration is not None, "run `saliency calibrate` on the model"
        fits = {scene.name: predictor.calibration for scene in scenes}
    else:
        fits = fit_without_own(gather_cases(predictor, scenes))
    print(HEADER)
    for name, part in parts:
        table = [measure(scene, predictor, RATIOS, fits[scene.name]) for scene in part]
        for label, rows in zip(RATIOS, zip(*table, strict=True), strict=True):
            print(describe(name, label, list(rows)))


if __name__ == "__main__":
    main()
