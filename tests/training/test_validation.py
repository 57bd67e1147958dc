import numpy as np
import pytest
import torch
from training_fixtures import TINY, read_training_data, write_spots

from saliency.evaluation import metrics
from saliency.fixations.center_bias import CenterBias, fit_center_bias
from saliency.model.network import SaliencyModel
from saliency.training.validation import (
    PICTURE_HEIGHT,
    draw_comparison,
    predict,
    validate,
    working_photo,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return read_training_data(write_spots(tmp_path_factory.mktemp("data") / "spots"))


@pytest.fixture(scope="module")
def baseline(data):
    return fit_center_bias(data.train)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return SaliencyModel(TINY).eval()


def test_figures_are_the_means_of_the_metrics(model, data, baseline):
    scenes = data.validation[:3]
    rows = []
    for scene in scenes:
        log_density = predict(model, working_photo(scene, model))
        height, width = log_density.shape
        fixations = scene.fixations * (width / scene.width, height / scene.height)
        bias = baseline.log_density((height, width))
        gain = metrics.information_gain_bits(log_density, fixations, baseline=bias)
        nss = metrics.nss(np.exp(log_density), fixations)
        rows.append((gain, nss, metrics.auc(np.exp(log_density), fixations)))
    figures = validate(model, scenes, baseline=baseline)
    assert list(figures) == ["information_gain_bits", "nss", "auc"]
    np.testing.assert_allclose(list(figures.values()), np.mean(rows, axis=0), rtol=1e-6)


def test_baseline_gains_nothing_over_itself(data):
    torch.manual_seed(0)
    model = SaliencyModel(TINY).eval()
    torch.nn.init.zeros_(model.readout.score.weight)
    # Even enough for the 16 cells of so small a photo: the model adds the bias on its cells.
    rows, columns = (np.linspace(-1, 1, count) for count in (48, 64))
    grid = -(rows[:, None] ** 2) - columns**2
    model.set_center_bias(grid)
    figures = validate(model, data.validation, baseline=CenterBias(grid))
    assert figures["information_gain_bits"] == pytest.approx(0, abs=0.01)


def test_measuring_leaves_the_model_as_it_is(model, data, baseline):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = validate(model, data.validation, baseline=baseline)
    second = validate(model, data.validation, baseline=baseline)
    assert first == second
    assert not model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_model_sees_the_photo_at_its_working_size(model, data):
    for scene in data.validation:
        height, width, _ = working_photo(scene, model).shape
        assert height % model.size_multiple == width % model.size_multiple == 0
        assert height * width == pytest.approx(TINY.input_pixels, rel=0.15)


def test_photo_that_has_the_working_size_already_can_be_predicted(model, tmp_path):
    from PIL import Image

    from saliency.fixations.scene import Scene

    Image.new("RGB", (64, 64), "grey").save(tmp_path / "square.png")
    fixations, observers = np.array([[3.0, 4.0]]), np.zeros(1, np.int64)
    scene = Scene("spots/square.png", tmp_path / "square.png", 64, 64, fixations, observers)
    assert predict(model, working_photo(scene, model)).shape == (64, 64)


def test_picture_has_a_row_of_three_for_each_scene(model, data):
    scenes = data.validation[:2]
    picture = draw_comparison(model, scenes)
    widths = [3 * round(PICTURE_HEIGHT * scene.width / scene.height) for scene in scenes]
    assert picture.shape == (2 * (PICTURE_HEIGHT + 4), max(widths), 3)
    assert picture.dtype == np.uint8


def test_picture_shows_where_the_fixations_lie(model, data):
    scene = data.validation[0]
    picture = draw_comparison(model, [scene])
    width = round(PICTURE_HEIGHT * scene.width / scene.height)
    truth = picture[:PICTURE_HEIGHT, width : 2 * width].sum(axis=2)
    row, column = np.unravel_index(truth.argmax(), truth.shape)
    x, y = np.median(scene.fixations, axis=0) / (scene.width, scene.height)
    assert (column / width, row / PICTURE_HEIGHT) == pytest.approx((x, y), abs=0.08)
