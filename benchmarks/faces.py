"""How many crops cut through a face, and what keeping faces whole costs in fixations.

    python benchmarks/faces.py MODEL --data osie:PATH --data eyecrowd:PATH [--judge mediapipe]

Crops of the validation images to five ratios, with `--faces ignore` and `keep`. A face is cut if a
window shows between 5 and 95 % of its box. Counted are the crops of photos with faces for which a
window of that size exists that cuts none. The judge of what a face is: YuNet at 640 pixels, twice
what the crop looks at; or mediapipe (`--judge mediapipe`), where that is installed. Fixations kept
are means over all these images and ratios. `--part train` takes the other images: choices were made
by them.
"""

import argparse
from collections.abc import Callable
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from saliency.crop_windows.options import ChoiceOptions
from saliency.cropping.analysis import Analysis
from saliency.cropping.options import CropOptions
from saliency.cropping.photo_cropper import PhotoCropper
from saliency.datasets.layouts.registry import read_dataset
from saliency.datasets.splits import split_scenes
from saliency.evaluation.crop_quality import kept_share
from saliency.fixations.scene import Scene
from saliency.geometry import Size, Window, parse_aspect
from saliency.photo.reading import read_photo
from saliency.prediction.faces import FACE_MODEL
from saliency.prediction.predictor import Predictor
from saliency.quiet import quiet_opencv

RATIOS = ("1:1", "9:16", "16:9", "4:5", "1.91:1")
JUDGE_SIDE = 640
LEAST_SIDE = 0.06
CUT = (0.05, 0.95)

Judge = Callable[[NDArray[np.uint8]], list[Window]]


def yunet(photo: NDArray[np.uint8]) -> list[Window]:
    """Return the faces that YuNet finds in a large picture."""
    height, width, _ = photo.shape
    factor = JUDGE_SIDE / max(width, height)
    size = round(width * factor), round(height * factor)
    with quiet_opencv():  # it says that it has no choice of targets
        network = cv2.FaceDetectorYN.create(str(FACE_MODEL), "", size, 0.7)
    _, found = network.detect(cv2.resize(photo[:, :, ::-1], size, interpolation=cv2.INTER_AREA))
    faces = [] if found is None else found[:, :4] / factor
    return [Window(*(int(value) for value in face)) for face in faces]


def mediapipe(photo: NDArray[np.uint8]) -> list[Window]:
    """Return the faces that mediapipe's full-range detector finds."""
    from mediapipe.python.solutions.face_detection import FaceDetection  # noqa: PLC0415

    height, width, _ = photo.shape
    with FaceDetection(model_selection=1, min_detection_confidence=0.6) as network:
        found = network.process(photo).detections or []
    boxes = (one.location_data.relative_bounding_box for one in found)
    return [
        Window(
            int(box.xmin * width),
            int(box.ymin * height),
            int(box.width * width),
            int(box.height * height),
        )
        for box in boxes
    ]


def cuts(window: Window, faces: list[Window]) -> bool:
    """Return whether a window shows part of a face."""
    for face in faces:
        common = window.common(face)
        shown = 0 if common is None else common.width * common.height / (face.width * face.height)
        if CUT[0] < shown < CUT[1]:
            return True
    return False


def can_avoid(size: Size, photo_size: Size, faces: list[Window]) -> bool:
    """Return whether a window of a size exists that cuts no face."""
    step = max(1, max(photo_size) // 200)
    xs = range(0, photo_size[0] - size[0] + 1, step)
    ys = range(0, photo_size[1] - size[1] + 1, step)
    return any(not cuts(Window(x, y, *size), faces) for x in xs for y in ys)


def windows(seen: Analysis, cropper: PhotoCropper) -> list[Window]:
    """Return the window of each ratio."""
    return [choice.window for choice in cropper.choose(seen)]


def measure(
    scenes: list[Scene], croppers: tuple[PhotoCropper, PhotoCropper], judge: Judge
) -> NDArray[np.float64]:
    """Return the sums over a data set: crops judged, cut by either, kept by either, all crops."""
    counted, cut, kept = 0, [0, 0], [0.0, 0.0]
    for scene in scenes:
        data = scene.path.read_bytes()
        faces = [
            face
            for face in judge(read_photo(scene.path))
            if min(face.width, face.height) >= LEAST_SIDE * min(scene.width, scene.height)
        ]
        pairs = [windows(cropper.look(data, scene.path), cropper) for cropper in croppers]
        for ignoring, keeping in zip(*pairs, strict=True):
            kept[0] += kept_share(scene, ignoring)
            kept[1] += kept_share(scene, keeping)
            size = ignoring.width, ignoring.height
            if faces and can_avoid(size, (scene.width, scene.height), faces):
                counted += 1
                cut[0] += cuts(ignoring, faces)
                cut[1] += cuts(keeping, faces)
    return np.array([counted, *cut, *kept, len(scenes) * len(RATIOS)], dtype=np.float64)


def row(name: str, sums: NDArray[np.float64]) -> str:
    """Return a line of the table."""
    counted, ignoring, keeping, kept_ignoring, kept_keeping, total = sums
    return (
        f"{name:10} {counted:6.0f}  {ignoring / counted:11.1%}  {keeping / counted:9.1%}  "
        f"{kept_ignoring / total:13.2%}  {kept_keeping / total:11.2%}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--data", action="append", required=True)
    parser.add_argument("--judge", choices=("yunet", "mediapipe"), default="yunet")
    parser.add_argument("--part", choices=("validation", "train"), default="validation")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take each Nth image")
    arguments = parser.parse_args()
    predictor = Predictor(arguments.model)
    aspects: dict[str, Fraction] = {ratio: parse_aspect(ratio) for ratio in RATIOS}
    ignoring, keeping = (
        PhotoCropper(predictor, CropOptions(aspects=aspects, choice=ChoiceOptions(faces=faces)))
        for faces in ("ignore", "keep")
    )
    judge = {"yunet": yunet, "mediapipe": mediapipe}[arguments.judge]
    print(f"{'data set':10} {'crops':>6}  {'cut, ignore':>11}  {'cut, keep':>9}  ", end="")
    print(f"{'kept, ignore':>13}  {'kept, keep':>11}")
    every = np.zeros(6)
    for source in arguments.data:
        dataset = read_dataset(source)
        scenes = list(split_scenes(dataset.scenes, arguments.part))[:: arguments.every]
        sums = measure(scenes, (ignoring, keeping), judge)
        every += sums
        print(row(dataset.name, sums))
    print(row("all", every))


if __name__ == "__main__":
    main()
