"""Layers that run in training only, or never."""

import pytest
import torch
from pruning_fixtures import PHOTO, closed_and_removed, randomise, trained
from torch import nn
from torchvision import models

from saliency.pruning.groups import find_groups

SUMS_REORDERED = 1e-5  # as a share of the output: float32 sums in another order


class Auxiliary(nn.Module):
    """A network with a second head in training, behind a batch norm that needs several values."""

    def __init__(self, *, wants_targets=False):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.body = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 5, 3)
        self.middle, self.norm = nn.Conv2d(6, 4, 1), nn.BatchNorm2d(4)
        self.second, self.score = nn.Conv2d(4, 2, 1), nn.Conv2d(5, 2, 1)
        self.wants_targets = wants_targets
        self.eval()

    def forward(self, photo, targets=None):
        stem = self.stem(photo).relu()
        score = self.score(self.body(stem).relu())
        if not self.training:
            return score
        if self.wants_targets and targets is None:
            raise ValueError("targets are needed in training")
        pooled = stem.mean((2, 3), keepdim=True)
        return score, self.second(self.norm(self.middle(pooled)).relu())


def test_head_of_training_is_pruned_with_what_feeds_it():
    network = Auxiliary()
    assert find_groups(network, PHOTO[:1]).sizes() == {"stem": 6, "body": 5, "middle": 4}
    error, effect, pruned = closed_and_removed(network, PHOTO)
    assert error < SUMS_REORDERED
    assert effect > 1e-2  # the removed channels mattered
    trained(pruned, PHOTO)


def test_head_that_cannot_be_run_keeps_what_may_feed_it():
    network = Auxiliary(wants_targets=True)
    groups = find_groups(network, PHOTO)
    assert groups.sizes() == {"body": 5}
    reasons = {group.name: reason for group, reason in groups.unprunable}
    assert reasons["stem"] == "middle, which did not run, may read it"
    for layer in ("middle", "norm", "second"):
        assert reasons[layer] == "it did not run, in evaluation or in training mode"
    _, _, pruned = closed_and_removed(network, PHOTO)
    trained(pruned, PHOTO, torch.zeros(2))


@pytest.mark.thorough
@pytest.mark.parametrize(("create", "pixels"), [(models.googlenet, 64), (models.inception_v3, 299)])
def test_torchvision_networks_with_auxiliary_heads_can_be_trained_when_pruned(create, pixels):
    torch.manual_seed(0)
    network = create(weights=None, init_weights=False, aux_logits=True).eval()
    randomise(network, seed=0)
    photos = torch.rand(2, 3, pixels, pixels)
    groups = find_groups(network, photos[:1])
    layers = {part.layer for group in groups.prunable for part in group.slices}
    assert any("aux" in name.lower() for name in layers)
    assert not [reason for _, reason in groups.unprunable if "run" in reason]
    error, effect, pruned = closed_and_removed(network, photos)
    assert error < SUMS_REORDERED
    assert effect > 1e-2  # the removed channels mattered
    pruned.train()
    made = pruned(photos)
    sum(one.square().mean() for one in made if one is not None).backward()
    assert all(one.grad is not None for one in pruned.parameters())
