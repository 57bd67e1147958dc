import numpy as np
import pytest
import torch
from latency_fixtures import Toy
from torch import nn
from training_fixtures import random_model

from saliency.model.export import saliency_graph
from saliency.pruning.costs import ChannelCount, NetworkCost, create_cost, flops, parameters
from saliency.pruning.groups import find_groups
from saliency.pruning.latency.engines import OnnxRuntimeEngine
from saliency.pruning.latency.exporting import export_copy
from saliency.pruning.latency.measuring import conditions_of
from saliency.pruning.latency.onnx_graph import find_operations, find_templates
from saliency.pruning.latency.table import LatencyTable, Row
from saliency.pruning.surgery import remove_channels

SHAPE = (1, 3, 16, 24)
PHOTO = torch.zeros(SHAPE)


class Chain(nn.Module):
    """A stem, a depthwise layer and a pointwise one, with a sum and a concatenation between."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.side = nn.Conv2d(3, 4, 1)
        self.score = nn.Conv2d(20, 2, 1)

    def forward(self, images):
        stem = torch.relu(self.stem(images))
        return self.score(torch.cat([stem + self.depthwise(stem), self.side(images)], dim=1))


def graph_of(module, example=PHOTO):
    return export_copy(module.eval(), example)


def cost_of(module, price, example=PHOTO):
    module = module.eval()
    templates = find_templates(graph_of(module, example), input_shape=tuple(example.shape))
    return NetworkCost(templates, find_groups(module, example), price)


def full_sizes(groups):
    return {group.name: group.size for group in groups.prunable}


def test_channels_of_each_operation_follow_the_groups():
    cost = cost_of(Chain(), flops)
    sizes = {"stem": 5, "side": 3}
    found = [
        (one.kind, reads.at(sizes), writes.at(sizes)) for one, reads, writes in cost.operations
    ]
    assert found == [
        ("convolution", 3, 5),
        ("convolution", 5, 5),
        ("Add", 5, 5),
        ("convolution", 3, 3),
        ("Concat", 8, 8),
        ("convolution", 8, 2),
    ]


@pytest.mark.parametrize("price", [flops, parameters, lambda one: one.in_channels**1.5])
def test_cost_at_a_size_is_that_of_the_network_cut_to_it(price):
    module = Chain().eval()
    groups = find_groups(module, PHOTO)
    removals = {"stem": [0, 3, 5], "side": [1]}
    operations = find_operations(
        graph_of(remove_channels(module, groups, removals)), input_shape=SHAPE
    )
    expected = sum(map(price, operations))
    assert cost_of(module, price).total({"stem": 13, "side": 3}) == pytest.approx(expected)


def test_cost_of_the_saliency_model_follows_its_removals():
    model = random_model()
    example = torch.zeros(1, 64, 96, 3, dtype=torch.uint8)
    groups, shape = find_groups(model, example), tuple(example.shape)
    random = np.random.default_rng(0)
    removals = {
        group.name: random.permutation(group.size)[: group.size // 3].tolist()
        for group in groups.prunable
        if group.size >= 3
    }
    sizes = {name: size - len(removals.get(name, ())) for name, size in full_sizes(groups).items()}
    cost = NetworkCost(find_templates(saliency_graph(model), input_shape=shape), groups, flops)
    pruned = saliency_graph(remove_channels(model, groups, removals))
    assert cost.total(sizes) == sum(map(flops, find_operations(pruned, input_shape=shape)))
    assert cost.total(sizes) < 0.6 * cost.total(full_sizes(groups))


def test_change_counts_the_maker_and_all_readers():
    """16·9·3+16 weights make the stem, 16·9+16 are depthwise, the score reads 20·2."""
    cost = cost_of(Chain(), parameters)
    per_channel = (9 * 3 + 1) + (9 + 1) + 2
    changes = cost.changes({"stem": 16, "side": 4}, "stem", most=15)
    assert changes.tolist() == [-per_channel * count for count in range(1, 16)]


def test_changes_are_differences_of_the_total():
    cost = cost_of(Chain(), flops)
    sizes = {"stem": 9, "side": 4}
    expected = [cost.total({**sizes, "stem": n}) - cost.total(sizes) for n in range(8, 0, -1)]
    assert cost.changes(sizes, "stem", most=8) == pytest.approx(np.array(expected))


def test_neighbours_are_the_groups_read_or_written_together():
    cost = cost_of(Toy(), flops)
    (name,) = full_sizes(find_groups(Toy().eval(), PHOTO))
    assert cost.neighbours(name) == {name}
    assert cost_of(Chain(), flops).neighbours("stem") == {"stem", "side"}  # by the concatenation


def test_flops_of_a_convolution_are_counted_by_hand():
    layers = nn.Conv2d(3, 4, 3, stride=2, padding=1)
    (operation,) = find_operations(graph_of(layers), input_shape=SHAPE)
    assert flops(operation) == 2 * (8 * 12) * 4 * 3 * 9
    assert parameters(operation) == 4 * 3 * 9 + 4


def test_cost_none_counts_channels():
    cost = ChannelCount()
    assert cost.changes({"a": 4}, "a", most=3).tolist() == [-1.0, -2.0, -3.0]
    assert cost.neighbours("a") == {"a"}


def test_latency_is_that_of_the_table():
    module = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 2, 1)).eval()
    templates = find_templates(graph_of(module), input_shape=SHAPE)
    groups = find_groups(module, PHOTO)
    (signature,) = {template.operation.signature for template in templates}
    times = {(3, 8): 1.0, (8, 2): 2.0, (3, 4): 0.75, (4, 2): 1.5}
    rows = tuple(
        Row(signature, *pair, median_ms=ms, spread_ms=0.0, runs=1) for pair, ms in times.items()
    )
    conditions = conditions_of(OnnxRuntimeEngine(), input_size=SHAPE[2:])
    table = LatencyTable(conditions, reference_ms=1.0, call_ms=0.25, rows=rows)
    cost = create_cost("latency", table, templates, groups)
    assert cost.total({"0": 8}) == 3.25
    assert cost.total({"0": 4}) == 2.5
