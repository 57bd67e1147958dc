"""How good crop windows are: the share of people's fixations that they keep."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from saliency.crop_windows.best_windows import best_windows
from saliency.fixations.scene import Scene
from saliency.geometry import Window
from saliency.photo.reading import load_photo, to_srgb
from saliency.prediction.predictor import Predictor

ASPECTS = ("1:1", "9:16", "16:9")


def kept_share(scene: Scene, window: Window) -> float:
    """Return the share of a scene's fixations that lie in a window, 0 to 1."""
    low = np.array([window.x, window.y])
    high = low + np.array([window.width, window.height])
    inside = (scene.fixations >= low) & (scene.fixations < high)
    return float(inside.all(axis=1).mean())


def compare_windows(one: Path, other: Path, scenes: Sequence[Scene]) -> dict[str, dict[str, float]]:
    """Return, by aspect ratio, how far apart two models' crop windows are.

    `moved` is the mean distance, in shares of the photo's side along which the window can move;
    `unmoved` the share of the photos in which it is below a fiftieth; `kept_before` and
    `kept_after` the shares of the fixations inside the windows.
    """
    predictors = Predictor(one), Predictor(other)
    rows: dict[str, list[tuple[float, float, float]]] = {aspect: [] for aspect in ASPECTS}
    for scene in scenes:
        photo, size = to_srgb(load_photo(scene.path)), (scene.width, scene.height)
        before, after = (
            best_windows(predictor.density(photo), ASPECTS, photo_size=size)
            for predictor in predictors
        )
        for aspect, first, second in zip(ASPECTS, before, after, strict=True):
            moved = max(abs(first.x - second.x) / size[0], abs(first.y - second.y) / size[1])
            rows[aspect].append((moved, kept_share(scene, first), kept_share(scene, second)))
    found = {}
    for aspect, values in rows.items():
        moved, before, after = np.array(values).T
        found[aspect] = {
            "moved": float(moved.mean()),
            "unmoved": float((moved < 0.02).mean()),
            "kept_before": float(before.mean()),
            "kept_after": float(after.mean()),
        }
    return found
