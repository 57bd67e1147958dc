import math

import numpy as np
import pytest

from saliency.crop_windows.choice import ChoiceOptions, choose
from saliency.crop_windows.confidence import Evidence
from saliency.crop_windows.crop_confidence import PEOPLES_CROPS, CropCalibration
from saliency.geometry import Frame, parse_aspect

SQUARE = {"1:1": parse_aspect("1:1")}


def chosen(density):
    options = ChoiceOptions(min_confidence=0.0)
    (choice,) = choose(density, SQUARE, Frame.whole((300, 100)), options)
    return choice


def test_probability_is_the_logistic_function_of_the_features():
    calibration = CropCalibration(0.25, log_gain=0.5, given_up=-1.0, log_score_gain=2.0)
    score = 0.25 + 0.5 * math.log(0.101) - 0.2 + 2 * math.log(0.301)
    found = calibration.probability(Evidence(gain=0.1, given_up=0.2, left_out=0.4), score_gain=0.3)
    assert found == pytest.approx(1 / (1 + math.exp(-score)))


def test_better_balance_at_the_same_gain_is_likelier():
    evidence = Evidence(gain=0.05, given_up=0.05, left_out=0.3)
    dull, balanced = (PEOPLES_CROPS.probability(evidence, score_gain=one) for one in (0.0, 0.1))
    assert dull < balanced


def test_a_lower_score_counts_as_none_gained():
    evidence = Evidence(gain=0.05, given_up=0.05, left_out=0.3)
    lower, same = (PEOPLES_CROPS.probability(evidence, score_gain=one) for one in (-0.4, 0.0))
    assert lower == same


def test_it_is_said_of_a_window_beside_the_middle_without_a_calibration_of_the_model():
    density = np.full((100, 300), 1e-4)
    density[30:70, 200:240] = 1.0
    choice = chosen(density)
    assert choice.confidence is None
    assert 0.5 < choice.crop_confidence < 1
    assert choice.to_json()["crop_confidence"] == pytest.approx(choice.crop_confidence, abs=1e-6)


def test_nothing_is_said_where_the_best_window_is_the_middle_one():
    assert chosen(np.ones((100, 300))).crop_confidence is None
