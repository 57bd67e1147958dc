import math

import numpy as np
import pytest
import scipy.special
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from saliency.model.readout import (
    EntropyAdjustment,
    GaussianSmoothing,
    PointwiseReadout,
    TopDownReadout,
    enlarge,
)


def features(channels=(3, 4, 5), *, finest=8, seed=0):
    """Return feature maps of one photo, each half as high and wide as the one before."""
    generator = torch.Generator().manual_seed(seed)
    sides = [finest // 2**level for level in range(len(channels))]
    return [
        torch.randn(1, count, side, side, generator=generator)
        for count, side in zip(channels, sides, strict=True)
    ]


def test_top_down_map_has_the_finest_stride():
    torch.manual_seed(0)
    assert TopDownReadout((3, 4, 5), channels=6)(features()).shape == (1, 1, 8, 8)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_top_down_map_depends_on_every_level(level):
    torch.manual_seed(0)
    readout, given = TopDownReadout((3, 4, 5), channels=6), features()
    before = readout(given)
    given[level] = given[level] + 1
    assert not torch.equal(readout(given), before)


def test_sharpness_multiplies_the_map():
    torch.manual_seed(0)
    readout, given = TopDownReadout((3, 4, 5), channels=6), features()
    before = readout(given)
    torch.nn.init.constant_(readout.sharpness.bias, math.log(3))
    torch.testing.assert_close(readout(given), 3 * before)


def test_sharpness_is_bounded():
    torch.manual_seed(0)
    readout, given = TopDownReadout((3, 4, 5), channels=6), features()
    before = readout(given)
    torch.nn.init.constant_(readout.sharpness.bias, 100.0)
    torch.testing.assert_close(readout(given), math.exp(3) * before)


def test_pointwise_readout_sees_one_position_at_a_time():
    torch.manual_seed(0)
    readout, (given,) = PointwiseReadout((5,)), features((5,))
    whole = readout([given])
    for row, column in ((0, 0), (3, 5), (7, 7)):
        alone = readout([given[:, :, row : row + 1, column : column + 1]])
        torch.testing.assert_close(alone[0, 0, 0, 0], whole[0, 0, row, column])


def test_pointwise_readout_reads_the_last_level_only():
    torch.manual_seed(0)
    readout, (fine, coarse) = PointwiseReadout((3, 4)), features((3, 4))
    assert torch.equal(readout([fine, coarse]), readout([fine + 1, coarse]))


def test_smoothing_keeps_a_constant_map():
    constant = torch.full((2, 1, 5, 30), -1.7)
    torch.testing.assert_close(GaussianSmoothing(sigma_cells=2.0)(constant), constant)


def test_smoothing_keeps_the_mass_in_the_middle():
    point = torch.zeros(1, 1, 31, 31)
    point[0, 0, 15, 15] = 1.0
    assert GaussianSmoothing(sigma_cells=1.5)(point).sum().item() == pytest.approx(1, abs=1e-6)


def test_smoothing_equals_a_gaussian_filter():
    maps = torch.randn(1, 1, 20, 25, generator=torch.Generator().manual_seed(0))
    smoothed = GaussianSmoothing(sigma_cells=1.5, radius=6)(maps)[0, 0].detach().numpy()
    expected = gaussian_filter(maps[0, 0].numpy(), 1.5, mode="nearest", radius=6)
    np.testing.assert_allclose(smoothed, expected, atol=1e-6)


def test_smoothing_learns_its_width():
    smoothing = GaussianSmoothing(sigma_cells=1.0)
    maps = torch.randn(1, 1, 20, 20, generator=torch.Generator().manual_seed(0))
    smoothing(maps).square().sum().backward()
    assert smoothing.log_sigma.grad < 0  # the wider the blur, the less is left of noise


@pytest.mark.parametrize("factor", [2, 4, 16])
@pytest.mark.parametrize("shape", [(1, 1, 5, 7), (3, 1, 1, 2)])
def test_enlarged_maps_are_those_of_bilinear_interpolation(factor, shape):
    maps = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    expected = functional.interpolate(
        maps, scale_factor=float(factor), mode="bilinear", align_corners=False
    )
    torch.testing.assert_close(enlarge(maps, factor), expected)


def test_adjustment_changes_nothing_at_first():
    scores, bias = features((1, 1), finest=8)
    adjusted = EntropyAdjustment()(scores, functional.interpolate(bias, scale_factor=2.0))
    torch.testing.assert_close(adjusted, scores)


def test_adjustment_never_turns_a_map_upside_down():
    adjustment, (scores,) = EntropyAdjustment(), features((1,))
    adjustment.sharpness_per_nat.fill_(100.0)
    torch.testing.assert_close(adjustment(5 * scores, torch.zeros_like(scores)), 0 * scores)


@pytest.mark.parametrize("factor", [0.0, 1.0, 5.0])
def test_adjustment_follows_the_entropy_of_each_photo_alone(factor):
    adjustment = EntropyAdjustment()
    for name, value in (("sharpness", 1.2), ("sharpness_per_nat", 0.1)):
        getattr(adjustment, name).fill_(value)
    for name, value in (("bias", 0.5), ("bias_per_nat", 0.3)):
        getattr(adjustment, name).fill_(value)
    (scores, bias), other = features((1, 1)), features((1,), seed=1)[0]
    bias = functional.interpolate(bias, scale_factor=2.0)
    log_share = scipy.special.log_softmax(factor * scores.numpy().astype(float))
    entropy = -(np.exp(log_share) * log_share).sum() - math.log(64)  # 0 where it is even
    assert entropy == pytest.approx(0) if factor == 0 else entropy < -0.1
    expected = (1.2 + 0.1 * entropy) * factor * scores + (0.5 + 0.3 * entropy) * bias
    adjusted = adjustment(torch.cat([factor * scores + 7, other]), bias)
    torch.testing.assert_close(
        adjusted[:1] - adjusted[:1].mean(), expected - expected.mean(), rtol=1e-4, atol=1e-4
    )
