"""Facts about group lasso and network slimming: against definitions, and on networks that learn."""

import pytest
import torch
from pruning_fixtures import Residual, randomise
from torch import nn
from torch.nn.utils import parametrizations, prune

from saliency.pruning.compensation import remove_and_compensate
from saliency.pruning.groups import find_groups
from saliency.pruning.penalties.group_sparsity import (
    channel_lengths,
    closed_channels,
    proximal_step,
    sparsity_penalty,
)

PHOTO = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
SIDES = pytest.mark.parametrize("side", ["weights", "scales"])


def chain():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 2, 3, bias=False)
    ).eval()


@SIDES
def test_length_is_over_all_layers_that_make_a_channel(side):
    model = chain() if side == "scales" else Residual()
    randomise(model, seed=0)
    groups = find_groups(model, PHOTO)
    kind = "out" if side == "weights" else "norm"
    lengths = channel_lengths(model, groups, side=side)
    assert lengths
    for group in groups.prunable:
        expected = torch.zeros(group.size)
        for part in group.slices:
            if part.side == kind:
                rows = model.get_submodule(part.layer).weight.detach()
                rows = rows.flatten(1) if kind == "out" else rows
                for k, covered in enumerate(part.channels):
                    expected[k] += rows[list(covered)].square().sum()
        torch.testing.assert_close(lengths[group.name].detach(), expected.sqrt())


def test_proximal_step_leaves_the_longest_channels_that_are_spared():
    model = chain()
    groups = find_groups(model, PHOTO)
    before = channel_lengths(model, groups)["0"].detach()
    proximal_step(model, groups, 100.0, spared={"0": 3})
    after = channel_lengths(model, groups)["0"].detach()
    is_spared = before >= before.sort().values[-3]
    torch.testing.assert_close(after, torch.where(is_spared, before, 0.0))


@SIDES
def test_proximal_step_shortens_every_channel_by_the_same_and_keeps_its_direction(side):
    model = chain()
    groups = find_groups(model, PHOTO)
    before = channel_lengths(model, groups, side=side)["0"].detach()
    weight = model[0].weight.detach().clone()
    amount = float(before.sort().values[2])
    proximal_step(model, groups, amount, side=side)
    after = channel_lengths(model, groups, side=side)["0"].detach()
    torch.testing.assert_close(after, (before - amount).clamp_min(0), atol=1e-6, rtol=1e-4)
    if side == "weights":
        factor = (after / before).view(-1, 1, 1, 1)
        torch.testing.assert_close(model[0].weight.detach(), weight * factor)


def test_step_is_the_minimum_that_the_proximal_operator_is_defined_by():
    model = chain()
    groups = find_groups(model, PHOTO)
    start = model[0].weight.detach().clone()
    proximal_step(model, groups, 0.3)
    found = model[0].weight.detach().clone()

    def objective(weight):
        model[0].weight.data = weight
        distance = (weight - start).square().sum() / 2
        return float(distance + 0.3 * sparsity_penalty(model, groups).detach())

    best = objective(found)
    generator = torch.Generator().manual_seed(0)
    for scale in (1e-3, 1e-2, 1e-1):
        for _ in range(20):
            assert objective(found + scale * torch.randn(found.shape, generator=generator)) > best


def test_costs_weigh_groups():
    model = Residual()
    randomise(model, seed=0)
    groups = find_groups(model, PHOTO)
    names = [group.name for group in groups.prunable]
    lengths = channel_lengths(model, groups)
    costs = {name: float(n + 1) for n, name in enumerate(names)}
    expected = sum(costs[name] * lengths[name].sum() for name in names)
    found = sparsity_penalty(model, groups, costs=costs)
    assert found.item() == pytest.approx(expected.item())
    before = {name: value.detach() for name, value in lengths.items()}
    proximal_step(model, groups, 1e-3, costs=costs)
    for name, value in channel_lengths(model, groups).items():
        expected_loss = torch.full_like(value, 1e-3 * costs[name])
        torch.testing.assert_close(before[name] - value, expected_loss, atol=1e-5, rtol=0.02)


@pytest.mark.parametrize(("side", "strength"), [("weights", 0.05), ("scales", 0.07)])
def test_training_closes_channels_that_nothing_depends_on_and_they_are_cut(side, strength):
    """The target depends on one input channel; most of eight channels are not needed."""
    model = chain()
    groups = find_groups(model, PHOTO)
    photos = torch.rand(32, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    target = photos[:, :1, 2:-2, 2:-2].repeat(1, 2, 1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        (model(photos) - target).square().mean().backward()
        optimizer.step()
        proximal_step(model, groups, 0.05 * strength, side=side)
    closed = closed_channels(model, groups, side=side)
    assert 2 <= len(closed["0"]) < 8
    assert (model(photos) - target).square().mean() < 0.9 * target.var()
    small = remove_and_compensate(model, groups, closed, [photos])
    assert small[0].out_channels == 8 - len(closed["0"])
    torch.testing.assert_close(small(photos), model(photos), atol=0.05, rtol=0)


@pytest.mark.parametrize(
    "compute",
    [parametrizations.weight_norm, lambda layer: prune.l1_unstructured(layer, "weight", 0.2)],
)
def test_step_shortens_weights_that_are_computed(compute):
    model = chain()
    compute(model[0])
    groups = find_groups(model, PHOTO)
    before = channel_lengths(model, groups)["0"].detach()
    amount = float(before.sort().values[2])
    proximal_step(model, groups, amount)
    after = channel_lengths(model, groups)["0"].detach()
    torch.testing.assert_close(after, (before - amount).clamp_min(0), atol=1e-5, rtol=1e-4)
    assert (after == 0).sum() == 3


def test_network_without_batch_norm_is_refused_for_slimming():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 2, 3))
    groups = find_groups(model, PHOTO)
    with pytest.raises(ValueError, match=r"expected batch norms .* take the weights"):
        proximal_step(model, groups, 0.1, side="scales")


def test_negative_amount_is_refused():
    model = chain()
    with pytest.raises(ValueError, match="at least 0"):
        proximal_step(model, find_groups(model, PHOTO), -0.1)
