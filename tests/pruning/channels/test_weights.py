"""Weights that are computed at each pass: cut with the network, or kept whole with the reason."""

import copy

import pytest
import torch
from pruning_fixtures import PHOTO, closed_and_removed, third_of, trained
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm

from saliency.pruning.channels.weights import weight_of
from saliency.pruning.gates import fold_gates, gated
from saliency.pruning.groups import find_groups
from saliency.pruning.surgery import channel_counts, remove_channels, resize_layers

SUMS_REORDERED = 1e-5  # as a share of the output: float32 sums in another order


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


def masked(layer):
    for name in ("weight", "bias"):
        prune.random_unstructured(layer, name, 0.3)
    return layer


def old_weight_norm(layer, **options):
    with pytest.warns(FutureWarning, match="deprecated"):
        return weight_norm(layer, **options)


CUT = {
    "weight norm": parametrizations.weight_norm,
    "weight norm, one length for all": lambda layer: parametrizations.weight_norm(layer, dim=None),
    "weight norm, a length for each input": lambda layer: old_weight_norm(layer, dim=1),
    "old weight norm": old_weight_norm,
    "masks": masked,
    "two masks": lambda layer: masked(masked(layer)),
}
KEPT = {
    "_SpectralNorm": parametrizations.spectral_norm,
    "SpectralNorm": spectral_norm,
    "Doubled": lambda layer: parametrize.register_parametrization(layer, "weight", Doubled()),
}


class Computed(nn.Module):
    """A layer whose weight is computed, behind one and before two others."""

    def __init__(self, computed):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.next, self.score = (
            nn.Conv2d(3, 6, 1),
            nn.Conv2d(6, 4, 1),
            nn.Conv2d(4, 2, 1),
        )
        self.wide = computed(nn.Conv2d(6, 6, 3))
        self.eval()

    def forward(self, photo):
        return self.score(self.next(self.wide(self.stem(photo).relu()).relu()).relu())


@pytest.mark.parametrize("kind", CUT)
def test_computed_weights_are_cut_in_what_they_are_computed_from(kind):
    network = Computed(CUT[kind])
    assert find_groups(network, PHOTO).sizes() == {"stem": 6, "wide": 6, "next": 4}
    before = copy.deepcopy(network.state_dict())
    error, effect, pruned = closed_and_removed(network, PHOTO)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert error < SUMS_REORDERED
    assert effect > 1e-2  # the removed channels mattered
    assert set(pruned.state_dict()) == set(network.state_dict())
    trained(pruned, PHOTO)
    resized = resize_layers(network, channel_counts(pruned))
    resized.load_state_dict(pruned.state_dict())
    assert torch.equal(resized(PHOTO), pruned(PHOTO))


def test_masks_hide_the_same_weights_after_removal_and_training():
    network = Computed(masked)
    groups = find_groups(network, PHOTO)
    pruned = remove_channels(network, groups, {"stem": [0, 3], "wide": [5]})
    expected = network.wide.weight_mask[:5][:, [1, 2, 4, 5]]
    assert torch.equal(pruned.wide.weight_mask, expected)
    assert not weight_of(trained(pruned, PHOTO).wide)[expected == 0].any()


@pytest.mark.parametrize("kind", KEPT)
def test_weights_computed_in_another_way_keep_their_channels_and_their_feed(kind):
    network = Computed(KEPT[kind])
    before = copy.deepcopy(network.state_dict())
    groups = find_groups(network, PHOTO)
    assert groups.sizes() == {"next": 4}
    reasons = {group.name: reason for group, reason in groups.unprunable}
    expected = (
        f"the weight of wide is parametrized by {kind.lstrip('_')}, "
        "which may depend on all channels"
    )
    assert reasons["stem"] == reasons["wide"] == expected
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert network.wide.weight.shape == (6, 6, 3, 3)  # the network still computes it


@pytest.mark.parametrize("kind", CUT)
def test_gates_fold_into_computed_weights(kind):
    network = Computed(CUT[kind])
    groups = find_groups(network, PHOTO)
    gates = {"stem": torch.tensor([1, 0.5, 0, 1, 2, 1]), "wide": torch.ones(6)}
    with torch.no_grad(), gated(network, groups, gates):
        wanted = network(PHOTO)
    fold_gates(network, groups, gates)
    assert torch.allclose(network(PHOTO), wanted, atol=1e-5)


def test_network_that_was_trained_with_computed_weights_can_be_copied():
    network = trained(Computed(old_weight_norm), PHOTO)
    groups = find_groups(network.train(), PHOTO)
    network(PHOTO)  # leaves a weight with a gradient
    removals = third_of(groups)
    sizes = find_groups(remove_channels(network, groups, removals), PHOTO).sizes()
    whole = groups.sizes()
    assert sizes == {name: whole[name] - len(removals.get(name, ())) for name in whole}
