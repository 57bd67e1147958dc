"""Networks with more in their Python than tracing sees; each has a group that works, `hidden`."""

import math
import random

import pytest
import torch
from pruning_fixtures import PHOTO, Toy, third_of
from torch import nn
from torchvision.models.detection import ssdlite320_mobilenet_v3_large

from saliency.pruning.groups import find_groups
from saliency.pruning.surgery import remove_channels


class Classifier(Toy):
    """Two convolutions and a linear layer on what any function makes of their maps."""

    def __init__(self, between, *, reads=6 * 64):
        super().__init__(
            hidden=nn.Conv2d(3, 5, 1), stem=nn.Conv2d(5, 6, 1), score=nn.Linear(reads, 2)
        )
        self.between = between

    def forward(self, photo):
        maps = torch.relu(self.stem(torch.relu(self.hidden(photo))))
        return self.score(self.between(maps))


class Gated(Classifier):
    """Its maps are multiplied by what a linear layer makes of them, in a shape of its own."""

    def __init__(self):
        super().__init__(nn.Flatten())
        self.factors, self.channels = nn.Linear(6, 6), 6

    def forward(self, photo):
        maps = self.stem(torch.relu(self.hidden(photo)))
        factors = torch.sigmoid(self.factors(maps.mean((2, 3))))
        return self.score((maps * factors.view(-1, self.channels, 1, 1)).flatten(1))


def why_kept(network):
    return {group.name: reason for group, reason in find_groups(network, PHOTO).unprunable}


@pytest.mark.parametrize(
    "network",
    [
        Classifier(lambda maps: maps.view(2, 6 * 8 * 8)),
        Classifier(lambda maps: maps.view(-1, 6 * 8 * 8)),
        Classifier(lambda maps: maps.flatten(2).unflatten(1, (6, 1)).flatten(1)),
        Classifier(nn.Sequential(nn.Unflatten(1, (6, 1)), nn.Flatten())),
        Gated(),
    ],
    ids=["view", "view of any batch", "unflatten", "Unflatten", "channels kept by a module"],
)
def test_group_whose_size_is_written_out_is_kept_and_others_can_go(network):
    groups = find_groups(network, PHOTO)
    assert groups.sizes() == {"hidden": 5}
    assert why_kept(network)["stem"].startswith("without some of it the network fails: RuntimeE")
    pruned = remove_channels(network, groups, third_of(groups))
    assert pruned(PHOTO).shape == (2, 2)


def test_group_whose_size_is_computed_with_is_kept():
    network = Classifier(lambda maps: maps.flatten(1) / math.sqrt(maps.shape[1]))
    assert find_groups(network, PHOTO).sizes() == {"hidden": 5}
    assert "computes something else" in why_kept(network)["stem"]


def test_reason_names_both_shapes_where_the_network_returns_another():
    class Repeated(Classifier):
        def forward(self, photo):
            maps = self.stem(torch.relu(self.hidden(photo)))
            return self.score(maps.flatten(1)).repeat(1, maps.shape[1])

    reason = why_kept(Repeated(nn.Flatten()))["stem"]
    assert reason.endswith("a tensor of shape (2, 8) instead of (2, 12)")


def test_what_a_scale_of_zeros_hides_is_found():
    class Scaled(Classifier):
        """An untrained residual network: what its scale multiplies is not seen in its output."""

        def __init__(self):
            super().__init__(lambda maps: maps / math.sqrt(maps.shape[1]), reads=3)
            self.scale = nn.Parameter(torch.zeros(3, 1, 1))
            self.back = nn.Conv2d(6, 3, 1)

        def forward(self, photo):
            branch = self.between(self.stem(torch.relu(self.hidden(photo))))
            return self.score((photo + self.scale * self.back(branch)).mean((2, 3)))

    assert find_groups(Scaled(), PHOTO).sizes() == {"hidden": 5}


def test_network_that_draws_at_random_can_be_pruned():
    draws = random.Random(0)
    network = Classifier(lambda maps: maps.flatten(1) * draws.random())
    assert find_groups(network, PHOTO).sizes() == {"hidden": 5, "stem": 6}


def test_network_that_makes_much_of_rounding_can_be_pruned():
    class Chaotic(Classifier):
        def forward(self, photo):
            return torch.sin(super().forward(photo) * 1e6)

    network = Chaotic(nn.Flatten())
    assert find_groups(network, PHOTO).sizes() == {"hidden": 5, "stem": 6}


def test_trying_leaves_the_weights_where_they_were():
    network = Gated().train()
    weights = [(parameter, parameter.clone()) for parameter in network.parameters()]
    find_groups(network, PHOTO)
    for (before, value), now in zip(weights, network.parameters(), strict=True):
        assert now is before
        assert torch.equal(now, value)


def test_channels_added_in_place_to_what_is_not_followed_are_kept():
    class Added(Classifier):
        def __init__(self):
            super().__init__(nn.Flatten())
            self.other = nn.Conv2d(3, 6, 1)

        def forward(self, photo):
            maps = self.other(photo)[:, torch.arange(5, -1, -1)]
            maps += self.stem(torch.relu(self.hidden(photo)))
            return self.score(maps.flatten(1))

    assert "added to" in why_kept(Added())["stem"]


@pytest.mark.thorough
def test_detector_that_chooses_among_like_boxes_can_be_pruned():
    torch.manual_seed(0)
    detector = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None).eval()
    groups = find_groups(detector, [torch.rand(3, 160, 192)])
    assert not [why for _, why in groups.unprunable if why.startswith("without some of it")]
