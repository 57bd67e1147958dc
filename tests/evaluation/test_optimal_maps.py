"""Each map scores best by its metric, on fixations that are drawn from the density itself."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from saliency.evaluation import metrics
from saliency.evaluation.optimal_maps import blurred, one_map, optimal_maps
from saliency.fixations.density import empirical_density

WIDTH, HEIGHT, SIGMA_PX, COUNT = 64, 48, 2.0, 40


@pytest.fixture(scope="module")
def density():
    """A broad blob with a narrow peak in it."""
    columns, rows = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    blob = np.exp(-((columns - 30) ** 2 + (rows - 20) ** 2) / 200)
    peak = np.exp(-((columns - 40) ** 2 + (rows - 30) ** 2) / 8)
    density = blob + 3 * peak + 0.01
    return density / density.sum()


@pytest.fixture(scope="module")
def baseline():
    """A center bias, wide."""
    columns, rows = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    log_density = -((columns - 32) ** 2 + (rows - 24) ** 2) / 300
    return log_density - np.log(np.exp(log_density).sum())


@pytest.fixture(scope="module")
def maps(density, baseline):
    return optimal_maps(
        np.log(density), baseline=baseline, sigma_px=SIGMA_PX, fixation_count=float(COUNT)
    )


def drawn(density, *, seed, count=COUNT):
    """Return fixations that a density makes."""
    random = np.random.default_rng(seed)
    places = random.choice(density.size, count, p=density.ravel())
    return np.stack([places % WIDTH, places // WIDTH], axis=1) + 0.5


def mean_score(metric, saliency_map, density, seeds=60):
    scores = []
    for seed in range(seeds):
        fixations = drawn(density, seed=seed)
        empirical = empirical_density(fixations, width=WIDTH, height=HEIGHT, sigma_px=SIGMA_PX)
        scores.append(metric(saliency_map, empirical))
    return np.mean(scores)


@pytest.mark.parametrize(
    ("metric", "field", "sign"),
    [
        (metrics.cc, "expected", 1),
        (metrics.kl_divergence, "expected", -1),
        (metrics.similarity, "similarity", 1),
    ],
)
def test_map_scores_better_than_those_of_other_metrics(maps, density, metric, field, sign):
    best = sign * mean_score(metric, getattr(maps, field), density)
    others = [maps.nss] + [maps.expected] * (field == "similarity")
    assert all(best > sign * mean_score(metric, other, density) for other in others)


def test_similarity_map_is_a_density_near_the_best_by_search(maps, density):
    assert maps.similarity.sum() == pytest.approx(1)
    best = mean_score(metrics.similarity, maps.similarity, density)
    for sharpness in (0.7, 1.4):  # flatter and sharper than it
        changed = maps.similarity**sharpness
        assert mean_score(metrics.similarity, changed, density) < best


def test_shuffled_auc_is_best_for_the_density_divided_by_the_baseline(maps, density, baseline):
    others = drawn(np.exp(baseline), seed=1000, count=3000)
    fixations = drawn(density, seed=1001, count=3000)
    best = metrics.shuffled_auc(maps.shuffled_auc, fixations, non_fixations=others)
    assert best > metrics.shuffled_auc(density, fixations, non_fixations=others)


def test_expected_map_is_what_fixations_blur_to_on_average(maps, density):
    fixations = drawn(density, seed=5, count=100_000)
    empirical = empirical_density(fixations, width=WIDTH, height=HEIGHT, sigma_px=SIGMA_PX)
    assert metrics.cc(maps.expected, empirical) > 0.999


def test_blur_keeps_the_sum_and_is_that_of_the_empirical_density():
    point = np.zeros((HEIGHT, WIDTH))
    point[5, 60] = 1
    expected = empirical_density(
        np.array([[60.5, 5.5]]), width=WIDTH, height=HEIGHT, sigma_px=SIGMA_PX
    )
    np.testing.assert_allclose(blurred(point, SIGMA_PX), expected, atol=1e-12)


def test_blur_on_cells_is_that_on_pixels():
    log_density = np.random.default_rng(0).normal(size=(301, 402))
    density = np.exp(log_density) / np.exp(log_density).sum()
    exact = gaussian_filter(density, 24, mode="constant")
    exact /= exact.sum()
    np.testing.assert_allclose(blurred(density, 24.0), exact, atol=0.01 * exact.max())


def test_one_map_stands_for_all(density):
    assert all(one is density for one in vars(one_map(density)).values())
