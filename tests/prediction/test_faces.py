import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from saliency.errors import CheckpointError
from saliency.geometry import Window
from saliency.photo.reading import read_photo
from saliency.prediction.face_network import FaceNetwork
from saliency.prediction.faces import FACE_MODEL, SEEN_SIDE, FaceDetector
from saliency.quiet import quiet_opencv

PHOTOS = Path(__file__).parents[2] / "data" / "photos"
ASTRONAUT = Window(185, 45, 80, 110)
"""Her face, from the eyebrows to the chin."""


@pytest.fixture(scope="module")
def detector():
    return FaceDetector()


def seen(name):
    photo = read_photo(PHOTOS / name)
    height, width, _ = photo.shape
    factor = SEEN_SIDE / max(width, height)
    size = round(width * factor), round(height * factor)
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA), (width, height)


@pytest.mark.parametrize("size", [(320, 320), (300, 203), (64, 64)])
def test_boxes_are_those_of_opencv(size):
    picture, _ = seen("astronaut.jpg")
    picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    with quiet_opencv():
        reference = cv2.FaceDetectorYN.create(str(FACE_MODEL), "", size, 0.1, 0.3, 200)
    _, rows = reference.detect(np.ascontiguousarray(picture[:, :, ::-1]))
    expected = sorted(rows[:, [0, 1, 2, 3, 14]].tolist(), key=lambda row: -row[4])
    network = FaceNetwork(FACE_MODEL.read_bytes(), FACE_MODEL, threads=1, least_score=0.1)
    assert np.array(network.find(picture)) == pytest.approx(np.array(expected), abs=0.01)


def test_face_and_head_are_found_in_pixels_of_the_photo(detector):
    (found,) = detector.find(*seen("astronaut.jpg"))
    face, head = found.face, found.head
    assert found.is_sure
    common = face.common(ASTRONAUT)
    assert common is not None
    assert common.width * common.height > 0.8 * ASTRONAUT.width * ASTRONAUT.height
    assert head.common(face) == face
    assert head.y < face.y - 0.2 * face.height
    assert face.width < 1.6 * ASTRONAUT.width


@pytest.mark.parametrize("name", ["chelsea.jpg", "coffee.jpg", "rocket.jpg"])
def test_nothing_is_found_where_nobody_is(detector, name):
    assert not any(face.is_sure for face in detector.find(*seen(name)))


def test_boxes_lie_inside_the_photo(detector):
    picture, _ = seen("astronaut.jpg")
    cut = np.ascontiguousarray(picture[30:, 120:])  # the top of her head and a cheek are gone
    found = detector.find(cut, (cut.shape[1], cut.shape[0]))
    assert found
    for face, head, _ in found:
        whole = Window(0, 0, cut.shape[1], cut.shape[0])
        assert face.common(whole) == face
        assert head.common(whole) == head


def test_face_below_the_least_size_is_passed_over(detector):
    picture, _ = seen("astronaut.jpg")
    small = cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA)
    canvas = np.full((320, 320, 3), 90, np.uint8)
    canvas[100:164, 100:164] = small  # a face of about 4 % of the side
    assert detector.find(canvas, (320, 320)) == ()


def test_threads_find_the_same(detector):
    found = [None] * 4

    def look(number):
        found[number] = detector.find(*seen("astronaut.jpg"))

    threads = [threading.Thread(target=look, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(one == found[0] for one in found)


def test_damaged_or_missing_model_names_the_remedy(tmp_path):
    (tmp_path / "faces.onnx").write_bytes(b"no model")
    for name in ("faces.onnx", "missing.onnx"):
        with pytest.raises(CheckpointError, match="install the package anew"):
            FaceDetector(tmp_path / name)
