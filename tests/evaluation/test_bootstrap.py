import numpy as np
import pytest

from saliency.evaluation import bootstrap
from saliency.evaluation.bootstrap import interval, resampled_means


def test_interval_of_a_mean_is_that_of_the_normal_distribution_for_many_images():
    values = np.random.default_rng(0).normal(size=400)
    low, high = interval(resampled_means(values[:, None], seed=1)[:, 0])
    error = values.std() / 20
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_columns_are_resampled_together():
    first = np.random.default_rng(0).normal(size=50)
    means = resampled_means(np.stack([first, first + 0.25], axis=1), seed=0, count=100)
    np.testing.assert_allclose(means[:, 1] - means[:, 0], 0.25)


def test_seed_decides_and_batches_do_not_show(monkeypatch):
    table = np.random.default_rng(0).normal(size=(30, 2))
    first = resampled_means(table, seed=3, count=50)
    assert not np.array_equal(first, resampled_means(table, seed=4, count=50))
    monkeypatch.setattr(bootstrap, "VALUES_AT_ONCE", 210)
    np.testing.assert_allclose(resampled_means(table, seed=3, count=50), first)


def test_no_image_is_refused():
    with pytest.raises(ValueError, match="at least one image"):
        resampled_means(np.empty((0, 2)), seed=0)
