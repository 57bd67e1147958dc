import numpy as np
import pytest

from saliency.evaluation import bootstrap
from saliency.evaluation.bootstrap import spread_of_mean, spread_of_ratio


def test_spread_of_a_mean_is_that_of_the_normal_distribution_for_many_images():
    values = np.random.default_rng(0).normal(size=400)
    error, low, high = spread_of_mean(values, seed=1)
    expected = values.std() / 20
    assert error == pytest.approx(expected, rel=0.05)
    assert low == pytest.approx(values.mean() - 1.96 * expected, abs=0.1 * expected)
    assert high == pytest.approx(values.mean() + 1.96 * expected, abs=0.1 * expected)


def test_means_of_a_ratio_are_over_the_same_images():
    whole = np.random.default_rng(0).uniform(1, 2, size=50)
    error, low, high = spread_of_ratio(0.25 * whole, whole, seed=0)
    assert (low, high) == pytest.approx((0.25, 0.25))
    assert error == pytest.approx(0, abs=1e-12)


def test_seed_decides(monkeypatch):
    values = np.random.default_rng(0).normal(size=30)
    monkeypatch.setattr(bootstrap, "RESAMPLE_COUNT", 50)
    first = spread_of_mean(values, seed=3)
    assert first == spread_of_mean(values, seed=3)
    assert first != spread_of_mean(values, seed=4)


def test_equal_values_have_no_spread():
    assert spread_of_mean(np.full(5, 0.5), seed=0) == (0.0, 0.5, 0.5)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_images_are_refused(count):
    with pytest.raises(ValueError, match="at least two images"):
        spread_of_mean(np.ones(count), seed=0)
