"""Look a data set over: what it holds, whether its photos can be read, what it looks like."""

from collections import Counter
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from saliency.datasets.dataset import Dataset
from saliency.datasets.expected import Expected
from saliency.errors import SaliencyError
from saliency.fixations import Scene
from saliency.image import load_photo, to_srgb

SHEET_SCENES = 24
SHEET_COLUMNS = 6
CELL = (200, 280)
"""(height, width) of a picture on the contact sheet, in pixels."""


def statistics(dataset: Dataset, expected: Expected) -> list[tuple[str, str]]:
    """Return what a data set holds as (name, value) pairs, in words."""
    scenes = dataset.scenes
    counts = np.array([len(scene.fixations) for scene in scenes])
    observers = [len(np.unique(scene.observers)) for scene in scenes]
    everyone = {int(number) for scene in scenes for number in set(scene.observers)}
    sizes = Counter((scene.width, scene.height) for scene in scenes)
    (width, height), most = sizes.most_common(1)[0]
    sides = [np.array([scene.width, scene.height]) for scene in scenes]
    where = np.concatenate([s.fixations / side for s, side in zip(scenes, sides, strict=True)])
    mean, deviation = where.mean(axis=0), where.std(axis=0)
    return [
        ("images", _against(len(scenes), expected.images)),
        ("images without fixations", str(len(dataset.unseen))),
        ("images with maps only", str(len(dataset.mapped))),
        ("observers", _against(len(everyone), expected.observers)),
        ("observers of an image", _spread(observers)),
        ("fixations", str(int(counts.sum()))),
        ("fixations on an image", _spread(counts.tolist())),
        ("fixations moved to the border", str(dataset.clipped_count)),
        ("fixations left out", str(dataset.excluded_count)),
        ("sizes", f"{len(sizes)}, most often {width}x{height} ({most} images)"),
        ("mean place", f"{mean[0]:.1%} from the left, {mean[1]:.1%} from the top"),
        ("spread of places", f"{deviation[0]:.1%} of the width, {deviation[1]:.1%} of the height"),
    ]


def first_problem(dataset: Dataset, scenes: Iterable[Scene], expected: Expected) -> str | None:
    """Return the first thing that is wrong with what was read, and what to do; None if nothing is.

    Args:
        dataset: what was read.
        scenes: those whose photos are to be decoded whole.
        expected: what the set is said to hold.
    """
    for scene in scenes:
        try:
            photo = to_srgb(load_photo(scene.path))
        except SaliencyError as error:
            return f"{error}; unpack or download it again"
        if photo.shape[:2] != (scene.height, scene.width):
            return (
                f"{scene.path}: expected {scene.width}x{scene.height} as its header says, got "
                f"{photo.shape[1]}x{photo.shape[0]}; download it again"
            )
    missing = (expected.images or 0) - len(dataset.scenes)
    if missing > 0:
        return (
            f"{missing} of {expected.images} published images with fixations are not there; "
            "unpack the whole archive, or go on with those that are"
        )
    return None


def contact_sheet(scenes: Sequence[Scene]) -> UInt8[ndarray, "height width 3"]:
    """Return a picture of up to 24 scenes, evenly chosen, with a colour for each observer.

    A photo that cannot be read is a red cell.
    """
    count = min(SHEET_SCENES, len(scenes))
    chosen = [scenes[index] for index in np.linspace(0, len(scenes) - 1, count).astype(int)]
    cells = [_drawn(scene) for scene in chosen]
    cells += [np.zeros((*CELL, 3), np.uint8)] * (-len(cells) % SHEET_COLUMNS)
    rows = [cells[i : i + SHEET_COLUMNS] for i in range(0, len(cells), SHEET_COLUMNS)]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


def _drawn(scene: Scene) -> UInt8[ndarray, "height width 3"]:
    """Return a photo with its fixations, fitted into a cell."""
    room = (CELL[1] - 8, CELL[0] - 8)
    factor = min(room[0] / scene.width, room[1] / scene.height)
    size = max(1, round(scene.width * factor)), max(1, round(scene.height * factor))
    try:
        photo = to_srgb(load_photo(scene.path, lambda _: size))
    except SaliencyError:
        return np.full((*CELL, 3), (150, 0, 0), np.uint8)
    picture = cv2.resize(photo, size, interpolation=cv2.INTER_AREA) // 2 + 40
    for (x, y), observer in zip(scene.fixations * factor, scene.observers, strict=True):
        # The golden angle: the hues of neighbouring numbers are far apart.
        hue = np.array([[[int(observer * 68) % 180, 255, 255]]], np.uint8)
        colour = cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0].tolist()
        cv2.circle(picture, (int(x), int(y)), 2, colour, cv2.FILLED, cv2.LINE_AA)
    cell = np.zeros((*CELL, 3), np.uint8)
    top, left = (CELL[0] - size[1]) // 2, (CELL[1] - size[0]) // 2
    cell[top : top + size[1], left : left + size[0]] = picture
    return cell


def _against(count: int, expected: int | None) -> str:
    return str(count) if expected is None else f"{count} of {expected}"


def _spread(values: Sequence[int]) -> str:
    low, high, middle = min(values), max(values), float(np.median(values))
    return str(low) if low == high else f"{low} to {high}, half of them up to {middle:g}"
