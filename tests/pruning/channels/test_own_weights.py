"""Convolutions that compute the weights that they apply, such as by weight standardisation."""

import json

import pytest
import torch
from pruning_fixtures import PHOTO, Toy, third_of
from torch import nn
from torch.nn import functional

from saliency.errors import PruningError
from saliency.pruning.compensation import remove_and_compensate
from saliency.pruning.gates import fold_gates, gated, ones
from saliency.pruning.groups import find_groups
from saliency.pruning.optimizer_state import remove_moments
from saliency.pruning.penalties.group_sparsity import proximal_step
from saliency.pruning.surgery import channel_counts, remove_channels, resize_layers


class Standardised(nn.Conv2d):
    """Weights of mean 0 and spread 1 over the inputs, times a gain for each output."""

    def __init__(self, *sizes, **options):
        super().__init__(*sizes, **options)
        self.gain = nn.Parameter(torch.ones(self.out_channels, 1, 1, 1))

    def forward(self, maps):
        spread, mean = torch.std_mean(self.weight, dim=(1, 2, 3), keepdim=True)
        return self._conv_forward(maps, self.gain * (self.weight - mean) / spread, self.bias)


class ByBatchNorm(Standardised):
    """The same by a batch norm of the weights, with each output as a channel."""

    def forward(self, maps):
        rows, gain = self.weight.reshape(1, self.out_channels, -1), self.gain.view(-1)
        weight = functional.batch_norm(rows, None, None, weight=gain, training=True)
        return self._conv_forward(maps, weight.reshape_as(self.weight), self.bias)


class Scaled(nn.Conv2d):
    """Weights times a number, as for an equal learning rate."""

    def forward(self, maps):
        return self._conv_forward(maps, self.weight * 0.3, self.bias)


class Padded(Standardised):
    """Pads by itself, so it is not a plain convolution with other weights."""

    def forward(self, maps):
        return super().forward(functional.pad(maps, (1, 1, 1, 1), value=1.0))


class Chain(Toy):
    """Three convolutions and one with as many groups as inputs, all of one kind."""

    def __init__(self, kind):
        super().__init__(
            first=kind(3, 6, 1),
            second=kind(6, 4, 3, padding=1),
            grouped=kind(4, 8, 3, groups=4),
            score=kind(8, 1, 1),
        )

    def forward(self, photo):
        maps = torch.relu(self.grouped(torch.relu(self.second(torch.relu(self.first(photo))))))
        return self.score(maps)


def closed(network, groups, removals):
    gates = {name: gate.detach() for name, gate in ones(groups).items()}
    for name, removed in removals.items():
        gates[name][removed] = 0.0
    with gated(network, groups, gates):
        return network(PHOTO)


@pytest.mark.parametrize("kind", [Standardised, ByBatchNorm, Scaled])
def test_without_inputs_the_layer_applies_the_weights_of_the_others(kind):
    network = Chain(kind)
    groups = find_groups(network, PHOTO)
    assert groups.sizes() == {"first": 6, "second": 4}
    removals = third_of(groups)
    pruned = remove_channels(network, groups, removals)
    torch.testing.assert_close(pruned(PHOTO), closed(network, groups, removals))


def test_layer_is_made_plain_only_where_other_inputs_matter():
    for kind, after in ((Standardised, nn.Conv2d), (Scaled, Scaled)):
        network = Chain(kind)
        groups = find_groups(network, PHOTO)
        pruned = remove_channels(network, groups, {"second": [0], "first": [1]})
        assert type(pruned.second) is type(pruned.score) is after
        assert type(pruned.first) is type(pruned.grouped) is kind
        assert type(network.second) is kind


def test_layer_that_does_more_than_convolve_keeps_what_it_reads():
    with pytest.raises(PruningError, match="a tensor of shape"):
        find_groups(Chain(Padded), PHOTO)


def test_resized_network_takes_the_weights_strictly():
    network = Chain(Standardised)
    groups = find_groups(network, PHOTO)
    pruned = remove_channels(network, groups, third_of(groups))
    counts = json.loads(json.dumps(channel_counts(pruned)))
    resized = resize_layers(Chain(Standardised), counts)
    resized.load_state_dict(pruned.state_dict())
    assert torch.equal(resized(PHOTO), pruned(PHOTO))


def test_removal_of_a_copied_channel_is_compensated_in_applied_weights():
    network = Chain(Standardised)
    with torch.no_grad():
        for name in ("weight", "bias", "gain"):
            getattr(network.first, name)[4] = getattr(network.first, name)[0]
        before = network(PHOTO)
    groups, removals = find_groups(network, PHOTO), {"first": [0]}
    with torch.no_grad():
        cut = (remove_channels(network, groups, removals)(PHOTO) - before).abs().max()
        compensated = remove_and_compensate(network, groups, removals, [PHOTO])
        error = (compensated(PHOTO) - before).abs().max()
    assert error < 0.1 * cut


def test_moments_of_layers_made_plain_begin_anew():
    network = Chain(Standardised)
    groups = find_groups(network, PHOTO)
    states = {name: {"moment": torch.ones_like(p)} for name, p in network.named_parameters()}
    moments = remove_moments(states, network, groups, {"first": [0]})
    assert moments["first.gain"]["moment"].shape == (5, 1, 1, 1)
    assert {name for name in states if name not in moments} == {
        *("second.weight", "second.bias", "second.gain")
    }


def test_factors_that_standardising_would_undo_are_refused():
    network = Chain(Standardised)
    groups = find_groups(network, PHOTO)
    with pytest.raises(PruningError, match="second computes others"):
        fold_gates(network, groups, {"first": torch.full((6,), 0.5)})
    with pytest.raises(PruningError, match="first computes others"):
        proximal_step(network, groups, 0.1)
