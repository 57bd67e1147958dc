import json
from fractions import Fraction

import numpy as np
import pytest

from saliency.crop_windows.best_windows import centred
from saliency.crop_windows.choice import ChoiceOptions, candidates_of, choose
from saliency.crop_windows.confidence import Calibration
from saliency.crop_windows.options import LEAST_GAIN, parse_box
from saliency.geometry import Frame, Padding, Window

SIZE = (480, 320)
TALL = {"9:16": Fraction(9, 16)}
ALWAYS = Calibration(intercept=9.0, log_gain=0.0, given_up=0.0)
NEVER = Calibration(intercept=-9.0, log_gain=0.0, given_up=0.0)
MIDDLE = centred((180, 320), SIZE)
KEYS = (
    *("aspect", "outcome", "reason", "x", "y", "width", "height", "share", "centre_share"),
    *("gain", "confidence", "crop_confidence", "padding", "alternatives"),
)


def left_heavy(extra=0.5):
    """A density of 48 by 32 cells, even but for what a spot on the left has more of the whole."""
    density = np.ones((32, 48)) / 1536
    density[15:17, 3:5] += extra / 4
    return density / density.sum()


def choose_one(density, calibration=ALWAYS, *, aspects=TALL, **options):
    (choice,) = choose(density, aspects, Frame.whole(SIZE), ChoiceOptions(**options), calibration)
    return choice


def test_sure_window_is_taken_with_its_figures():
    choice = choose_one(left_heavy())
    assert (choice.outcome, choice.window.width, choice.centre) == ("moved", 180, MIDDLE)
    assert choice.window.x <= 30
    assert choice.gain == pytest.approx(choice.share - choice.centre_share)
    assert choice.gain == pytest.approx(1 / 3, abs=0.01)
    assert choice.confidence == pytest.approx(1, abs=0.001)


def test_unsure_window_is_left_for_the_middle_and_named_as_alternative():
    choice = choose_one(left_heavy(), NEVER)
    assert (choice.outcome, choice.window) == ("centred", MIDDLE)
    assert choice.share == choice.centre_share
    assert choice.reason == "confidence 0.0%, below 50.0%"
    assert choice.gain == pytest.approx(choice.alternatives[0].share - choice.share)


def test_best_window_in_the_middle_is_taken_without_any_confidence():
    choice = choose_one(np.ones((32, 48)), ALWAYS, fallback="skip")
    assert (choice.outcome, choice.window) == ("centred", MIDDLE)
    assert (choice.gain, choice.confidence) == (0, None)


def test_window_that_is_the_whole_photo_says_so_and_has_no_confidence():
    choice = choose_one(left_heavy(), ALWAYS, aspects={"3:2": Fraction(3, 2)})
    assert (choice.outcome, choice.reason) == ("centred", "it is the whole picture")
    assert (choice.share, choice.gain, choice.confidence) == (1, 0, None)


def test_confidence_that_is_asked_for_is_enough():
    assert choose_one(left_heavy(), NEVER, min_confidence=0.0).outcome == "moved"


def test_window_that_gains_too_little_is_left():
    choice = choose_one(left_heavy(), min_gain=0.5)
    assert choice.outcome == "centred"
    assert choice.reason == "it gains 33.3%, less than the 50.0% asked for"


@pytest.mark.parametrize(("extra", "outcome"), [(0.5, "moved"), (0.005, "centred")])
def test_without_a_calibration_the_gain_decides(extra, outcome):
    choice = choose_one(left_heavy(extra), None)
    assert (choice.outcome, choice.confidence) == (outcome, None)


def test_reason_says_that_there_is_no_calibration():
    choice = choose_one(left_heavy(0.02), None, place="left", min_confidence=0.5)
    assert choice.gain < LEAST_GAIN
    assert choice.reason.endswith("the model has no calibration")


def test_placed_window_is_taken_without_any_confidence_and_says_why():
    choice = choose_one(left_heavy(), NEVER, place="right")
    assert choice.outcome == "moved"
    assert choice.reason.startswith("the subject is where it was asked to be")


def test_fallback_pads_the_whole_photo_to_the_ratio():
    choice = choose_one(left_heavy(), NEVER, fallback="pad")
    assert (choice.outcome, choice.window, choice.share) == ("padded", Window(0, 0, *SIZE), 1)
    assert choice.padding == Padding(left=0, top=266, right=0, bottom=267)  # 480 x 853


def test_padding_is_on_the_sides_of_a_photo_that_is_too_narrow():
    choice = choose_one(left_heavy(), NEVER, fallback="pad", aspects={"3:1": Fraction(3)})
    assert choice.outcome == "centred"  # the spot is in the middle, from top to bottom
    low = np.roll(left_heavy(), 12, axis=0)
    choice = choose_one(low, NEVER, fallback="pad", aspects={"3:1": Fraction(3)})
    assert choice.padding == Padding(left=240, top=0, right=240, bottom=0)


def test_fallback_skips():
    choice = choose_one(left_heavy(), NEVER, fallback="skip")
    assert choice.outcome == "skipped"
    assert choice.window.x <= 30


def test_unsure_zoom_falls_back_to_the_largest_window():
    choice = choose_one(left_heavy(), NEVER, zoom=0.4)
    assert (choice.outcome, choice.window) == ("centred", MIDDLE)
    assert choice.centre.width < 180


def test_box_that_no_window_holds_is_a_doubt():
    wide = (parse_box("0,0,100%,10"),)
    choice = choose_one(left_heavy(), keep=wide, fallback="skip")
    assert (choice.outcome, choice.reason) == ("skipped", "no window holds all boxes to keep")


def test_least_size_that_no_window_has_is_a_doubt():
    choice = choose_one(left_heavy(), min_size=(200, 10), fallback="skip")
    assert (choice.outcome, choice.reason) == ("skipped", "the photo has no window of 200x10")


def test_unsure_window_with_a_box_to_keep_is_left_for_the_middle_that_keeps_it():
    choice = choose_one(left_heavy(), NEVER, keep=(parse_box("440,0,40,320"),))
    assert choice.window == choice.centre == Window(300, 0, 180, 320)


def test_alternatives_tell_what_other_subjects_would_keep():
    density = left_heavy()
    density[15:17, 43:45] += 0.05
    choice = choose_one(density / density.sum())
    (other,) = choice.alternatives[:1]
    assert other.window.x > 240
    assert choice.share > other.share > 0.1


def test_candidates_limit_the_windows_named():
    density = left_heavy()
    density[15:17, 43:45] += 0.05
    assert choose_one(density, candidates=1).alternatives == ()
    assert len(choose_one(density, candidates=2).alternatives) == 1


def test_candidates_count_the_middle_that_is_fallen_back_to():
    density = left_heavy()
    density[15:17, 43:45] += 0.05
    choice = choose_one(density, NEVER, candidates=2)
    assert choice.window == MIDDLE
    assert [one.window.x < 40 for one in choice.alternatives] == [True]


@pytest.mark.parametrize(("fallback", "count"), [("center", 3), ("pad", 3), ("skip", 1)])
def test_candidates_are_the_choice_and_each_alternative_taken_instead(fallback, count):
    density = left_heavy()
    density[15:17, 43:45] += 0.05
    choice = choose_one(density, NEVER, fallback=fallback)
    first, *others = candidates_of(choice)
    assert (first, len(others)) == (choice, count - 1)
    for other, named in zip(others, choice.alternatives, strict=False):
        assert (other.outcome, other.window, other.padding) == ("moved", named.window, None)
        assert other.share == named.share


@pytest.mark.parametrize("fallback", ["center", "pad", "skip"])
@pytest.mark.parametrize("calibration", [ALWAYS, NEVER, None])
def test_json_has_the_same_keys_in_order_whatever_happens(fallback, calibration):
    choice = choose_one(left_heavy(), calibration, fallback=fallback)
    assert tuple(choice.to_json()) == KEYS
    assert json.loads(json.dumps(choice.to_json(), allow_nan=False)) == choice.to_json()


def test_each_ratio_has_a_choice_in_the_order_asked_for():
    aspects = {"1:1": Fraction(1), "9:16": Fraction(9, 16)}
    choices = choose(left_heavy(), aspects, Frame.whole(SIZE), ChoiceOptions())
    assert [choice.aspect for choice in choices] == ["1:1", "9:16"]


@pytest.mark.parametrize("photo_size", [(1, 1), (30_000, 20), (3, 4000)])
def test_photos_of_any_shape_have_windows_inside(photo_size):
    density = np.random.default_rng(0).random((32, 48))
    options = ChoiceOptions(zoom=0.5, margin=0.1, place="thirds")
    frame = Frame.whole(photo_size)
    for choice in choose(density, {"a": Fraction(1), "b": Fraction(9, 16)}, frame, options):
        window = choice.window
        assert 0 <= window.x < window.x + window.width <= photo_size[0]
        assert 0 <= window.y < window.y + window.height <= photo_size[1]


def strip(*spots):
    """Return the density of a photo of 400x100 that lies in a few columns of pixels, by their x."""
    density = np.full((100, 400), 1e-7)
    for x, mass in spots:
        density[:, x - 2 : x + 2] += mass
    return density


def squares(density, **options):
    wanted = ChoiceOptions(min_confidence=0.0, **options)
    (choice,) = choose(density, {"1:1": Fraction(1)}, Frame.whole((400, 100)), wanted)
    return choice


def test_reason_names_balance_where_the_middle_keeps_as_much():
    choice = squares(strip((230, 1.0)))
    assert choice.window.x > choice.centre.x
    assert choice.gain == pytest.approx(0, abs=1e-3)
    assert choice.reason == "the subject is balanced there"


def test_reason_names_density_where_the_window_keeps_more():
    assert squares(strip((330, 1.0))).reason == "most density is there"


def test_alternatives_are_balanced_as_the_choice_is():
    choice = squares(strip((60, 2.0), (330, 1.0)), candidates=2)
    (other,) = choice.alternatives
    assert choice.window.x < 60 < choice.window.x + 100
    assert other.window.x + 50 == pytest.approx(330, abs=35)
