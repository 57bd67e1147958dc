"""What lies between two convolutions: pruned by a rule, or kept whole with the reason."""

import pytest
import torch
from pruning_fixtures import PHOTO, assert_prunable, closed_and_removed, third_of
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from saliency.pruning.compensation import remove_and_compensate
from saliency.pruning.gates import fold_gates, gated
from saliency.pruning.groups import find_groups
from saliency.pruning.penalties.group_sparsity import channel_lengths
from saliency.pruning.signals import SignalCollector


class Between(nn.Module):
    """Layers, or a function of the maps and of layers and parameters, between two convolutions."""

    def __init__(self, between, *, makes=12, reads=12, **parts):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.score = nn.Conv2d(3, makes, 1), nn.Conv2d(reads, 2, 1)
        self.between = between
        for name, part in parts.items():
            setattr(self, name, part)
        with torch.no_grad():
            for value in (*self.parameters(), *self.buffers()):
                if value.is_floating_point():
                    value.uniform_(0.3, 0.9) if value.ndim == 1 else value.normal_(0, 0.5)
        self.eval()

    def forward(self, photo):
        maps = self.stem(photo)
        is_layer = isinstance(self.between, nn.Module)
        return self.score((self.between(maps) if is_layer else self.between(self, maps)).sigmoid())


class LayerNorm2d(nn.LayerNorm):
    def forward(self, maps):
        return super().forward(maps.movedim(1, -1)).movedim(-1, 1)


def scaled(*shape):
    return {"scale": nn.Parameter(torch.ones(shape))}


def half_convolved(network, maps):
    one, other = maps.split(maps.shape[1] // 2, dim=1)
    return torch.cat((network.part(one), other), dim=1)


def shuffled(_, maps):
    batch, channels, height, width = maps.shape
    groups = maps.view(batch, 3, channels // 3, height, width)
    return groups.transpose(1, 2).reshape(batch, channels, height, width)


def coordinate_attention(network, maps):
    """Attention along both axes of a map, as of Hou et al. 2021, without a norm."""
    rows, columns = maps.mean(3, keepdim=True), maps.mean(2, keepdim=True).mT
    mixed = network.mixed(torch.cat((rows, columns), dim=2)).relu()
    rows, columns = mixed.split([maps.shape[2], maps.shape[3]], dim=2)
    return maps * network.rows(rows).sigmoid() * network.columns(columns.mT).sigmoid()


COORDINATES = {
    "mixed": nn.Conv2d(12, 6, 1),
    "rows": nn.Conv2d(6, 12, 1),
    "columns": nn.Conv2d(6, 12, 1),
}
PRUNED = {
    "PReLU": (lambda: Between(nn.PReLU(12)), {"stem": 12}),
    "PReLU with one slope": (lambda: Between(nn.PReLU()), {"stem": 12}),
    "frozen batch norm": (lambda: Between(FrozenBatchNorm2d(12)), {"stem": 12}),
    "gated linear unit": (lambda: Between(nn.GLU(1), makes=24), {"stem": 12}),
    "sum of halves": (
        lambda: Between(
            lambda _, maps: maps[:, : maps.shape[1] // 2] + maps.chunk(2, 1)[1], makes=24
        ),
        {"stem": 12},
    ),
    "split": (lambda: Between(half_convolved, part=nn.Conv2d(6, 6, 1)), {"stem": 6, "part": 6}),
    "transposed": (
        lambda: Between(nn.ConvTranspose2d(12, 9, 2, 2), reads=9),
        {"stem": 12, "between": 9},
    ),
    "transposed in groups": (
        lambda: Between(nn.ConvTranspose2d(12, 8, 2, 2, groups=4), reads=8),
        {"stem": 4},
    ),
    "transposed depthwise": (
        lambda: Between(nn.ConvTranspose2d(12, 12, 2, 2, groups=12)),
        {"stem": 12},
    ),
    "group norm": (lambda: Between(nn.GroupNorm(4, 12)), {"stem": 4}),
    "instance norm": (lambda: Between(nn.InstanceNorm2d(12)), {"stem": 12}),
    "instance norm with scales": (
        lambda: Between(nn.InstanceNorm2d(12, affine=True)),
        {"stem": 12},
    ),
    "instance norm with statistics": (
        lambda: Between(nn.InstanceNorm2d(12, affine=True, track_running_stats=True)),
        {"stem": 12},
    ),
    "layer norm of positions": (lambda: Between(nn.LayerNorm([8, 8])), {"stem": 12}),
    "layer scale": (
        lambda: Between(lambda n, maps: maps * n.scale, **scaled(12, 1, 1)),
        {"stem": 12},
    ),
    "stored factors of a squeeze-and-excite": (
        lambda: Between(
            lambda n, maps: maps * n.scale[None, :, None, None].sigmoid(), **scaled(12)
        ),
        {"stem": 12},
    ),
    "layer scale behind": (
        lambda: Between(
            lambda n, maps: (maps.movedim(1, -1) * n.scale).movedim(-1, 1), **scaled(12)
        ),
        {"stem": 12},
    ),
    "positions rolled": (
        lambda: Between(lambda _, maps: maps.roll((1, 2), (2, 3))),
        {"stem": 12},
    ),
    "channel shuffle": (lambda: Between(shuffled), {"stem": 4}),
    "layer of channel shuffle": (lambda: Between(nn.ChannelShuffle(3)), {"stem": 4}),
    "pixel shuffle": (lambda: Between(nn.PixelShuffle(2), reads=3), {"stem": 3}),
    "pixel unshuffle": (lambda: Between(nn.PixelUnshuffle(2), reads=48), {"stem": 12}),
    "coordinate attention": (
        lambda: Between(coordinate_attention, **COORDINATES),
        {"stem": 12, "mixed": 6},
    ),
    "linear layer on permuted maps": (
        lambda: Between(
            lambda n, maps: n.linear(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2),
            linear=nn.Linear(12, 12),
        ),
        {"stem": 12, "linear": 12},
    ),
}
KEPT = {
    "layer norm of channels": (LayerNorm2d(12), "native_layer_norm"),
    "group norm of all channels": (nn.GroupNorm(1, 12), "a norm over all channels"),
    "unequal split": (
        lambda _, maps: torch.cat(maps.split([4, 8], 1)[::-1], 1),
        "a division into unequal parts",
    ),
    "numbers written out": (
        lambda _, maps: torch.cat(maps.split([6, 6], 1)[::-1], 1),
        "the network fails",
    ),
    "channels rolled": (lambda _, maps: maps.roll(1, 1), "aten.roll"),
    "positions beside others": (
        lambda _, maps: torch.cat((maps, torch.zeros(2, 12, 8, 2)), 3),
        "a concatenation of positions",
    ),
}


@pytest.mark.parametrize("kind", PRUNED)
def test_network_without_a_third_of_its_channels_equals_closed_gates(kind):
    create, sizes = PRUNED[kind]
    network = create()
    assert find_groups(network, PHOTO).sizes() == sizes
    assert_prunable(network, PHOTO)


@pytest.mark.parametrize("kind", KEPT)
def test_what_would_compute_something_else_keeps_its_channels(kind):
    between, reason = KEPT[kind]

    class Beside(Between):
        """Another pair of convolutions, which can be pruned."""

        def forward(self, photo):
            return super().forward(photo), self.second(self.first(photo))

    network = Beside(between, first=nn.Conv2d(3, 5, 1), second=nn.Conv2d(5, 1, 1))
    groups = find_groups(network, PHOTO)
    assert groups.sizes() == {"first": 5}
    reasons = {group.name: why for group, why in groups.unprunable}
    assert reason in reasons["stem"]


def test_numbers_that_layers_state_follow_their_channels():
    for kind, stated in (("group norm", "num_channels"), ("PReLU", "num_parameters")):
        _, _, pruned = closed_and_removed(PRUNED[kind][0](), PHOTO)
        assert getattr(pruned.between, stated) == pruned.stem.out_channels < 12
    _, _, pruned = closed_and_removed(PRUNED["group norm"][0](), PHOTO)
    assert pruned.between.num_groups == 3


def test_gates_fold_into_transposed_convolutions():
    network = PRUNED["transposed"][0]()
    groups = find_groups(network, PHOTO)
    gates = {"stem": torch.linspace(0, 2, 12), "between": torch.linspace(1, 0, 9)}
    with torch.no_grad(), gated(network, groups, gates):
        wanted = network(PHOTO)
    fold_gates(network, groups, gates)
    assert torch.allclose(network(PHOTO), wanted, atol=1e-5)


def test_channel_that_another_equals_is_compensated_for_by_a_transposed_convolution():
    network = PRUNED["transposed"][0]()
    with torch.no_grad():
        network.stem.weight[1], network.stem.bias[1] = network.stem.weight[0], network.stem.bias[0]
    groups = find_groups(network, PHOTO)
    compensated = remove_and_compensate(network, groups, {"stem": [1]}, [PHOTO])
    difference = (compensated(PHOTO) - network(PHOTO)).abs().max()
    assert difference < 0.05 * network(PHOTO).abs().max()


def test_size_of_a_channel_counts_the_filters_of_a_transposed_convolution():
    network = PRUNED["transposed"][0]()
    with torch.no_grad():
        network.between.weight[:, 2] = 0
        network.between.weight[:, 5] *= 100
    groups = find_groups(network, PHOTO)
    sizes = SignalCollector(groups, "magnitude").signals(network)["between"]
    assert (sizes.argmin(), sizes.argmax()) == (2, 5)
    lengths = channel_lengths(network, groups)["between"]
    assert (lengths.argmin(), lengths.argmax()) == (2, 5)


@pytest.mark.parametrize("kind", ["transposed", "group norm", "instance norm with statistics"])
def test_compensated_networks_run(kind):
    network = PRUNED[kind][0]()
    groups = find_groups(network, PHOTO)
    compensated = remove_and_compensate(network, groups, third_of(groups), [PHOTO])
    wanted = network(PHOTO)
    assert (compensated(PHOTO) - wanted).abs().mean() < wanted.abs().max()
