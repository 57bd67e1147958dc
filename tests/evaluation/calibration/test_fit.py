import hashlib
from pathlib import Path

import numpy as np
import pytest
from runtime_fixtures import METADATA, write_model
from training_fixtures import write_spots

from saliency.crop_windows.confidence import Calibration, Evidence
from saliency.datasets.layouts.registry import read_dataset
from saliency.errors import CheckpointError
from saliency.evaluation.calibration.fit import (
    Case,
    cross_validate,
    fit_calibration,
    gather_cases,
    outcomes_of,
    store_calibration,
)
from saliency.evaluation.crop_quality import kept_share
from saliency.fixations.scene import Scene
from saliency.geometry import Window
from saliency.prediction.predictor import Predictor

TRUE = Calibration(intercept=3.0, log_gain=1.0, given_up=-4.0, log_left_out=0.5)


def draw_cases(count, *, seed=0, photos=None):
    """Return cases whose outcomes follow the calibration `TRUE`."""
    rng = np.random.default_rng(seed)
    cases = []
    for number in range(count):
        evidence = Evidence(*rng.uniform(0, 0.3, size=3).tolist())
        is_preferred = bool(rng.random() < TRUE.probability(evidence))
        cases.append(Case(str(number % (photos or count)), evidence, is_preferred))
    return cases


def test_fit_finds_the_probabilities_that_the_outcomes_came_from():
    cases = draw_cases(4000)
    fitted = fit_calibration(cases)
    for gain, given_up in [(0.05, 0.0), (0.1, 0.2), (0.25, 0.1)]:
        evidence = Evidence(gain, given_up, left_out=0.15)
        # Four standard errors of a share among the thousand cases that lie about as near.
        assert fitted.probability(evidence) == pytest.approx(TRUE.probability(evidence), abs=0.06)


def test_outcomes_that_can_be_told_apart_leave_the_weights_finite():
    cases = [
        Case(str(gain), Evidence(gain, 0.0, 0.5), gain > 0.1) for gain in (0.02, 0.05, 0.15, 0.3)
    ]
    fitted = fit_calibration(cases)
    assert (
        fitted.probability(Evidence(0.3, 0.0, 0.5))
        > 0.5
        > fitted.probability(Evidence(0.02, 0.0, 0.5))
    )


def test_fit_to_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one case"):
        fit_calibration([])


def test_a_photo_is_never_predicted_from_its_own_outcomes():
    same = Evidence(gain=0.1, given_up=0.0, left_out=0.5)
    cases = [Case("liked", same, True)] * 20 + [Case("disliked", same, False)] * 20
    probabilities = cross_validate(cases)
    assert (probabilities[:20] < 0.1).all()
    assert (probabilities[20:] > 0.9).all()


def test_every_case_gets_a_probability_and_a_seed_draws_the_same_parts():
    cases = draw_cases(60, photos=7)
    first = cross_validate(cases, folds=3)
    assert ((first > 0) & (first < 1)).all()
    np.testing.assert_array_equal(first, cross_validate(cases, folds=3))


def test_cross_validation_over_one_photo_is_refused():
    with pytest.raises(ValueError, match="at least 2 photos, got 1"):
        cross_validate(draw_cases(5, photos=1))


def test_kept_share_counts_the_near_edges_and_not_the_far_ones():
    spots = np.array([[10.0, 0.0], [19.9, 5.0], [20.0, 5.0], [9.9, 5.0]])
    scene = Scene("set/a", Path("a"), 40, 10, spots, np.zeros(4, np.int64))
    assert kept_share(scene, Window(10, 0, 10, 10)) == 0.5


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "stand-in.onnx")


def test_windows_of_a_model_that_sees_what_people_see_are_preferred(model, tmp_path):
    scenes = read_dataset(f"folder:{write_spots(tmp_path / 'spots', count=6)}").scenes
    cases = gather_cases(Predictor(model, threads=1), scenes)
    assert {case.scene for case in cases} == {scene.name for scene in scenes}
    assert np.mean([case.evidence.gain > 0 for case in cases]) > 0.85
    sure = [case for case in cases if case.evidence.gain > 0.2]
    assert len(sure) > 20
    assert outcomes_of(sure).mean() > 0.95


def test_stored_calibration_is_read_by_the_predictor_and_changes_nothing_else(tmp_path):
    path = write_model(tmp_path / "model.onnx")
    photo = np.random.default_rng(0).integers(0, 256, size=(60, 80, 3), dtype=np.uint8)
    before = Predictor(path).density(photo)
    store_calibration(path, TRUE, notes={"photos": 3})
    after = Predictor(path)
    assert after.calibration == TRUE
    np.testing.assert_array_equal(after.density(photo), before)
    assert after.metadata == METADATA | {"calibration": TRUE.to_json() | {"photos": 3}}


def test_checksum_beside_the_model_is_written_anew(tmp_path):
    path = write_model(tmp_path / "model.onnx")
    checksum = tmp_path / "model.onnx.sha256"
    checksum.write_text(f"{'0' * 64}  model.onnx\n")
    store_calibration(path, TRUE, notes={})
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert checksum.read_text() == f"{digest}  model.onnx\n"


def test_no_checksum_is_made_where_there_is_none(tmp_path):
    path = write_model(tmp_path / "model.onnx")
    store_calibration(path, TRUE, notes={})
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


def test_file_that_is_no_model_is_refused_and_stays(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_text("hello")
    with pytest.raises(CheckpointError, match=r"expected an \.onnx model"):
        store_calibration(path, TRUE, notes={})
    assert path.read_text() == "hello"


def test_model_of_another_kind_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no saliency metadata"):
        store_calibration(write_model(tmp_path / "other.onnx", None), TRUE, notes={})
