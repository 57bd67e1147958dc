"""No crop cuts through a face, where that can be."""

import json
from pathlib import Path

import numpy as np

from saliency import ChoiceOptions, crop
from saliency.commands.crop import main
from saliency.crop_windows.choice import choose
from saliency.geometry import Frame, Window, parse_aspect

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
