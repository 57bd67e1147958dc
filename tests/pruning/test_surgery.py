import copy
import json

import pytest
import timm
import torch
from pruning_fixtures import (
    PHOTO,
    Concatenation,
    Flattened,
    Grouped,
    Lateral,
    Residual,
    SqueezeExcite,
    Twice,
    randomise,
    third_of,
)
from torch import nn

from saliency.model.config import ModelConfig
from saliency.model.network import SaliencyModel
from saliency.model.readout import TopDownReadout
from saliency.pruning.gates import gated, ones
from saliency.pruning.groups import find_groups
from saliency.pruning.surgery import channel_counts, remove_channels, resize_layers

TOYS = [
    *(Residual(), Concatenation(), SqueezeExcite(), Lateral(), Flattened(), Twice()),
    *(Grouped(groups=4, makes=4), Grouped(groups=4, makes=8), Grouped(groups=2, makes=6)),
]
NETWORKS = [
    "tf_efficientnet_lite0",
    "tf_mobilenetv3_small_100",
    "mobilenetv4_conv_small",
    pytest.param("resnet50", marks=pytest.mark.thorough),
    pytest.param("densenet121", marks=pytest.mark.thorough),
    "vgg13",
    pytest.param("seresnext26d_32x4d", marks=pytest.mark.thorough),
]
SMALL_PHOTO = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))


SUMS_REORDERED = 1e-5  # as a share of the output: float32 sums in another order


def maps_of(model, *args):
    with torch.no_grad():
        result = model(*args)
    return result if isinstance(result, list) else [result]


def furthest(ones_maps, others_maps):
    """Return the largest difference between maps, as a share of the largest value in them."""
    pairs = zip(ones_maps, others_maps, strict=True)
    return max(((one - other).abs().max() / one.abs().max()).item() for one, other in pairs)


def compare(model, photo):
    """Remove a third of every group's channels; return how far from the closed gates that is.

    Returns:
        The furthest difference between pruned and gated maps, between gated and full maps, and
        whether the model was left as it was.
    """
    before = copy.deepcopy(model.state_dict())
    groups = find_groups(model, photo)
    removals = third_of(groups)
    gates = {name: gate.detach() for name, gate in ones(groups).items()}
    for name, removed in removals.items():
        gates[name][removed] = 0.0
    with gated(model, groups, gates):
        closed = maps_of(model, photo)
    pruned = remove_channels(model, groups, removals)
    after = model.state_dict()
    is_unchanged = all(torch.equal(value, after[key]) for key, value in before.items())
    full = maps_of(model, photo)
    return furthest(closed, maps_of(pruned, photo)), furthest(closed, full), is_unchanged


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    """A network with random weights, as a backbone and the readout over it."""
    torch.manual_seed(0)
    backbone = timm.create_model(request.param, features_only=True)
    readout = TopDownReadout(tuple(backbone.feature_info.channels()), channels=24)
    model = nn.Sequential(backbone, readout)
    randomise(model, seed=0)
    return model.eval()


@pytest.mark.parametrize("toy", TOYS, ids=lambda toy: type(toy).__name__)
def test_removed_channels_of_a_toy_equal_closed_gates(toy):
    error, effect, is_unchanged = compare(toy, PHOTO)
    assert error < SUMS_REORDERED
    assert effect > 1e-2  # the removed channels mattered
    assert is_unchanged


@pytest.mark.thorough  # the maps under the readout are cut too, these are kept whole
def test_removed_channels_of_feature_maps_equal_closed_gates(network):
    error, effect, is_unchanged = compare(network[0], SMALL_PHOTO)
    assert error < SUMS_REORDERED
    assert effect > 1e-2  # the removed channels mattered
    assert is_unchanged


def test_removed_channels_under_the_readout_equal_closed_gates(network):
    error, effect, is_unchanged = compare(network, SMALL_PHOTO)
    assert error < SUMS_REORDERED
    assert effect > 1e-2  # the removed channels mattered
    assert is_unchanged


@pytest.mark.parametrize("size", [(64, 96), (50, 70)])
def test_removed_channels_of_the_saliency_model_equal_closed_gates(size):
    torch.manual_seed(0)
    model = SaliencyModel(ModelConfig(backbone="tf_efficientnet_lite0", readout_channels=24)).eval()
    randomise(model, seed=0)
    model.center_bias.normal_(generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    photo = torch.randint(256, (1, *size, 3), generator=generator, dtype=torch.uint8)
    error, effect, is_unchanged = compare(model, photo)
    assert error < SUMS_REORDERED
    assert effect > 1e-2  # the removed channels mattered
    assert is_unchanged


@pytest.mark.parametrize("toy", TOYS, ids=lambda toy: type(toy).__name__)
def test_resized_network_takes_the_weights_of_the_pruned_one_strictly(toy):
    groups = find_groups(toy, PHOTO)
    pruned = remove_channels(toy, groups, third_of(groups))
    stored = json.loads(json.dumps(channel_counts(pruned)))
    resized = resize_layers(toy, stored)
    resized.load_state_dict(pruned.state_dict(), strict=True)
    assert torch.equal(resized(PHOTO), pruned(PHOTO))


def test_counts_are_those_that_layers_read_and_make():
    toy = Concatenation()
    pruned = remove_channels(toy, find_groups(toy, PHOTO), {"second": [0, 2]})
    assert channel_counts(pruned) == {
        "first": (3, 2),
        "second": (2, 1),
        "norm": (3, 3),
        "score": (3, 1),
    }


def test_pruned_network_learns_what_the_network_learned():
    toy = Residual()
    toy.stem.weight.requires_grad_(False)
    pruned = remove_channels(toy, find_groups(toy, PHOTO), {"stem": [1]})
    assert not pruned.stem.weight.requires_grad
    assert pruned.branch.weight.requires_grad
    toy.stem.weight.requires_grad_(True)


@pytest.mark.parametrize("removed", [[0, 1, 2, 3], [4], [-1]])
def test_no_channel_left_or_no_such_channel_is_refused(removed):
    toy = Residual()
    with pytest.raises(ValueError, match="expected some but not all of the channels 0 to 3"):
        remove_channels(toy, find_groups(toy, PHOTO), {"stem": removed})


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"stem": (3, 5)}, r"expected at most \(3, 4\) channels of stem"),
        ({"stem": (3, 0)}, r"expected at most \(3, 4\) channels of stem"),
        ({"grouped": (3, 6)}, "expected channels of grouped in whole groups"),
        ({"other": (1, 1)}, r"differ in \['other'\]"),
    ],
)
def test_sizes_of_another_network_are_refused(counts, message):
    toy = Grouped(groups=2, makes=6)
    with pytest.raises(ValueError, match=message):
        resize_layers(toy, {**channel_counts(toy), **counts})
