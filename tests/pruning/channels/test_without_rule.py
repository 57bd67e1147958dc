"""Operations without a rule between convolutions: they keep the groups that they touch whole."""

import pytest
import torch
from pruning_fixtures import PHOTO, Toy, third_of
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from saliency.pruning.gates import gated, ones
from saliency.pruning.groups import find_groups
from saliency.pruning.surgery import remove_channels


class Mixing(Toy):
    """Queries, keys and values of a feature map, mixed by any function, between convolutions."""

    def __init__(self, mix):
        super().__init__(
            hidden=nn.Conv2d(3, 5, 1),
            stem=nn.Conv2d(5, 8, 1),
            query=nn.Conv2d(8, 8, 1),
            key=nn.Conv2d(8, 8, 1),
            value=nn.Conv2d(8, 8, 1),
            after=nn.Conv2d(8, 6, 1),
            score=nn.Conv2d(6, 1, 1),
        )
        self.mix = mix

    def forward(self, photo):
        stem = torch.relu(self.stem(torch.relu(self.hidden(photo))))
        return self.score(torch.relu(self.after(self.mix(self, stem))))


def by_matmul(network, maps):
    batch, channels, height, width = maps.shape
    query, key, value = (layer(maps).flatten(2) for layer in projections(network))
    weights = torch.softmax(query.transpose(1, 2) @ key, -1)
    return maps + (value @ weights.transpose(1, 2)).view(batch, channels, height, width)


def by_einsum(network, maps):
    query, key, value = (layer(maps).flatten(2) for layer in projections(network))
    weights = torch.softmax(torch.einsum("bcn,bcm->bnm", query, key), -1)
    return torch.einsum("bnm,bcm->bcn", weights, value).view(maps.shape)


def by_fused_attention(network, maps):
    parts = (layer(maps).flatten(2).transpose(1, 2) for layer in projections(network))
    return scaled_dot_product_attention(*parts).transpose(1, 2).reshape(maps.shape)


def by_heads(network, maps):
    parts = (layer(maps).view(2, 2, 4, 64).transpose(2, 3) for layer in projections(network))
    mixed = scaled_dot_product_attention(*parts).transpose(2, 3)
    return maps + mixed.reshape(maps.shape)


def by_itself(network, maps):
    del network
    flat = maps.flatten(2)
    return (torch.softmax(flat @ flat.transpose(1, 2), -1) @ flat).view_as(maps)


def by_a_choice(network, maps):
    return torch.cond(network.score.bias > 9, torch.sin, torch.cos, (maps,))


def by_two_results(network, maps):
    del network
    return torch.frexp(maps)[0]


def by_one_example(network, maps):
    return network.value.weight.new_ones(8, 8).mv(maps[0, :, 0, 0])[None, :, None, None] + maps


def by_a_view_in_place(network, maps):
    first = network.value(maps)[:1]
    return maps + first.squeeze_(0).unsqueeze(0)


def projections(network):
    return network.query, network.key, network.value


@pytest.mark.parametrize(
    "mix",
    [
        *(by_matmul, by_einsum, by_fused_attention, by_heads, by_itself, by_two_results),
        *(by_one_example, by_a_view_in_place),
    ],
)
def test_groups_that_it_touches_are_kept_and_others_can_go(mix):
    network = Mixing(mix)
    groups = find_groups(network, PHOTO)
    assert groups.sizes() == {"hidden": 5, "after": 6}
    removals = third_of(groups)
    gates = {name: gate.detach() for name, gate in ones(groups).items()}
    for name, removed in removals.items():
        gates[name][removed] = 0.0
    with gated(network, groups, gates):
        closed = network(PHOTO)
    torch.testing.assert_close(remove_channels(network, groups, removals)(PHOTO), closed)


def test_operator_that_takes_functions_keeps_what_it_reads():
    assert find_groups(Mixing(by_a_choice), PHOTO).sizes() == {"hidden": 5, "after": 6}


def test_function_that_the_network_compiled_is_seen_into():
    def never(*_):
        raise AssertionError("compiled")

    squared = torch.compile(torch.square, backend=never)
    network = Mixing(lambda network, maps: squared(network.value(maps)))
    assert find_groups(network, PHOTO).sizes() == {"hidden": 5, "stem": 8, "value": 8, "after": 6}
