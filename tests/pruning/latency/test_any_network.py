"""Facts about the latency tables of networks of other kinds of layers than plain convolutions."""

from types import SimpleNamespace

import onnxruntime
import pytest
import torch
from latency_fixtures import CountingEngine
from torch import nn
from torchvision.ops import DeformConv2d

from saliency.errors import PruningError
from saliency.pruning.costs import NetworkCost, flops, latency_cost
from saliency.pruning.groups import find_groups
from saliency.pruning.latency.exporting import export_copy
from saliency.pruning.latency.measuring import measure_table
from saliency.pruning.latency.onnx_graph import find_operations, find_templates, simplify
from saliency.pruning.latency.table_file import table_from_json, table_to_json
from saliency.pruning.surgery import remove_channels

PHOTO, SOUND, VOLUME = torch.rand(1, 3, 16, 24), torch.rand(1, 3, 20), torch.rand(1, 3, 6, 8, 8)
TOKENS = torch.rand(1, 10, 16)


class CheckingEngine(CountingEngine):
    """Counts nodes for time too, of graphs that ONNX Runtime can run."""

    def prepare(self, model, inputs):
        onnxruntime.InferenceSession(model.SerializeToString()).run(None, inputs)
        return super().prepare(model, inputs)


class FirstOutput(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, tokens):
        return self.layer(tokens)[0]


class Deformable(nn.Module):
    def __init__(self):
        super().__init__()
        self.offset, self.bent = nn.Conv2d(3, 18, 3, padding=1), DeformConv2d(3, 8, 3, padding=1)

    def forward(self, photo):
        return self.bent(photo, self.offset(photo))


def plain(*layers):
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), *layers, nn.Conv2d(8, 2, 1))


def pooled(convolution, norm, pool):
    return nn.Sequential(
        *(convolution(3, 8, 3), norm(8), nn.ReLU(), convolution(8, 6, 3), nn.ReLU(), pool(1)),
        *(nn.Flatten(), nn.Linear(6, 4)),
    )


def circular():
    return plain(nn.Conv2d(8, 8, 3, padding=1, padding_mode="circular"))


def network_of(kind):
    """Return a network, and an example for it."""
    torch.manual_seed(0)
    return {
        "transposed": lambda: (plain(nn.ConvTranspose2d(8, 8, 2, 2), nn.ReLU()), PHOTO),
        "grouped": lambda: (plain(nn.ConvTranspose2d(8, 8, 3, 2, 1, 1, groups=4)), PHOTO),
        "depthwise": lambda: (plain(nn.ConvTranspose2d(8, 8, 4, 2, 1, groups=8)), PHOTO),
        "1-d": lambda: (pooled(nn.Conv1d, nn.BatchNorm1d, nn.AdaptiveAvgPool1d), SOUND),
        "3-d": lambda: (pooled(nn.Conv3d, nn.BatchNorm3d, nn.AdaptiveAvgPool3d), VOLUME),
        "same": lambda: (plain(nn.Conv2d(8, 8, (3, 4), padding="same")), PHOTO),
        "circular": lambda: (circular(), PHOTO),
        "transformer": lambda: (nn.TransformerEncoderLayer(16, 4, 24, batch_first=True), TOKENS),
        "half": lambda: (plain(nn.BatchNorm2d(8), nn.ReLU()).half(), PHOTO.half()),
    }[kind]()


@pytest.mark.parametrize(
    ("kind", "layers"),
    [
        ("transposed", {"0": (3, 8), "1": (8, 8), "3": (8, 2)}),
        ("grouped", {"0": (3, 8), "1": (8, 8), "2": (8, 2)}),
        ("depthwise", {"0": (3, 8), "1": (8, 8), "2": (8, 2)}),
        ("1-d", {"0": (3, 8), "3": (8, 6), "7": (6, 4)}),
        ("3-d", {"0": (3, 8), "3": (8, 6), "7": (6, 4)}),
        ("same", {"0": (3, 8), "1": (8, 8), "2": (8, 2)}),
        ("circular", {"0": (3, 8), "1": (8, 8), "2": (8, 2)}),
        ("transformer", {"linear1": (16, 24), "linear2": (24, 16)}),
        ("half", {"0": (3, 8), "3": (8, 2)}),
    ],
)
def test_layers_are_measured_at_all_numbers_of_channels(kind, layers):
    network, example = network_of(kind)
    shape = tuple(example.shape)
    graph, engine = export_copy(network, example), CheckingEngine()
    table = measure_table(graph, engine, input_shape=shape, input_size=(16, 24), rounds=1)
    operations = find_operations(graph, input_shape=shape)
    found = {one.layer: (one.in_channels, one.out_channels) for one in operations}
    assert {name: found[name] for name in layers} == layers
    nodes = len(simplify(graph, input_shape=shape).graph.node)
    assert table.network_latency_ms(operations) == pytest.approx(nodes)
    assert table.rest_ms == 0


@pytest.mark.parametrize("kind", ["1-d", "3-d", "same", "circular", "half"])
def test_multiplications_follow_the_channels(kind):
    network, example = network_of(kind)
    example, network = example.float(), network.float().eval()
    shape, groups = tuple(example.shape), find_groups(network, example)
    cost = NetworkCost(
        find_templates(export_copy(network, example), input_shape=shape), groups, flops
    )
    removals = {group.name: [1, 4] for group in groups.prunable}
    pruned = export_copy(remove_channels(network, groups, removals), example)
    sizes = {group.name: group.size - 2 for group in groups.prunable}
    assert cost.total(sizes) == sum(map(flops, find_operations(pruned, input_shape=shape)))


def test_multiplications_of_transposed_and_linear_layers_are_those_written_out():
    (transposed,) = find_operations(
        export_copy(nn.ConvTranspose2d(3, 5, 2, 2), PHOTO), input_shape=(1, 3, 16, 24)
    )
    assert flops(transposed) == 2 * (16 * 24) * (3 * 5) * (2 * 2)
    operations = find_operations(
        export_copy(nn.Linear(16, 7, bias=False), TOKENS), input_shape=(1, 10, 16)
    )
    assert [flops(one) for one in operations] == [2 * 10 * 16 * 7]


def test_padding_is_that_which_its_name_stands_for():
    network, _ = network_of("same")
    operations = find_operations(export_copy(network, PHOTO), input_shape=(1, 3, 16, 24))
    assert operations[1].padding == (1, 1, 1, 2)


@pytest.mark.parametrize(
    ("network", "example", "kind"),
    [
        (FirstOutput(nn.LSTM(16, 8, batch_first=True, bidirectional=True)), TOKENS, "LSTM"),
        (FirstOutput(nn.GRU(16, 8, num_layers=2, batch_first=True)), TOKENS, "GRU"),
        (Deformable(), PHOTO, "DeformConv"),
    ],
)
def test_share_that_stays_is_named(network, example, kind):
    graph, shape = export_copy(network, example), tuple(example.shape)
    with pytest.warns(UserWarning, match=rf"^{kind} cannot be measured at other .* \d+%"):
        table = measure_table(
            graph, CheckingEngine(), input_shape=shape, input_size=(16, 24), rounds=1
        )
    nodes = len(simplify(graph, input_shape=shape).graph.node)
    operations = find_operations(graph, input_shape=shape)
    assert table.network_latency_ms(operations) == pytest.approx(nodes)


class NoSums(CountingEngine):
    """Cannot run a sum by itself, though in the network."""

    def prepare(self, model, inputs):
        is_row = model.graph.name == "row"
        if is_row and any(node.op_type == "Add" for node in model.graph.node):
            raise RuntimeError("no such kernel")
        return super().prepare(model, inputs)


class Sum(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.other, self.score = (nn.Conv2d(*io, 1) for io in ((3, 8), (8, 8), (8, 2)))

    def forward(self, photo):
        stem = self.stem(photo)
        return self.score(stem + self.other(stem) + stem)


def test_what_an_engine_cannot_run_by_itself_is_a_rest_that_stays():
    """With a millisecond a node, 5 in all: three convolutions, a call, and 1 is left."""
    network = Sum().eval()
    graph, shape = export_copy(network, PHOTO), (1, 3, 16, 24)
    with pytest.warns(UserWarning, match="Add cannot be measured .* 20% of the network's time"):
        table = measure_table(graph, NoSums(), input_shape=shape, input_size=(16, 24), rounds=1)
    operations = find_operations(graph, input_shape=shape)
    # A sandwich is three nodes; less a call, and twice half of what two slices take beyond it.
    times_ms = [3 - 1 - 1 if one.kind == "convolution" else 0 for one in operations]
    assert [table.latency_ms(one) for one in operations] == pytest.approx(times_ms)
    assert (table.call_ms, table.rest_ms) == (1, pytest.approx(1))
    again = table_from_json(table_to_json(table))
    assert again.network_latency_ms(operations) == pytest.approx(5)
    templates, groups = find_templates(graph, input_shape=shape), find_groups(network, PHOTO)
    assert latency_cost(table, templates, groups).total({"stem": 8}) == pytest.approx(5)


class Several(nn.Module):
    """Two inputs, one by keyword; a mapping and a namespace of outputs."""

    def __init__(self):
        super().__init__()
        self.left, self.right, self.score = (nn.Conv2d(n, 8, 1) for n in (3, 3, 8))

    def forward(self, left, *, right, scale=1.0):
        both = self.left(left) + scale * self.right(right)
        return {"score": self.score(both), "more": [SimpleNamespace(both=both)]}


def test_several_inputs_and_nested_outputs_are_measured():
    graph = export_copy(Several(), PHOTO, right=PHOTO[..., :1])
    shapes = ((1, 3, 16, 24), (1, 3, 16, 1))
    table = measure_table(
        graph, CheckingEngine(), input_shape=shapes, input_size=(16, 24), rounds=1
    )
    assert [value.name for value in graph.graph.input] == ["input0", "input1"]
    assert len(graph.graph.output) == 2
    kinds = [one.kind for one in find_operations(graph, input_shape=shapes)]
    assert kinds == ["convolution", "convolution", "Add", "convolution"]
    assert table.rest_ms == 0


def test_number_of_shapes_is_checked():
    graph = export_copy(Several(), PHOTO, right=PHOTO)
    with pytest.raises(PruningError, match="a shape for each of the inputs input0, input1, got 1"):
        simplify(graph, input_shape=(1, 3, 16, 24))


def test_network_in_bfloat16_is_refused_with_the_way_out():
    with pytest.raises(PruningError, match="export it in float32"):
        simplify(export_copy(plain().bfloat16(), PHOTO.bfloat16()), input_shape=(1, 3, 16, 24))


def test_network_that_an_engine_cannot_run_is_refused_in_one_line():
    class Broken(CountingEngine):
        def prepare(self, model, inputs):
            if model.graph.name != "row":
                raise RuntimeError("no kernel\nand more")
            return super().prepare(model, inputs)

    with pytest.raises(
        PruningError, match=r"engine counting cannot run the network: no kernel and more$"
    ):
        measure_table(
            export_copy(plain(), PHOTO), Broken(), input_shape=(1, 3, 16, 24), input_size=(16, 24)
        )
