import numpy as np
import pytest

from saliency.crop_windows.composition import corner_for, find_subject
from saliency.geometry import Window


def two_spots():
    """A density of 20 by 10 cells with a strong spot on the left and a weak one on the right."""
    density = np.full((10, 20), 1e-4)
    density[2:4, 3:5] = 1.0
    density[6:8, 15:17] = 0.4
    return density


def test_subject_is_the_middle_of_the_strongest_spot_in_photo_pixels():
    found = find_subject(two_spots(), Window(0, 0, 400, 200), (400, 200))
    assert found == pytest.approx((80, 60))


def test_subject_is_looked_for_in_the_window_only():
    found = find_subject(two_spots(), Window(200, 0, 200, 200), (400, 200))
    assert found == pytest.approx((320, 140))


def test_spot_as_strong_that_lies_apart_is_another_subject():
    density = two_spots()
    density[6:8, 15:17] = 0.9
    assert find_subject(density, Window(0, 0, 400, 200), (400, 200)) == pytest.approx((80, 60))


def test_window_smaller_than_a_cell_has_a_subject():
    assert find_subject(np.ones((2, 2)), Window(399, 0, 1, 1), (400, 200)) == pytest.approx(
        (300, 50)
    )


@pytest.mark.parametrize(
    ("place", "corner"),
    [
        ("left", (200, 50)),
        ("right", (100, 50)),
        ("top", (180, 80)),
        ("bottom", (180, 20)),
        ("center", (150, 50)),
        ("top-left", (200, 80)),
        ("top-right", (100, 80)),
        ("bottom-left", (200, 20)),
        ("bottom-right", (100, 20)),
        ("thirds", (200, 20)),
    ],
)
def test_corner_brings_the_subject_to_its_place(place, corner):
    assert corner_for(place, (300.0, 140.0), Window(180, 50, 300, 180)) == corner
