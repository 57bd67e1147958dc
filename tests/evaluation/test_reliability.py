import numpy as np
import pytest

from saliency.evaluation.reliability import LEVEL_COUNT, shares_by_level


def drawn(density, count=20_000):
    random = np.random.default_rng(0)
    places = random.choice(density.size, count, p=density.ravel())
    return np.stack([places % density.shape[1], places // density.shape[1]], axis=1) + 0.5


@pytest.fixture(scope="module")
def density():
    density = np.exp(2 * np.random.default_rng(1).normal(size=(60, 80)))
    return density / density.sum()


def test_fixations_drawn_from_the_density_lie_evenly_over_its_levels(density):
    shares = shares_by_level(np.log(density), drawn(density))
    assert sum(shares) == pytest.approx(1)
    assert shares == pytest.approx([1 / LEVEL_COUNT] * LEVEL_COUNT, abs=0.01)


def test_density_that_is_too_sure_has_more_fixations_where_it_is_least(density):
    sharper = density**2 / (density**2).sum()
    shares = shares_by_level(np.log(sharper), drawn(density))
    assert shares[-1] > 3 / LEVEL_COUNT


def test_fixations_at_the_densest_pixel_are_in_the_first_level():
    density = np.full((20, 20), 0.98 / 399)
    density[3, 4] = 0.02
    shares = shares_by_level(np.log(density), np.array([[4.5, 3.5]]))
    assert shares[0] == 1
