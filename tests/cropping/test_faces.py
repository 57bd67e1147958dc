"""No crop cuts through a face, where that can be."""

import json
from pathlib import Path

import numpy as np
import pytest

from saliency import ChoiceOptions, crop
from saliency.commands.crop import main
from saliency.crop_windows.choice import choose
from saliency.cropping.analysis import look
from saliency.cropping.stopwatch import Stopwatch
from saliency.geometry import Frame, Window, parse_aspect
from saliency.prediction.faces import Face, FaceDetector
from saliency.prediction.predictor import Predictor

ASTRONAUT = Path(__file__).parents[2] / "data" / "photos" / "astronaut.jpg"
SQUARE = {"1:1": parse_aspect("1:1")}
SIZE = (300, 100)


def spot(x):
    """Return a density of the photo that lies mostly in one column of pixels."""
    density = np.full((100, 300), 1e-4)
    density[:, x] = 1.0
    return density


def window(density, faces, **options):
    pairs = [(face, face) for face in faces]
    wanted = ChoiceOptions(min_confidence=0.0, **options)
    (choice,) = choose(density, SQUARE, Frame.whole(SIZE), wanted, faces=pairs)
    return choice.window, choice.reason


def test_face_at_the_edge_of_the_best_window_is_kept_whole_or_left_out():
    face = Window(90, 20, 30, 30)
    best, _ = window(spot(140), [])
    assert best.common(face) not in (None, face)
    found, reason = window(spot(140), [face])
    assert found.common(face) in (None, face)
    assert reason == "faces are kept whole there, as far as they can be"
    assert found.x <= 140 < found.x + 100


def test_face_wider_than_the_window_is_cut_as_it_must_be():
    found, _ = window(spot(150), [Window(60, 10, 200, 80)])
    assert found.width == 100


def wide_window(marks, faces):
    """Return the window of 320x180 in a photo of 320x240 whose density lies in some rows."""
    density = np.full((240, 320), 1e-5)
    for rows, mass in marks:
        density[rows, 100:220] += mass / (120 * (rows.stop - rows.start))
    pairs = [(face, face) for face in faces]
    options = ChoiceOptions(min_confidence=0.0)
    aspect = {"16:9": parse_aspect("16:9")}
    (choice,) = choose(density, aspect, Frame.whole((320, 240)), options, faces=pairs)
    return choice.window


UPPER, LOWER = Window(120, 20, 80, 90), Window(120, 130, 80, 85)
"""Faces so high that a window of 180 rows cuts one of them."""


@pytest.mark.parametrize(
    ("upper_mass", "lower_mass", "whole", "other_rows"),
    [(5.0, 2.0, UPPER, slice(220, 240)), (2.0, 5.0, LOWER, slice(0, 15))],
)
def test_where_a_face_has_to_be_cut_it_is_the_one_looked_at_less(
    upper_mass, lower_mass, whole, other_rows
):
    marks = [(slice(95, 110), upper_mass), (slice(130, 145), lower_mass), (other_rows, 1.5)]
    alone = wide_window(marks, [])
    assert alone.common(whole) != whole
    assert wide_window(marks, [UPPER, LOWER]).common(whole) == whole


def test_face_that_draws_the_eye_is_shown_although_more_lies_below_it():
    face = Window(120, 0, 80, 50)
    marks = [(slice(10, 40), 3.5), (slice(100, 238), 8.0)]
    assert wide_window(marks, []).common(face) != face
    assert wide_window(marks, [face]).common(face) == face


def test_face_at_which_nobody_looks_may_be_left_out():
    face = Window(120, 0, 80, 50)
    marks = [(slice(10, 40), 0.2), (slice(100, 238), 10.0)]
    assert wide_window(marks, [face]).common(face) is None


def test_box_of_the_user_comes_before_faces():
    from saliency.crop_windows.options import parse_box

    face = Window(90, 20, 30, 30)
    found, _ = window(spot(140), [face], keep=(parse_box("100,0,100,100"),))
    assert found == Window(100, 0, 100, 100)


def test_photo_of_a_person_keeps_her_head(capsys):
    wide = "16:9"
    assert main([str(ASTRONAUT), "--aspect", wide, "--json", "--dry-run"]) == 0
    report = json.loads(capsys.readouterr().out)
    (face,) = report["faces"]
    (found,) = report["windows"]
    assert found["y"] <= face["y"]
    assert face["y"] + face["height"] <= found["y"] + found["height"]
    assert crop(ASTRONAUT, wide).choice.window.y == found["y"]


def test_faces_can_be_ignored(capsys):
    assert main([str(ASTRONAUT), "--json", "--dry-run", "--faces", "ignore"]) == 0
    assert json.loads(capsys.readouterr().out)["faces"] == []


class Unsure(FaceDetector):
    """Finds one face, whose score is higher at the second look."""

    def __init__(self, score):
        self.score, self.sides = score, []

    def find(self, picture, size):
        self.sides.append(max(picture.shape[:2]))
        box = Window(10, 10, 50, 60)
        return (Face(box, box, self.score if len(self.sides) == 1 else 0.9),)


@pytest.mark.parametrize(("score", "sides"), [(0.59, [320, 512]), (0.61, [320])])
def test_doubtful_face_is_looked_at_more_closely(score, sides):
    detector = Unsure(score)
    data, clock = ASTRONAUT.read_bytes(), Stopwatch()
    seen = look(data, ASTRONAUT, Predictor(), detector=detector, keep_borders=False, clock=clock)
    assert detector.sides == sides
    assert len(seen.faces) == 1
