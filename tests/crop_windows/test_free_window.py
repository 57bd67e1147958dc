"""Facts about windows of free size and ratio, and about the best of several ratios."""

from fractions import Fraction

import numpy as np
import pytest

from saliency.crop_windows.candidates import read_task
from saliency.crop_windows.choice import choose
from saliency.crop_windows.free_window import propose_free
from saliency.crop_windows.options import ChoiceOptions, parse_box
from saliency.geometry import Frame, Window, read_aspect

PHOTO = (400, 300)


def spot(left, top, right, bottom):
    """Return a density that lies in one part of a grid of 30x40 cells, and little beside."""
    density = np.full((30, 40), 1e-4)
    density[top:bottom, left:right] = 1.0
    return density / density.sum()


def free(density, **options):
    return propose_free(read_task(density, Frame.whole(PHOTO), ChoiceOptions(**options)))


def test_window_holds_the_subject_and_leaves_out_what_is_beside_it():
    window = free(spot(4, 4, 16, 14))
    assert window.common(Window(40, 40, 120, 100)) == Window(40, 40, 120, 100)
    assert window.width * window.height < 0.6 * 400 * 300


def test_even_density_wants_the_whole_photo():
    assert free(np.full((30, 40), 1 / 1200)) == Window(0, 0, *PHOTO)


def test_ratio_follows_the_subject():
    wide, high = free(spot(2, 12, 38, 16)), free(spot(17, 1, 22, 29))
    assert wide.width / wide.height > 1.8
    assert high.width / high.height < 0.8


def test_window_is_no_smaller_than_asked():
    window = free(spot(4, 4, 8, 8), min_size=(300, 280))
    assert window.width >= 300
    assert window.height >= 280


def test_boxes_are_kept_and_avoided():
    density = spot(4, 4, 16, 14)
    kept = free(density, keep=(parse_box("350,250,40,40"),))
    assert kept.common(Window(350, 250, 40, 40)) == Window(350, 250, 40, 40)
    avoided = free(density, avoid=(parse_box("0,200,400,100"),))
    assert avoided.box[3] <= 200


def test_no_face_is_cut():
    without = free(spot(4, 4, 17, 14))
    face = Window(without.box[2] - 20, 60, 60, 80)
    task = read_task(spot(4, 4, 17, 14), Frame.whole(PHOTO), ChoiceOptions(), faces=[(face, face)])
    assert propose_free(task).common(face) in (None, face)


def test_choice_of_any_ratio_is_taken_and_says_so():
    (choice,) = choose(spot(4, 4, 16, 14), {"auto": ()}, Frame.whole(PHOTO), ChoiceOptions())
    assert choice.aspect == "auto"
    assert choice.outcome == "moved"
    assert "sizes and ratios" in choice.reason


def test_best_of_several_ratios_is_the_one_that_fits_the_subject():
    ratios = (Fraction(9, 16), Fraction(1), Fraction(16, 9))
    options = ChoiceOptions(min_confidence=0.0)
    (wide,) = choose(spot(2, 12, 38, 16), {"best-of": ratios}, Frame.whole(PHOTO), options)
    (high,) = choose(spot(17, 1, 22, 29), {"best-of": ratios}, Frame.whole(PHOTO), options)
    assert wide.window.width > wide.window.height
    assert high.window.width < high.window.height


def test_best_of_prefers_a_ratio_that_holds_all_boxes():
    options = ChoiceOptions(keep=(parse_box("180,0,40,300"),), min_confidence=0.0)
    ratios = (Fraction(16, 9), Fraction(1))
    (choice,) = choose(spot(2, 12, 38, 16), {"best-of": ratios}, Frame.whole(PHOTO), options)
    assert choice.window.size == (300, 300)


def test_text_names_any_ratio_or_several():
    assert read_aspect("auto") == ()
    assert read_aspect("best-of 1:1 4:5") == (Fraction(1), Fraction(4, 5))
    assert read_aspect("16:9") == Fraction(16, 9)
    with pytest.raises(ValueError, match="two ratios"):
        read_aspect("best-of 1:1")


def test_photo_too_small_for_what_is_asked_falls_back():
    options = ChoiceOptions(min_size=(500, 500), fallback="skip")
    (choice,) = choose(spot(4, 4, 16, 14), {"auto": ()}, Frame.whole(PHOTO), options)
    assert choice.outcome == "skipped"
    assert choice.reason == "the photo has no window of 500x500"
