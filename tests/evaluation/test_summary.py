import pytest

from saliency.evaluation.scoring import CEILING, METRICS, SceneScores, Scores
from saliency.evaluation.summary import compare, explained_share, summarise_rows


def scores_of(value):
    return Scores(*[None if value is None else float(value)] * len(METRICS))


def make_rows(**columns):
    """Rows with the values of each prediction; None where it says nothing."""
    values = zip(*columns.values(), strict=True)
    return [
        SceneScores(f"{number}", 9, dict(zip(columns, map(scores_of, row), strict=True)), {})
        for number, row in enumerate(values)
    ]


def test_figure_is_the_mean_with_its_interval():
    figure = summarise_rows(make_rows(a=[1, 2, 3, 6]), seed=0)["a"]["nss"]
    assert figure.mean == 3
    assert 1 < figure.low < 3 < figure.high < 6


def test_metric_that_says_nothing_has_no_figure():
    assert summarise_rows(make_rows(a=[1, 2], b=[None, None]), seed=0)["b"]["cc"] is None


def test_comparison_is_the_second_minus_the_first_on_the_same_images():
    rows = make_rows(a=[1, 5, 9], b=[1.5, 5.5, 9.5])
    figure = compare(rows, "a", "b", seed=0)["auc"]
    assert (figure.mean, figure.low, figure.high) == pytest.approx((0.5, 0.5, 0.5))


def test_explained_share_is_a_ratio_of_mean_gains():
    share = explained_share(make_rows(a=[1, 2, 3], **{CEILING: [2, 4, 6]}), "a", seed=0)
    assert (share.mean, share.low, share.high) == pytest.approx((0.5, 0.5, 0.5))


def test_prediction_without_gain_explains_no_share():
    assert explained_share(make_rows(a=[None, 2], **{CEILING: [2, 4]}), "a", seed=0) is None
    assert explained_share(make_rows(a=[1, 2]), "a", seed=0) is None


def test_single_image_has_no_interval():
    assert summarise_rows(make_rows(a=[1]), seed=0)["a"]["nss"].low is None
