import numpy as np
import pytest

from saliency.crop_windows.confidence import Evidence
from saliency.evaluation.calibration.fit import Case
from saliency.evaluation.calibration.report import (
    Bin,
    brier_score,
    describe_fit,
    reliability,
    summarise_fit,
)

PROBABILITIES = np.array([0.02, 0.93, 0.97, 1.0])
OUTCOMES = np.array([False, True, False, True])


def case(scene, is_preferred):
    return Case(scene, Evidence(gain=0.1, given_up=0.0, left_out=0.5), is_preferred)


CASES = [case("a", False), case("a", True), case("b", False), case("c", True)]


def test_brier_score_is_the_mean_squared_error():
    expected = (0.02**2 + 0.07**2 + 0.97**2) / 4
    assert brier_score(PROBABILITIES, OUTCOMES) == pytest.approx(expected)


def test_reliability_has_a_bin_for_each_tenth_with_cases():
    low, high = reliability(PROBABILITIES, OUTCOMES)
    assert low == Bin(0.0, 0.1, said=0.02, seen=0.0, count=1)
    assert (high.low, high.high, high.count) == (0.9, 1.0, 3)
    assert (high.said, high.seen) == (pytest.approx(2.9 / 3), pytest.approx(2 / 3))


def test_summary_compares_with_the_same_probability_for_all():
    summary = summarise_fit(CASES, PROBABILITIES)
    assert (summary["photos"], summary["windows"]) == (3, 4)
    assert summary["brier_of_base_rate"] == 0.25
    assert summary["brier"] == pytest.approx(brier_score(PROBABILITIES, OUTCOMES), abs=1e-4)


def test_description_shows_what_was_said_and_what_was_seen():
    *_, low, high = describe_fit(CASES, PROBABILITIES).splitlines()
    assert low.split()[:6] == ["0%", "to", "10%", "2.0%", "0.0%", "1"]
    assert high.split()[:6] == ["90%", "to", "100%", "96.7%", "66.7%", "3"]
    assert high.endswith("#" * 27 + " " * 12 + "|")
