import math
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saliency.errors import DatasetError, PhotoError
from saliency.evaluation import metrics
from saliency.evaluation import reference as reference_module
from saliency.evaluation.map_folder import MapFolder
from saliency.evaluation.optimal_maps import blurred
from saliency.evaluation.reference import DatasetReference
from saliency.evaluation.scoring import (
    CENTER_BIAS,
    METRICS,
    UNIFORM,
    Scores,
    evaluate_map,
    evaluate_scene,
    evaluate_scenes,
    summarise,
)
from saliency.fixations.center_bias import Smoothing, fit_center_bias
from saliency.fixations.density import empirical_density
from saliency.fixations.scene import Scene

SMOOTHING = Smoothing(bandwidth=0.05, uniform_share=0.01)


def make_scenes(folder, *, count=5, seed=0):
    """Write photos of various sizes, with fixations around a place of its own in each."""
    random = np.random.default_rng(seed)
    scenes = []
    for number in range(count):
        width, height = (int(side) for side in random.integers(40, 90, size=2))
        path = Path(folder) / f"{number}.png"
        pixels = random.integers(0, 256, size=(height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        relative = np.clip(random.normal(random.uniform(0.3, 0.7, 2), 0.1, (20, 2)), 0, 0.999)
        fixations = relative * (width, height)
        observers = np.zeros(20, dtype=np.int64)
        scenes.append(Scene(f"set/{number}.png", path, width, height, fixations, observers))
    return scenes


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return make_scenes(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="module")
def reference(scenes):
    return DatasetReference(scenes, smoothing=SMOOTHING)


def brightness(photo):
    """Predict more fixations where the photo is brighter."""
    scores = photo.astype(np.float64).mean(axis=2) / 50
    return scores - math.log(np.exp(scores).sum())


def scores_of(value):
    return Scores(*[float(value)] * len(METRICS))


def test_baseline_is_the_center_bias_of_the_other_images(scenes, reference):
    others = fit_center_bias([*scenes[:2], *scenes[3:]], smoothing=SMOOTHING)
    expected = others.log_density((scenes[2].height, scenes[2].width))
    np.testing.assert_allclose(reference.of(scenes[2]).baseline, expected, atol=1e-9)


def test_non_fixations_are_all_fixations_of_the_other_images_at_the_same_relative_place(
    scenes, reference
):
    size = np.array([scenes[2].width, scenes[2].height])
    others = [s.fixations / (s.width, s.height) * size for s in (*scenes[:2], *scenes[3:])]
    np.testing.assert_allclose(
        reference.of(scenes[2]).non_fixations, np.concatenate(others), rtol=1e-12
    )


def test_where_there_are_too_many_non_fixations_the_seed_draws_them(scenes, monkeypatch):
    monkeypatch.setattr(reference_module, "NON_FIXATION_COUNT", 15)

    def drawn(seed):
        return DatasetReference(scenes, seed=seed, smoothing=SMOOTHING).of(scenes[0]).non_fixations

    assert drawn(1).shape == (15, 2)
    np.testing.assert_array_equal(drawn(1), drawn(1))
    assert not np.array_equal(drawn(1), drawn(2))


def test_each_metric_gets_its_map(scenes, reference):
    scene, judge = scenes[1], reference.of(scenes[1])
    log_density = brightness(np.asarray(Image.open(scene.path)))
    density, fixations = np.exp(log_density), scene.fixations
    scores = evaluate_scene(log_density, judge)
    assert scores.information_gain_bits == pytest.approx(
        metrics.information_gain_bits(log_density, fixations, baseline=judge.baseline)
    )
    assert scores.auc == pytest.approx(metrics.auc(density, fixations))
    assert scores.judd_auc == pytest.approx(metrics.judd_auc(density, fixations))
    assert scores.nss == pytest.approx(metrics.nss(density, fixations))
    against_others = density / np.exp(judge.baseline)
    assert scores.shuffled_auc == pytest.approx(
        metrics.shuffled_auc(against_others, fixations, non_fixations=judge.non_fixations)
    )
    expected = blurred(density, scene.sigma_px)
    assert scores.cc == pytest.approx(metrics.cc(expected, judge.empirical))
    assert scores.kl_divergence == pytest.approx(metrics.kl_divergence(expected, judge.empirical))


def test_density_itself_is_scored_by_all_metrics_when_asked(scenes, reference):
    scene, judge = scenes[1], reference.of(scenes[1])
    log_density = brightness(np.asarray(Image.open(scene.path)))
    density, fixations = np.exp(log_density), scene.fixations
    empirical = empirical_density(
        fixations, width=scene.width, height=scene.height, sigma_px=scene.sigma_px
    )
    assert astuple(evaluate_scene(log_density, judge, is_optimal=False)) == pytest.approx(
        (
            metrics.information_gain_bits(log_density, fixations, baseline=judge.baseline),
            metrics.auc(density, fixations),
            metrics.judd_auc(density, fixations),
            metrics.shuffled_auc(density, fixations, non_fixations=judge.non_fixations),
            metrics.nss(density, fixations),
            metrics.cc(density, empirical),
            metrics.kl_divergence(density, empirical),
            metrics.similarity(density, empirical),
        ),
        abs=1e-12,
    )


def test_saliency_map_is_scored_as_the_density_itself_without_information_gain(scenes, reference):
    judge = reference.of(scenes[0])
    of_map = astuple(evaluate_map(3 * np.exp(judge.baseline), judge))
    of_density = astuple(evaluate_scene(judge.baseline, judge, is_optimal=False))
    assert of_map[0] is None
    assert of_map[1:] == pytest.approx(of_density[1:])


def test_empirical_density_scores_best_against_itself(scenes, reference):
    judge = reference.of(scenes[0])
    log_density = np.log(np.maximum(judge.empirical, 1e-300))
    scores = evaluate_scene(log_density, judge, is_optimal=False)
    assert (scores.cc, scores.similarity) == pytest.approx((1, 1), abs=1e-9)
    assert scores.kl_divergence == pytest.approx(0, abs=1e-9)
    assert scores.information_gain_bits > 0


def test_prediction_of_another_size_is_refused(scenes, reference):
    with pytest.raises(ValueError, match="expected a prediction of shape"):
        evaluate_scene(np.full((3, 3), -math.log(9)), reference.of(scenes[0]))


def test_prediction_that_does_not_sum_to_one_is_refused(scenes, reference):
    judge = reference.of(scenes[0])
    with pytest.raises(ValueError, match="sums to 1, got a sum of 2"):
        evaluate_scene(judge.baseline + math.log(2), judge)


def test_scenes_come_in_order_with_model_and_baselines(scenes, reference):
    rows = list(evaluate_scenes({"model": brightness}, scenes, reference))
    assert [row.name for row in rows] == [scene.name for scene in scenes]
    judge = reference.of(scenes[3])
    photo = np.asarray(Image.open(scenes[3].path))
    predictions = rows[3].predictions
    assert list(predictions) == ["model", CENTER_BIAS, UNIFORM]
    assert predictions["model"] == evaluate_scene(brightness(photo), judge)
    assert predictions[CENTER_BIAS] == evaluate_scene(judge.baseline, judge)
    assert predictions[CENTER_BIAS].information_gain_bits == 0
    assert (predictions[UNIFORM].auc, predictions[UNIFORM].nss) == (0.5, 0)
    assert rows[3].fixation_count == 20


def test_number_of_workers_changes_nothing(scenes, reference):
    one = list(evaluate_scenes({"model": brightness}, scenes, reference, worker_count=1))
    assert one == list(evaluate_scenes({"model": brightness}, scenes, reference, worker_count=4))


def test_photo_that_cannot_be_read_is_an_error_that_names_it(tmp_path):
    scenes = make_scenes(tmp_path)
    scenes[2].path.write_text("no photo")
    reference = DatasetReference(scenes, smoothing=SMOOTHING)
    with pytest.raises(PhotoError, match=r"2\.png"):
        list(evaluate_scenes({"model": brightness}, scenes, reference))


def test_photo_of_another_size_than_its_scene_is_an_error_that_names_it(tmp_path):
    scenes = make_scenes(tmp_path)
    Image.new("RGB", (7, 5)).save(scenes[2].path)
    reference = DatasetReference(scenes, smoothing=SMOOTHING)
    with pytest.raises(DatasetError, match=r"2\.png.*got 7x5"):
        list(evaluate_scenes({"model": brightness}, scenes, reference))


@pytest.mark.parametrize("suffix", [".png", ".npy"])
def test_folder_of_maps_is_scored_beside_models(tmp_path, suffix):
    scenes = make_scenes(tmp_path)
    (tmp_path / "maps").mkdir()
    for scene in scenes:
        array = np.asarray(Image.open(scene.path).convert("L"))
        path = tmp_path / "maps" / f"{scene.path.stem}{suffix}"
        np.save(path, array) if suffix == ".npy" else Image.fromarray(array).save(path)
    reference = DatasetReference(scenes, smoothing=SMOOTHING)
    models = {"maps": MapFolder(tmp_path / "maps"), "model": brightness}
    rows = list(evaluate_scenes(models, scenes, reference))
    assert rows[0].predictions["maps"].information_gain_bits is None
    assert rows[0].predictions["maps"].auc == pytest.approx(
        rows[0].predictions["model"].auc,
        abs=0.02,  # grey is rounded
    )
    assert list(rows[0].levels) == ["model"]


@pytest.mark.parametrize(
    ("kind", "is_shifted", "has_gain"),
    [
        ("auto", False, True),
        ("auto", True, False),
        ("log-density", True, True),
        ("map", False, False),
    ],
)
def test_log_densities_of_other_programs_get_information_gain(tmp_path, kind, is_shifted, has_gain):
    scenes = make_scenes(tmp_path)
    (tmp_path / "maps").mkdir()
    for scene in scenes:
        log_density = brightness(np.asarray(Image.open(scene.path).convert("RGB")))
        np.save(tmp_path / "maps" / f"{scene.path.stem}.npy", log_density + 2 * is_shifted)
    reference = DatasetReference(scenes, smoothing=SMOOTHING)
    models = {"maps": MapFolder(tmp_path / "maps", kind), "model": brightness}
    if not has_gain:  # a map of negative numbers is no density
        with pytest.raises(DatasetError, match="nowhere negative"):
            list(evaluate_scenes(models, scenes, reference))
        return
    (first, *_) = evaluate_scenes(models, scenes, reference)
    assert first.predictions["maps"].information_gain_bits == pytest.approx(
        first.predictions["model"].information_gain_bits, abs=1e-4
    )


def test_picture_in_colours_is_no_map(tmp_path):
    scenes = make_scenes(tmp_path)
    (tmp_path / "maps").mkdir()
    for scene in scenes:
        colours = np.zeros((scene.height, scene.width, 3), np.uint8)
        colours[2:, 2:] = (200, 30, 90)
        Image.fromarray(colours).save(tmp_path / "maps" / f"{scene.path.stem}.png")
    reference = DatasetReference(scenes, smoothing=SMOOTHING)
    with pytest.raises(DatasetError, match="it is in colour"):
        list(evaluate_scenes({"maps": MapFolder(tmp_path / "maps")}, scenes, reference))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (None, "expected a map of 2.png as 2.png, found none"),
        (np.ones((5, 7)), r"2\.npy: expected a map of \d+x\d+.* got 7x5"),
        (np.nan, r"2\.npy: expected finite real numbers"),
        (-1.0, r"2\.npy: a density is nowhere negative"),
        (b"nothing", r"2\.npy: expected a saliency map"),
    ],
)
def test_map_that_cannot_be_scored_is_an_error_that_names_it(tmp_path, array, message):
    scenes = make_scenes(tmp_path)
    (tmp_path / "maps").mkdir()
    for scene in scenes:
        np.save(tmp_path / "maps" / f"{scene.path.stem}.npy", np.ones((scene.height, scene.width)))
    path = tmp_path / "maps" / "2.npy"
    path.unlink()
    if isinstance(array, bytes):
        path.write_bytes(array)
    elif array is not None:
        full = np.full((scenes[2].height, scenes[2].width), array) if np.isscalar(array) else array
        np.save(path, full)
    reference = DatasetReference(scenes, smoothing=SMOOTHING)
    with pytest.raises(DatasetError, match=message):
        list(evaluate_scenes({"maps": MapFolder(tmp_path / "maps")}, scenes, reference))


def test_summary_is_the_mean_and_its_standard_error():
    summary = summarise([scores_of(value) for value in (1, 2, 3, 6)])
    assert tuple(summary) == METRICS
    assert summary["nss"].mean == 3
    assert summary["nss"].standard_error == pytest.approx(math.sqrt(14 / 3) / 2)


def test_one_image_has_no_standard_error():
    assert summarise([scores_of(1)])["auc"].standard_error is None


def test_summary_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one image"):
        summarise([])
