"""Share of people's fixations that a crop keeps: the model's window, the centre, the best possible.

    python benchmarks/windows.py saliency/weights/default.onnx --data osie:PATH --data eyecrowd:PATH

For every validation image and aspect ratio the window is the largest that fits. "Best possible" is
the window chosen by the very fixations that judge it, blurred by one degree; "way" is how far the
model goes from the centred window to that one.
"""

import argparse
from fractions import Fraction

import numpy as np

from saliency.aspect import largest_size, parse_aspect
from saliency.datasets import read_dataset, split_scenes
from saliency.fixations import Scene, empirical_density
from saliency.image import read_photo
from saliency.predictor import Predictor
from saliency.window import Window, best_window, centred

RATIOS = ("1:1", "9:16", "16:9")


def kept(scene: Scene, window: Window) -> float:
    """Return the share of a scene's fixations that lie in a window."""
    low = np.array([window.x, window.y])
    high = low + np.array([window.width, window.height])
    inside = (scene.fixations >= low) & (scene.fixations < high)
    return float(inside.all(axis=1).mean())


def shares(scene: Scene, predictor: Predictor, ratio: Fraction) -> tuple[float, float, float]:
    """Return the shares kept by the centred, the model's and the best possible window."""
    photo_size = scene.width, scene.height
    size = largest_size(photo_size, ratio)
    truth = empirical_density(
        scene.fixations, width=scene.width, height=scene.height, sigma_px=scene.sigma_px
    )
    windows = (
        centred(size, photo_size),
        best_window(predictor.density(read_photo(scene.path)), size, photo_size),
        best_window(truth, size, photo_size),
    )
    centre, model, best = (kept(scene, window) for window in windows)
    return centre, model, best


def main() -> None:
    """Print a row for each data set and aspect ratio."""
    parser = argparse.ArgumentParser(description="Share of people's fixations that a crop keeps.")
    parser.add_argument("model", help="an .onnx file")
    parser.add_argument("--data", action="append", required=True, metavar="LAYOUT:PATH")
    arguments = parser.parse_args()
    predictor = Predictor(arguments.model)
    print("data set   aspect   centre    model    best     way")
    for spec in arguments.data:
        dataset = read_dataset(spec)
        scenes = split_scenes(dataset.scenes, "validation")
        for label in RATIOS:
            rows = [shares(scene, predictor, parse_aspect(label)) for scene in scenes]
            centre, model, best = np.mean(rows, axis=0)
            way = (model - centre) / (best - centre)
            print(
                f"{dataset.name:<10} {label:<6} {centre:8.1%} {model:8.1%} {best:8.1%} {way:7.0%}"
            )


if __name__ == "__main__":
    main()
