"""The score of a window beside its definition, taken cell by cell."""

import numpy as np
import pytest

from saliency.crop_windows.best_windows import centred
from saliency.crop_windows.search import best_place
from saliency.crop_windows.summed_area_table import ShareTable
from saliency.crop_windows.window_score import BALANCE_WEIGHT, MIDDLE_WEIGHT, WindowScore
from saliency.geometry import Window

PHOTO = (480, 320)


def score_by_hand(density, x, y, size):
    """Return the score of a window whose edges lie on cells of 10 x 10 pixels."""
    cells = density / density.sum()
    rows, columns = (slice(y // 10, (y + size[1]) // 10), slice(x // 10, (x + size[0]) // 10))
    inside = cells[rows, columns]
    across = (np.arange(columns.start, columns.stop) + 0.5) * 10
    down = (np.arange(rows.start, rows.stop) + 0.5) * 10
    share = inside.sum()
    centroid = (inside * across).sum() / share, (inside * down[:, None]).sum() / share
    middle = x + size[0] / 2, y + size[1] / 2
    aside = [(middle[axis] / PHOTO[axis] - 0.5) ** 2 for axis in (0, 1)]
    off = [((centroid[axis] - middle[axis]) / size[axis]) ** 2 for axis in (0, 1)]
    return share - MIDDLE_WEIGHT * sum(aside) - BALANCE_WEIGHT * sum(off)


@pytest.mark.parametrize(("x", "y"), [(0, 0), (100, 40), (240, 120), (280, 0)])
def test_score_is_that_of_the_definition(x, y):
    density = np.random.default_rng(0).random((32, 48))
    density[5:9, 30:40] += 20
    score = WindowScore(density, ShareTable(density, PHOTO))
    (found,) = score.scores(np.array([x]), np.array([y]), (200, 200)).ravel()
    assert found == pytest.approx(score_by_hand(density, x, y, (200, 200)), abs=1e-6)


def test_even_density_stays_in_the_middle():
    density = np.ones((32, 48))
    table = ShareTable(density, PHOTO)
    found = best_place(table, (200, 200), score=WindowScore(density, table))
    assert found == centred((200, 200), PHOTO)


def test_subject_is_put_in_the_middle_of_the_window_where_the_photo_has_room():
    density = np.full((32, 48), 1e-6)
    density[14:18, 32:36] = 1.0
    table = ShareTable(density, PHOTO)
    found = best_place(table, (200, 320), score=WindowScore(density, table))
    assert abs(found.x + 100 - 340) < 60  # density alone would do with any window that holds it
    assert found.x < 240
    assert table.share(found) == pytest.approx(1, abs=1e-2)


def test_mirrored_density_gets_the_mirrored_window():
    density = np.random.default_rng(1).random((32, 48)) ** 4
    windows = []
    for one in (density, density[:, ::-1]):
        table = ShareTable(one, PHOTO)
        windows.append(best_place(table, (200, 320), score=WindowScore(one, table)))
    assert windows[1] == Window(480 - 200 - windows[0].x, 0, 200, 320)
