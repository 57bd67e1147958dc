import numpy as np
from PIL import Image

from saliency.crop_windows.confidence import Evidence
from saliency.evaluation.calibration.fit import Case
from saliency.evaluation.calibration.plot import draw_reliability


def drawn(probabilities, outcomes, monkeypatch):
    """Return the points that are plotted: said, seen, and how far the bars reach down and up."""
    points = {}

    def note(_, said, seen, *, yerr, **__):
        points.update(said=said, seen=seen, down=yerr[0], up=yerr[1])

    monkeypatch.setattr("matplotlib.axes.Axes.errorbar", note)
    evidence = Evidence(gain=0.1, given_up=0.0, left_out=0.5)
    cases = [Case(f"photo {index // 2}", evidence, one) for index, one in enumerate(outcomes)]
    draw_reliability(cases, np.array(probabilities))
    return points


def test_each_tenth_is_a_point_of_what_was_said_and_what_was_seen(monkeypatch):
    points = drawn([0.1, 0.12, 0.9, 1.0], [False, False, True, False], monkeypatch)
    np.testing.assert_allclose(points["said"], [0.11, 0.95])
    np.testing.assert_allclose(points["seen"], [0.0, 0.5])


def test_bar_reaches_over_what_photos_of_one_tenth_have(monkeypatch):
    outcomes = [True, True, False, False]  # of two photos, all agree in one and none in the other
    points = drawn([0.5] * 4, outcomes, monkeypatch)
    np.testing.assert_allclose([points["down"], points["up"]], [[0.5], [0.5]])


def test_bar_of_one_photo_has_no_length(monkeypatch):
    points = drawn([0.5] * 2, [True, False], monkeypatch)
    np.testing.assert_allclose([points["down"], points["up"]], [[0.0], [0.0]], atol=1e-12)


def test_picture_is_a_png(tmp_path):
    evidence = Evidence(gain=0.1, given_up=0.0, left_out=0.5)
    cases = [Case("a", evidence, True), Case("b", evidence, False)]
    (tmp_path / "plot.png").write_bytes(draw_reliability(cases, np.array([0.9, 0.2])))
    with Image.open(tmp_path / "plot.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (500, 540))
