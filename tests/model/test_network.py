import copy
import dataclasses
import json
import math

import cv2
import numpy as np
import pytest
import torch
from training_fixtures import TINY, random_model

from saliency.fixations.center_bias import GRID_SHAPE
from saliency.model.config import ModelConfig
from saliency.model.network import SaliencyModel


@pytest.fixture(scope="module")
def model():
    return random_model()


def photos(batch, height, width, *, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (batch, height, width, 3), generator=generator, dtype=torch.uint8)


def log_density_of(model, given):
    with torch.inference_mode():
        return model(given)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 57), (64, 96), (101, 31)])
def test_density_sums_to_one_at_every_size(model, size):
    log_density = log_density_of(model, photos(2, *size))
    assert log_density.shape == (2, *size)
    total = torch.logsumexp(log_density.double().flatten(1), dim=1)
    np.testing.assert_allclose(total, 0, atol=1e-5)  # float32 over some thousand pixels


@pytest.mark.parametrize("size", [(1, 1), (33, 57), (64, 96)])
def test_even_saliency_and_even_bias_stay_even(size):
    torch.manual_seed(0)
    model = SaliencyModel(TINY).eval()
    model.set_center_bias(np.full(GRID_SHAPE, -3.0))
    torch.nn.init.zeros_(model.readout.score.weight)
    log_density = log_density_of(model, photos(1, *size))
    np.testing.assert_allclose(log_density, -math.log(size[0] * size[1]), atol=1e-5)


def test_without_saliency_the_density_is_the_center_bias():
    torch.manual_seed(0)
    model = SaliencyModel(TINY).eval()
    torch.nn.init.zeros_(model.readout.score.weight)
    rows, columns = (np.linspace(-2, 0, count) for count in GRID_SHAPE)
    grid = 2 * rows[:, None] + columns
    model.set_center_bias(grid)
    height, width = (model.stride * count for count in GRID_SHAPE)
    log_density = log_density_of(model, photos(1, height, width))[0].numpy()
    expected = cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR)
    expected -= expected[0, 0]
    np.testing.assert_allclose(log_density - log_density[0, 0], expected, atol=1e-4)


def test_center_bias_lies_where_it_would_without_the_part_that_is_filled_up():
    torch.manual_seed(0)
    model = SaliencyModel(TINY).eval()
    torch.nn.init.zeros_(model.readout.score.weight)
    rows, columns = (np.linspace(-2, 0, count) for count in GRID_SHAPE)
    model.set_center_bias(2 * rows[:, None] + columns)
    whole = log_density_of(model, photos(1, 192, 256))[0]
    less = log_density_of(model, photos(1, 192 - 12, 256 - 20))[0]
    for size, line in ((192 - 12, less[:, 0]), (256 - 20, less[0])):
        slope = line[1:] - line[:-1]  # even but for the half cells at the borders
        total = whole[-1, 0] - whole[0, 0] if size == 192 - 12 else whole[0, -1] - whole[0, 0]
        assert float(slope[8:-8].mean() * size) == pytest.approx(float(total), rel=0.05)


def test_photos_of_a_batch_do_not_see_each_other(model):
    given = photos(2, 40, 56)
    together, alone = log_density_of(model, given), log_density_of(model, given[1:])
    torch.testing.assert_close(together[1:], alone, atol=1e-5, rtol=0)


def test_eval_and_train_return_the_model(model):
    assert model.train() is model
    assert model.eval() is model


def test_training_keeps_the_statistics_of_batch_norm():
    torch.manual_seed(0)
    model = SaliencyModel(TINY).train()
    before = {name: value.clone() for name, value in model.named_buffers()}
    model(photos(2, 64, 64)).sum().backward()
    assert any("running_mean" in name for name in before)
    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())


def test_training_learns_the_scales_of_batch_norm():
    torch.manual_seed(0)
    model = SaliencyModel(TINY).train()
    model(photos(1, 64, 64))[0, 20, 20].backward()
    scales = [m.weight for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert scales
    assert all(scale.grad.abs().sum() > 0 for scale in scales)


@pytest.mark.parametrize(
    "log_density", [np.zeros((4, 6)), np.full(GRID_SHAPE, -np.inf)], ids=["shape", "inf"]
)
def test_center_bias_of_another_shape_or_not_finite_is_refused(model, log_density):
    with pytest.raises(ValueError, match="expected finite log densities of shape"):
        model.set_center_bias(log_density)


def test_size_multiple_is_the_coarsest_stride(model):
    assert model.size_multiple == 32


def test_config_survives_json():
    config = dataclasses.replace(TINY, levels=(2, 3), readout="pointwise")
    assert ModelConfig.from_dict(json.loads(json.dumps(dataclasses.asdict(config)))) == config


@pytest.mark.parametrize("change", [{"stride": 4}, {"levels": None}], ids=["unknown", "missing"])
def test_config_with_wrong_fields_is_refused(change):
    values = {**dataclasses.asdict(TINY), **change}
    values = {name: value for name, value in values.items() if value is not None}
    with pytest.raises(ValueError, match="expected the fields"):
        ModelConfig.from_dict(values)


def test_config_of_an_unknown_readout_is_refused():
    with pytest.raises(ValueError, match="expected a readout of"):
        ModelConfig.from_dict({**dataclasses.asdict(TINY), "readout": "transformer"})


@pytest.mark.parametrize("levels", [(1, 3), (4, 3)])
def test_levels_that_do_not_double_their_strides_are_refused(levels):
    with pytest.raises(ValueError, match="twice the stride"):
        SaliencyModel(dataclasses.replace(TINY, levels=levels))


def test_softening_scales_all_differences_of_the_log_density(model):
    model, given = copy.deepcopy(model), photos(1, 64, 96)
    before = log_density_of(model, given)
    model.soften(sharpness=0.5)
    after = log_density_of(model, given)
    assert before.std() > 1e-3
    expected = 0.5 * (before - before.mean())
    torch.testing.assert_close(after - after.mean(), expected, atol=1e-5, rtol=1e-4)


def test_softening_adds_the_variance_of_the_blur(model):
    model = copy.deepcopy(model)
    before = model.smoothing.log_sigma.exp().item()
    model.soften(smoothing_cells=2.0)
    assert model.smoothing.log_sigma.exp().item() == pytest.approx(math.hypot(before, 2.0))


@pytest.mark.parametrize("wrong", [{"sharpness": 0.0}, {"smoothing_cells": -1.0}])
def test_softening_by_nonsense_is_refused(model, wrong):
    with pytest.raises(ValueError, match="expected a sharpness above 0"):
        copy.deepcopy(model).soften(**wrong)
