import math
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from saliency.fixations.center_bias import (
    CenterBias,
    LeaveOneOut,
    Smoothing,
    choose_smoothing,
    fit_center_bias,
)
from saliency.fixations.scene import Scene

SMOOTHING = Smoothing(bandwidth=0.05, uniform_share=0.01)


def scene(name, fixations, *, width=80, height=60):
    fixations = np.asarray(fixations, dtype=np.float64)
    observers = np.zeros(len(fixations), dtype=np.int64)
    return Scene(name, Path(name), width, height, fixations, observers)


def gaussian_scenes(count, *, middle=(0.5, 0.5), spread=0.1, seed=0):
    """Scenes of various sizes whose fixations scatter about one relative place."""
    random = np.random.default_rng(seed)
    scenes = []
    for number in range(count):
        width, height = (int(side) for side in random.integers(50, 200, size=2))
        relative = np.clip(random.normal(middle, spread, size=(40, 2)), 0, 0.999)
        scenes.append(
            scene(f"set/{number}", relative * (width, height), width=width, height=height)
        )
    return scenes


@pytest.fixture(scope="module")
def scenes():
    return gaussian_scenes(12)


@pytest.mark.parametrize("size", [(48, 64), (600, 800), (37, 500), (3, 2), (1, 1)])
def test_log_density_sums_to_one_at_every_size(scenes, size):
    log_density = fit_center_bias(scenes, smoothing=SMOOTHING).log_density(size)
    assert log_density.shape == size
    assert logsumexp(log_density) == pytest.approx(0, abs=1e-10)


def test_grid_sums_to_one(scenes):
    center_bias = fit_center_bias(scenes, smoothing=SMOOTHING, grid=(20, 30))
    assert center_bias.log_grid.shape == (20, 30)
    assert logsumexp(center_bias.log_grid) == pytest.approx(0, abs=1e-12)


def test_no_place_is_impossible_however_far_from_all_fixations():
    corner = scene("set/corner", [[0.0, 0.0]] * 100)
    smoothing = Smoothing(bandwidth=0.01, uniform_share=1e-3)
    log_grid = fit_center_bias([corner], smoothing=smoothing).log_grid
    assert log_grid.min() == pytest.approx(math.log(1e-3 / log_grid.size), abs=1e-9)


def test_even_density_stays_even():
    columns, rows = np.meshgrid(np.arange(64) + 0.5, np.arange(48) + 0.5)
    everywhere = np.stack([columns.ravel(), rows.ravel()], axis=1)
    even = scene("set/even", everywhere, width=64, height=48)
    log_density = fit_center_bias([even], smoothing=SMOOTHING).log_density((90, 70))
    np.testing.assert_allclose(log_density, -math.log(90 * 70), atol=1e-9)


def test_density_is_a_gaussian_around_a_single_fixation():
    middle = scene("set/middle", [[30.5, 30.5]], width=61, height=61)
    smoothing = Smoothing(bandwidth=0.08, uniform_share=1e-9)
    log_grid = fit_center_bias([middle], smoothing=smoothing, grid=(61, 61)).log_grid
    along = norm.pdf(np.arange(61), loc=30, scale=0.08 * 61)
    expected = np.outer(along, along) / np.outer(along, along).sum()
    # scipy cuts the kernel off at four deviations, which moves 6e-5 of the mass.
    np.testing.assert_allclose(np.exp(log_grid), expected, atol=1e-3 * expected.max())


def test_position_is_relative_to_the_photo_s_own_size():
    wide = scene("set/wide", [[300.0, 10.0]], width=400, height=40)
    tall = scene("set/tall", [[30.0, 100.0]], width=40, height=400)
    one, other = (fit_center_bias([s], smoothing=SMOOTHING).log_grid for s in (wide, tall))
    np.testing.assert_array_equal(one, other)


def test_every_image_weighs_the_same_however_many_its_fixations():
    left, right = scene("set/left", [[10.0, 30.0]] * 99), scene("set/right", [[70.0, 30.0]])
    log_grid = fit_center_bias([left, right], smoothing=SMOOTHING).log_grid
    assert np.exp(log_grid[:, :32]).sum() == pytest.approx(0.5, abs=1e-9)


def test_symmetric_center_bias_equals_its_mirror_image():
    aside = gaussian_scenes(5, middle=(0.2, 0.5))
    log_grid = fit_center_bias(aside, smoothing=SMOOTHING, is_symmetric=True).log_grid
    np.testing.assert_allclose(log_grid, log_grid[:, ::-1], atol=1e-12)
    assert not np.allclose(log_grid, fit_center_bias(aside, smoothing=SMOOTHING).log_grid)


def test_resampling_is_that_of_torch(scenes):
    torch = pytest.importorskip("torch")
    center_bias = fit_center_bias(scenes, smoothing=SMOOTHING)
    grid = torch.tensor(center_bias.log_grid)[None, None]
    resized = torch.nn.functional.interpolate(
        grid, size=(201, 30), mode="bilinear", align_corners=False
    )
    expected = torch.log_softmax(resized.flatten(), dim=0).view(201, 30).numpy()
    np.testing.assert_allclose(center_bias.log_density((201, 30)), expected, atol=1e-10)


@pytest.mark.parametrize("left_out", [0, 5, 11])
def test_leaving_one_out_equals_fitting_the_others(scenes, left_out):
    others = [s for number, s in enumerate(scenes) if number != left_out]
    left = LeaveOneOut(scenes, SMOOTHING).without(scenes[left_out].name)
    expected = fit_center_bias(others, smoothing=SMOOTHING).log_grid
    np.testing.assert_allclose(left.log_grid, expected, atol=1e-9)


def test_chosen_smoothing_is_the_likeliest_by_brute_force(scenes):
    bandwidths, shares, grid = (0.02, 0.06, 0.2), (0.01, 0.2), (48, 64)

    def likelihood(smoothing):
        total = 0.0
        for number, left_out in enumerate(scenes):
            others = scenes[:number] + scenes[number + 1 :]
            log_grid = fit_center_bias(others, smoothing=smoothing, grid=grid).log_grid
            relative = left_out.fixations / (left_out.width, left_out.height)
            columns, rows = np.floor(relative * (64, 48)).astype(int).T
            total += log_grid[rows, columns].mean()
        return total

    candidates = [Smoothing(b, s) for b in bandwidths for s in shares]
    chosen = choose_smoothing(scenes, grid=grid, bandwidths=bandwidths, uniform_shares=shares)
    assert chosen == max(candidates, key=likelihood)


def test_more_scattered_fixations_ask_for_a_wider_smoothing():
    tight, wide = gaussian_scenes(6, spread=0.03), gaussian_scenes(6, spread=0.25)
    assert choose_smoothing(tight).bandwidth < choose_smoothing(wide).bandwidth


@pytest.mark.parametrize("values", [(0.0, 0.1), (math.nan, 0.1), (0.1, 0.0), (0.1, 1.1)])
def test_smoothing_that_makes_places_impossible_is_refused(values):
    with pytest.raises(ValueError, match="expected a"):
        Smoothing(*values)


def test_grid_with_an_impossible_place_is_refused():
    with pytest.raises(ValueError, match="finite"):
        CenterBias(np.array([[0.0, -math.inf]]))


def test_image_without_fixations_is_refused(scenes):
    empty = scene("set/empty", np.empty((0, 2)))
    with pytest.raises(ValueError, match="set/empty: expected at least one fixation"):
        fit_center_bias([*scenes, empty], smoothing=SMOOTHING)


def test_two_scenes_of_one_name_are_refused(scenes):
    with pytest.raises(ValueError, match="different names"):
        LeaveOneOut([*scenes, scenes[0]], SMOOTHING)


def test_single_scene_has_no_others(scenes):
    with pytest.raises(ValueError, match="at least 2 scenes"):
        LeaveOneOut(scenes[:1], SMOOTHING)
