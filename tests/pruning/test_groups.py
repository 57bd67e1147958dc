import copy
import dataclasses
import warnings
from types import MappingProxyType, SimpleNamespace

import pytest
import torch
from pruning_fixtures import (
    PHOTO,
    Between,
    Concatenation,
    Flattened,
    Grouped,
    Lateral,
    Residual,
    SqueezeExcite,
    Toy,
    Twice,
    third_of,
)
from torch import nn
from torch.nn import functional

from saliency.errors import PruningError
from saliency.pruning.groups import find_groups, remaining_groups
from saliency.pruning.surgery import remove_channels


def written_out(groups):
    """Return, by group and by layer and side, the indexes of each channel."""
    return {
        group.name: {f"{part.layer} {part.side}": part.channels for part in group.slices}
        for group in groups.prunable
    }


def each(*indexes):
    """Return channels of one index each."""
    return tuple((index,) for index in indexes)


def reasons(model):
    return {group.name: reason for group, reason in find_groups(model, PHOTO).unprunable}


def test_residual_sum_couples_what_it_adds():
    four = each(0, 1, 2, 3)
    assert written_out(find_groups(Residual(), PHOTO)) == {
        "stem": {"stem out": four, "branch in": four, "branch out": four, "score in": four}
    }


def test_concatenated_maps_are_groups_of_their_own_read_at_offsets():
    assert written_out(find_groups(Concatenation(), PHOTO)) == {
        "first": {
            "first out": each(0, 1),
            "second in": each(0, 1),
            "norm norm": each(0, 1),
            "score in": each(0, 1),
        },
        "second": {
            "second out": each(0, 1, 2),
            "norm norm": each(2, 3, 4),
            "score in": each(2, 3, 4),
        },
    }


def test_depthwise_convolution_couples_what_it_reads_and_makes():
    four = each(0, 1, 2, 3)
    assert written_out(find_groups(Grouped(groups=4, makes=4), PHOTO)) == {
        "stem": {"stem out": four, "grouped depthwise": four, "score in": four}
    }


def test_depthwise_convolution_with_a_multiplier_makes_several_of_each():
    assert written_out(find_groups(Grouped(groups=2, reads=2, makes=4), PHOTO)) == {
        "stem": {
            "stem out": each(0, 1),
            "grouped depthwise": each(0, 1),
            "score in": ((0, 1), (2, 3)),
        }
    }


def test_groups_of_a_grouped_convolution_go_whole():
    assert written_out(find_groups(Grouped(groups=2, makes=6), PHOTO)) == {
        "stem": {
            "stem out": ((0, 1), (2, 3)),
            "grouped depthwise": each(0, 1),
            "score in": ((0, 1, 2), (3, 4, 5)),
        }
    }


def test_squeeze_and_excite_couples_its_factors_and_has_an_inner_group():
    four = each(0, 1, 2, 3)
    assert written_out(find_groups(SqueezeExcite(), PHOTO)) == {
        "stem": {"stem out": four, "reduce in": four, "expand out": four, "score in": four},
        "reduce": {"reduce out": each(0, 1), "expand in": each(0, 1)},
    }


def test_lateral_sum_couples_through_resizing():
    three, four, six = (each(*range(count)) for count in (3, 4, 6))
    assert written_out(find_groups(Lateral(), PHOTO)) == {
        "fine": {"fine out": four, "coarse in": four, "fine_lateral in": four},
        "coarse": {"coarse out": six, "coarse_lateral in": six},
        "coarse_lateral": {
            "coarse_lateral out": three,
            "fine_lateral out": three,
            "score in": three,
        },
    }


def test_flattened_channel_covers_its_positions():
    assert written_out(find_groups(Flattened(), PHOTO)) == {
        "stem": {"stem out": each(0, 1), "score in": ((0, 1), (2, 3))}
    }


def test_layer_that_runs_twice_has_one_group():
    four = each(0, 1, 2, 3)
    assert written_out(find_groups(Twice(), PHOTO)) == {
        "stem": {"stem out": four, "again in": four, "again out": four, "score in": four}
    }


def test_outputs_are_listed_with_their_reason():
    assert reasons(Between(nn.Identity())) == {
        "score": "the network returns it",
        "hidden.1": "the network returns it",
    }


def test_single_channel_is_kept():
    assert reasons(Between(nn.ReLU(), makes=1, reads=1))["stem"] == "it has one channel only"


@pytest.mark.parametrize(
    ("between", "reason"),
    [
        (
            lambda x: x[:, [1, 0, 2, 3]],
            "aten.index in the network itself mixes or picks channels, or has no rule",
        ),
        (
            lambda x: x[:, 1:],
            "a division into unequal parts in the network itself mixes or picks channels, "
            "or has no rule",
        ),
        (
            lambda x: x.softmax(dim=1),
            "aten._softmax in the network itself mixes or picks channels, or has no rule",
        ),
        (
            lambda x: x * torch.arange(4.0).view(4, 1, 1),
            "it is added to or multiplied by a tensor that is not cut with it",
        ),
        (
            lambda x: x * x.mean(dim=1, keepdim=True),
            "aten.mean in the network itself mixes or picks channels, or has no rule",
        ),
        (
            lambda x: functional.conv2d(x, torch.ones(4, 4, 1, 1)),
            "aten.convolution in the network itself mixes or picks channels, or has no rule",
        ),
    ],
)
def test_operation_that_tells_channels_apart_keeps_them(between, reason):
    makes, reads = 4, between(torch.zeros(2, 4, 8, 8)).shape[1]
    assert reasons(Between(between, makes=makes, reads=reads))["stem"] == reason


def test_channels_joined_with_the_input_keep_it():
    class Joined(Between):
        def forward(self, photo):
            return self.score(torch.cat((self.stem(photo), photo), dim=1))

    groups = find_groups(Joined(None, reads=7), PHOTO)
    assert written_out(groups) == {
        "stem": {"stem out": each(0, 1, 2, 3), "score in": each(0, 1, 2, 3)}
    }


def test_weight_used_outside_of_its_layer_is_kept():
    class Decayed(Between):
        def forward(self, photo):
            return super().forward(photo)[0] + self.stem.weight.square().sum()

    assert reasons(Decayed(nn.ReLU()))["stem"] == "the weight of stem is used elsewhere too"


def test_network_without_prunable_channels_is_an_error_of_one_line():
    with pytest.raises(PruningError, match=r"^Conv2d has .* the network returns it; prune .*maps$"):
        find_groups(nn.Conv2d(3, 4, 1), PHOTO)


def test_finding_groups_leaves_the_network_as_it_was():
    model = Concatenation().train()
    before = copy.deepcopy(model.state_dict())
    find_groups(model, PHOTO)
    assert model.training
    assert not model._forward_hooks
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    "model",
    [Concatenation(), Grouped(groups=3, reads=6, makes=6), SqueezeExcite(), Lateral()],
    ids=lambda model: type(model).__name__,
)
def test_remaining_groups_are_those_found_in_the_pruned_network(model):
    groups = find_groups(model, PHOTO)
    removals = third_of(groups)
    pruned = remove_channels(model, groups, removals)
    remaining, found = remaining_groups(groups, removals), find_groups(pruned, PHOTO)
    assert remaining.prunable == found.prunable
    assert set(remaining.unprunable) == set(found.unprunable)


@dataclasses.dataclass
class Maps:
    deep: torch.Tensor
    score: torch.Tensor


class Returning(Toy):
    """Returns a feature map and a score, wrapped."""

    def __init__(self, wrap):
        super().__init__(
            first=nn.Conv2d(3, 5, 1), deep=nn.Conv2d(5, 4, 1), score=nn.Conv2d(4, 1, 1)
        )
        self.wrap = wrap

    def forward(self, photo):
        deep = self.deep(self.first(photo))
        return self.wrap(deep, self.score(deep))


@pytest.mark.parametrize(
    "wrap",
    [
        Maps,
        lambda deep, score: SimpleNamespace(deep=deep, score=score),
        lambda deep, score: MappingProxyType({"deep": deep, "score": score}),
        lambda deep, score: [{"maps": Maps(deep, score)}],
    ],
    ids=["dataclass", "namespace", "mapping", "nested"],
)
def test_feature_maps_in_whatever_is_returned_keep_their_channels(wrap):
    groups = find_groups(Returning(wrap), PHOTO)
    assert groups.sizes() == {"first": 5}
    reasons = {group.name: reason for group, reason in groups.unprunable}
    assert reasons["deep"] == "the network returns it"


@pytest.mark.parametrize("is_whole", [True, False])
def test_compiled_and_scripted_parts_are_refused(is_whole):
    for change, named in ((torch.compile, "compiled"), (scripted, "scripted")):
        network = Returning(Maps)
        if is_whole:
            network = change(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 1, 1)))
        else:
            network.deep = change(network.deep)
        place = "the network is" if is_whole else "deep is"
        with pytest.raises(PruningError, match=place) as raised:
            find_groups(network, PHOTO)
        assert named in str(raised.value)


def scripted(network):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its deprecation
        return torch.jit.script(network)


def test_inputs_by_keyword_are_those_by_position():
    by_position = written_out(find_groups(Residual(), PHOTO))
    assert written_out(find_groups(Residual(), photo=PHOTO)) == by_position
