"""Facts about scenes and the frame of coordinates their fixations are in."""

from pathlib import Path

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from saliency.fixations.density import empirical_density
from saliency.fixations.scene import Scene, bring_inside, pixel_indexes, rescale_fixations


def make_scene(fixations, observers=None, *, degree_px=None):
    fixations = np.array(fixations, np.float64)
    if observers is None:
        observers = np.zeros(len(fixations), np.int64)
    return Scene("toy/a.png", Path("a.png"), 8, 4, fixations, observers, degree_px)


def bring(points, *, first_pixel=0.5, width=100, height=50):
    points = np.array(points, np.float64)
    return bring_inside(points, width=width, height=height, first_pixel=first_pixel)


@pytest.mark.parametrize("fixation", [(8.0, 1.0), (1.0, 4.0), (-0.1, 1.0), (np.nan, 1.0)])
def test_scene_refuses_a_fixation_that_is_not_inside(fixation):
    with pytest.raises(ValueError, match=r"toy/a\.png: fixation .* lies outside the 8x4 image"):
        make_scene([(0.0, 0.0), fixation])


def test_scene_refuses_another_number_of_observers_than_of_fixations():
    # Where shapes are checked at run time, that check comes first.
    with pytest.raises((ValueError, TypeCheckError), match="observer"):
        make_scene([(0, 0), (1, 1)], np.zeros(3, np.int64))


def test_scene_takes_a_degree_for_three_percent_of_the_width_unless_told():
    assert make_scene([(0, 0)]).sigma_px == pytest.approx(0.24)
    assert make_scene([(0, 0)], degree_px=24.0).sigma_px == 24.0


def test_matlab_coordinates_of_the_first_and_last_pixel_become_their_middles():
    inside, moved, far = bring([(1, 1), (100, 50)], first_pixel=1.0)
    np.testing.assert_array_equal(inside, [(0.5, 0.5), (99.5, 49.5)])
    assert len(moved) == len(far) == 0


def test_fixations_just_outside_move_to_the_border_pixel_and_are_told():
    inside, moved, far = bring([(-4, 10), (103, 55), (20, 30), (100, 10)])
    np.testing.assert_array_equal(inside, [(0.5, 10), (99.5, 49.5), (20, 30), (99.5, 10)])
    assert (moved.tolist(), far.tolist()) == ([0, 1, 3], [])


@pytest.mark.parametrize("fault", [(-5.1, 10.0), (10.0, 55.1), (np.nan, 10.0), (10.0, np.inf)])
def test_fixation_far_outside_or_no_number_is_told(fault):
    _, moved, far = bring([(10, 10), fault])
    assert (moved.tolist(), far.tolist()) == ([], [1])


def test_no_fixations_stay_none():
    inside, moved, far = bring(np.empty((0, 2)))
    assert inside.shape == (0, 2)
    assert len(moved) == len(far) == 0


def test_fixation_has_the_index_of_the_pixel_under_it():
    points = np.array([(0.0, 0.0), (0.99, 1.0), (7.999, 3.5), (8.0, 4.0)])
    indexes = pixel_indexes(points, width=8, height=4)
    np.testing.assert_array_equal(indexes, [(0, 0), (0, 1), (7, 3), (7, 3)])


def test_fixations_keep_their_relative_place_on_a_resized_photo():
    moved = rescale_fixations(np.array([(4.0, 1.0)]), from_size=(8, 4), to_size=(16, 2))
    np.testing.assert_array_equal(moved, [(8.0, 0.5)])


def test_empirical_density_sums_to_one_even_at_the_border():
    density = empirical_density(np.array([(0.0, 0.0)]), width=40, height=30, sigma_px=3.0)
    assert density.shape == (30, 40)
    assert density.sum() == pytest.approx(1.0)


def test_empirical_density_is_the_sum_of_a_gaussian_for_each_fixation():
    fixations = np.array([(20.2, 15.7), (31.0, 12.0), (31.0, 12.0)])
    density = empirical_density(fixations, width=60, height=40, sigma_px=2.0)
    columns, rows = np.meshgrid(np.arange(60), np.arange(40))
    by_hand = np.zeros((40, 60))
    for column, row in [(20, 15), (31, 12), (31, 12)]:
        by_hand += np.exp(-((columns - column) ** 2 + (rows - row) ** 2) / (2 * 2.0**2))
    by_hand /= by_hand.sum()
    # The filter leaves out what is beyond four deviations: 1e-4 of the mass of each Gaussian.
    np.testing.assert_allclose(density, by_hand, atol=1e-4 * by_hand.max() * 4)


def test_empirical_density_of_no_fixations_is_refused():
    with pytest.raises(ValueError, match="at least one fixation"):
        empirical_density(np.empty((0, 2)), width=4, height=4, sigma_px=1.0)


def test_empirical_density_refuses_a_blur_of_nothing():
    with pytest.raises(ValueError, match="sigma_px above 0"):
        empirical_density(np.array([(1.0, 1.0)]), width=4, height=4, sigma_px=0.0)
