"""Whether all faces are kept whole as often: by size, place, brightness, and how many there are.

    python benchmarks/face_fairness.py MODEL --data osie:PATH --data eyecrowd:PATH

Faces that YuNet finds on the validation images at 640 pixels, in crops to five ratios by the
default options. Each property splits the faces into thirds. Printed for each third: crops times
faces, the share of them that show the face whole (at least 95 % of its box) with its 95 % interval
by a bootstrap over photos, the share that cut it, and that leave it out (at most 5 %). How dark a
face is in a photo depends on light as much as on skin, and nothing here knows who is shown.
"""

import argparse
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from faces import CUT, LEAST_SIDE, RATIOS, windows, yunet
from numpy.typing import NDArray

from saliency.cropping.options import CropOptions
from saliency.cropping.photo_cropper import PhotoCropper
from saliency.datasets.layouts.registry import read_dataset
from saliency.datasets.splits import select
from saliency.geometry import Window, parse_aspect
from saliency.photo.reading import read_photo
from saliency.prediction.predictor import Predictor

DRAWS = 2000


class SeenFace(NamedTuple):
    """One face in one crop.

    Attributes:
        photo: number of its photo.
        size: longer side, as a share of the photo's shorter side.
        aside: distance from the photo's middle, as a share of half its diagonal.
        light: median lightness of the middle of the box, 0 to 100 (CIELAB).
        count: faces in the photo.
        shown: share of the box that the crop shows.
    """

    photo: int
    size: float
    aside: float
    light: float
    count: int
    shown: float


PROPERTIES: tuple[tuple[str, Callable[[SeenFace], float]], ...] = (
    ("size, of the shorter side", lambda face: face.size),
    ("distance from the middle", lambda face: face.aside),
    ("lightness of the face", lambda face: face.light),
    ("faces in the photo", lambda face: float(face.count)),
)


def lightness(photo: NDArray[np.uint8], face: Window) -> float:
    """Return the median CIELAB lightness of the inner half of a face's box, 0 to 100."""
    x, y = max(face.x + face.width // 4, 0), max(face.y + face.height // 4, 0)
    inner = photo[y : y + max(face.height // 2, 1), x : x + max(face.width // 2, 1)]
    values = cv2.cvtColor(inner.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return float(np.median(values[..., 0]))


def seen_faces(cropper: PhotoCropper, sources: list[str]) -> list[SeenFace]:
    """Return every face of the validation images, once for each crop."""
    found = []
    scenes = [
        scene for source in sources for scene in select(read_dataset(source).scenes, "validation")
    ]
    for number, scene in enumerate(scenes):
        photo = read_photo(scene.path)
        height, width, _ = photo.shape
        faces = [
            face
            for face in yunet(photo)
            if min(face.width, face.height) >= LEAST_SIDE * min(width, height)
        ]
        if not faces:
            continue
        crops = windows(cropper.look(scene.path.read_bytes(), scene.path), cropper)
        for face in faces:
            middle = face.x + face.width / 2 - width / 2, face.y + face.height / 2 - height / 2
            size = max(face.width, face.height) / min(width, height)
            aside = float(np.hypot(*middle) / (np.hypot(width, height) / 2))
            light = lightness(photo, face)
            for crop in crops:
                common = crop.common(face)
                inside = 0 if common is None else common.width * common.height
                shown = inside / (face.width * face.height)
                found.append(SeenFace(number, size, aside, light, len(faces), shown))
    return found


def describe(faces: list[SeenFace], random: np.random.Generator) -> str:
    """Return the shares of some faces' crops, in words."""
    whole = np.array([face.shown >= CUT[1] for face in faces])
    out = np.array([face.shown <= CUT[0] for face in faces])
    photos = np.array([face.photo for face in faces])
    of_photo = [photos == photo for photo in np.unique(photos)]
    each = [(whole[mine].sum(), mine.sum()) for mine in of_photo]
    sums = np.array(each)
    drawn = sums[random.integers(0, len(sums), (DRAWS, len(sums)))].sum(axis=1)
    low, high = np.percentile(drawn[:, 0] / drawn[:, 1], [2.5, 97.5])
    cut = 1 - whole.mean() - out.mean()
    interval = f"{whole.mean():6.1%} [{low:.1%}, {high:.1%}]"
    return f"{len(faces):6}  {interval}  {cut:6.1%}  {out.mean():6.1%}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--data", action="append", required=True)
    arguments = parser.parse_args()
    options = CropOptions(aspects={ratio: parse_aspect(ratio) for ratio in RATIOS})
    cropper = PhotoCropper(Predictor(arguments.model), options)
    faces = seen_faces(cropper, arguments.data)
    random = np.random.default_rng(0)
    print(f"{'faces':42} {'crops':>6}  {'whole':>22}  {'cut':>6}  {'out':>6}")
    print(f"{'all':42} {describe(faces, random)}")
    for name, value in PROPERTIES:
        borders = np.quantile([value(face) for face in faces], [0, 1 / 3, 2 / 3, 1])
        for low, high in pairwise(borders):
            part = [face for face in faces if low <= value(face) <= high]
            label = f"{name}: {low:.3g} to {high:.3g}"
            print(f"{label:42} {describe(part, random)}")


if __name__ == "__main__":
    main()
