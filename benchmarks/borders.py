"""Whether it pays to keep the border of a crop out of what people look at.

    python benchmarks/borders.py saliency/weights/default.onnx --data osie:PATH --data eyecrowd:PATH

Each window is the one of the largest share less WEIGHT times the density in a band along those of
its edges that cut the photo, which reaches 3 % of the photo's longer side to both sides of the
edge. Printed are the share of people's fixations that the windows keep, and the share that lies in
the band: what is cut, or nearly. Means over validation photos and five ratios; every position is
tried.
"""

import argparse

import numpy as np
from numpy.typing import NDArray

from saliency.crop_windows.best_windows import largest
from saliency.crop_windows.summed_area_table import ShareTable
from saliency.datasets.layouts.registry import read_dataset
from saliency.datasets.splits import split_scenes
from saliency.evaluation.crop_quality import kept_share
from saliency.fixations.scene import Scene
from saliency.geometry import Size, Window, largest_size, parse_aspect
from saliency.photo.reading import read_photo
from saliency.prediction.predictor import Predictor

RATIOS = tuple(parse_aspect(text) for text in ("1:1", "9:16", "16:9", "4:5", "1.91:1"))
WEIGHTS = (0.0, 0.1, 0.2, 0.5, 1.0)
BAND_SHARE = 0.03


def bands(window: Window, photo_size: Size) -> list[Window]:
    """Return the bands along the edges of a window that cut the photo."""
    reach = round(BAND_SHARE * max(photo_size))
    found = []
    for edge in (window.x, window.x + window.width):
        if 0 < edge < photo_size[0]:
            left, right = max(edge - reach, 0), min(edge + reach, photo_size[0])
            found.append(Window(left, window.y, right - left, window.height))
    for edge in (window.y, window.y + window.height):
        if 0 < edge < photo_size[1]:
            top, bottom = max(edge - reach, 0), min(edge + reach, photo_size[1])
            found.append(Window(window.x, top, window.width, bottom - top))
    return found


def chosen(table: ShareTable, size: Size) -> list[Window]:
    """Return the window of a size for each of the weights."""
    photo_size = table.photo_size
    xs, ys = (np.arange(full - side + 1) for full, side in zip(photo_size, size, strict=True))
    shares = table.shares(xs, ys, size)
    costs: NDArray[np.float64] = np.array(
        [
            [
                sum(table.share(band) for band in bands(Window(int(x), int(y), *size), photo_size))
                for x in xs
            ]
            for y in ys
        ]
    )
    return [
        largest(shares - weight * costs, xs, ys, window_size=size, photo_size=photo_size)
        for weight in WEIGHTS
    ]


def measure(scene: Scene, predictor: Predictor) -> NDArray[np.float64]:
    """Return what is kept and what lies in the bands, by ratio and weight, of shape (R, W, 2)."""
    photo_size = scene.width, scene.height
    table = ShareTable(predictor.density(read_photo(scene.path)), photo_size)
    windows = [chosen(table, largest_size(photo_size, ratio)) for ratio in RATIOS]
    return np.array(
        [
            [
                (
                    kept_share(scene, window),
                    sum(kept_share(scene, band) for band in bands(window, photo_size)),
                )
                for window in row
            ]
            for row in windows
        ]
    )


def main() -> None:
    """Print a row for each data set and weight."""
    parser = argparse.ArgumentParser(description="Keep borders of crops out of subjects.")
    parser.add_argument("model", help="an .onnx file")
    parser.add_argument("--data", action="append", required=True, metavar="LAYOUT:PATH")
    arguments = parser.parse_args()
    predictor = Predictor(arguments.model)
    print("data set   weight    kept  in band")
    for spec in arguments.data:
        dataset = read_dataset(spec)
        scenes = split_scenes(dataset.scenes, "validation")
        means = np.mean([measure(scene, predictor) for scene in scenes], axis=(0, 1))
        for weight, (kept, near) in zip(WEIGHTS, means, strict=True):
            print(f"{dataset.name:<10} {weight:6.1f} {kept:7.2%} {near:8.2%}")


if __name__ == "__main__":
    main()
