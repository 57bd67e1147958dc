import math

import numpy as np
import pytest

from saliency.crop_windows.confidence import (
    Calibration,
    Evidence,
    gather_evidence,
    read_calibration,
)
from saliency.crop_windows.summed_area_table import ShareTable
from saliency.geometry import Window

COLUMNS = np.array([[1.0, 2.0, 3.0, 4.0]])


def test_evidence_is_the_gain_what_only_the_other_window_holds_and_what_it_leaves_out():
    table = ShareTable(COLUMNS, (40, 10))
    evidence = gather_evidence(table, Window(20, 0, 20, 10), Window(10, 0, 20, 10))
    assert evidence.gain == pytest.approx(0.7 - 0.5)
    assert evidence.given_up == pytest.approx(0.2)
    assert evidence.left_out == pytest.approx(0.5)


def test_all_of_a_window_apart_is_given_up():
    table = ShareTable(COLUMNS, (40, 10))
    evidence = gather_evidence(table, Window(30, 0, 10, 10), Window(0, 0, 10, 10))
    assert evidence.given_up == pytest.approx(0.1)


def test_probability_is_a_half_where_the_score_is_zero():
    calibration = Calibration(intercept=1.0, log_gain=0.0, given_up=-10.0)
    assert calibration.probability(Evidence(gain=0.3, given_up=0.1, left_out=0.5)) == pytest.approx(
        0.5
    )


def test_probability_is_the_logistic_function_of_the_features():
    calibration = Calibration(intercept=0.25, log_gain=0.5, given_up=-1.0, log_left_out=-2.0)
    score = 0.25 + 0.5 * math.log(0.101) - 0.2 - 2 * math.log(0.401)
    expected = 1 / (1 + math.exp(-score))
    evidence = Evidence(gain=0.1, given_up=0.2, left_out=0.4)
    assert calibration.probability(evidence) == pytest.approx(expected)


@pytest.mark.parametrize("intercept", [-1e6, 1e6])
def test_probability_stays_between_0_and_1(intercept):
    calibration = Calibration(intercept=intercept, log_gain=1.0, given_up=0.0)
    assert 0 <= calibration.probability(Evidence(0.1, 0.0, 0.0)) <= 1


def test_a_loss_counts_as_no_gain():
    assert Evidence(-0.4, 0.5, 0.5).features() == Evidence(0.0, 0.5, 0.5).features()


def test_calibration_survives_the_metadata():
    calibration = Calibration(intercept=0.5, log_gain=1.5, given_up=-2.5, log_left_out=0.25)
    assert read_calibration({"calibration": calibration.to_json()}) == calibration


def test_calibration_of_a_file_of_before_has_no_weight_for_what_is_left_out():
    stored = {"intercept": 0.5, "log_gain": 1.5, "given_up": -2.5}
    assert read_calibration({"calibration": stored}) == Calibration(0.5, 1.5, -2.5, 0.0)


@pytest.mark.parametrize("value", [3, [1, 2, 3], {"intercept": 1.0}, {"intercept": float("nan")}])
def test_what_is_no_calibration_is_refused(value):
    with pytest.raises(ValueError, match="expected finite numbers"):
        read_calibration({"calibration": value})
