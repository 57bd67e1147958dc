import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from saliency.errors import PruningError
from saliency.pruning.latency.engines import ENGINES
from saliency.pruning.latency.exporting import export_copy
from saliency.pruning.latency.measuring import conditions_of
from saliency.pruning.latency.quantization import quantize

EXAMPLE = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(1))
EXAMPLES = [{"input": EXAMPLE.numpy()}, {"input": EXAMPLE.flip(3).numpy()}]


class Network(nn.Module):
    """From a photo to a map, which is blurred; with a residual sum in the middle."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.wide = nn.Conv2d(16, 48, 1)
        self.depthwise = nn.Conv2d(48, 48, 3, padding=1, groups=48)
        self.narrow = nn.Conv2d(48, 16, 1)
        self.score = nn.Conv2d(16, 1, 1)
        self.blur = nn.Conv2d(1, 1, 5, padding=2)

    def forward(self, photos):
        seen = nn.functional.relu6(self.stem(photos))
        inner = nn.functional.relu6(self.depthwise(nn.functional.relu6(self.wide(seen))))
        return self.blur(self.score(seen + self.narrow(inner)))


@pytest.fixture(scope="module")
def graph():
    torch.manual_seed(0)
    return export_copy(Network(), EXAMPLE)


@pytest.fixture(scope="module")
def quantized(graph):
    return quantize(graph, EXAMPLES)


def run(model, inputs=EXAMPLES[0]):
    (result,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, inputs)
    return result


def quantized_layers(model):
    """Return the names of the convolutions whose weights are 8-bit integers."""
    integers = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    return [
        node.name.strip("/").split("/")[0]
        for node in model.graph.node
        if node.op_type == "Conv" and node.input[1] in integers
    ]


def test_result_is_nearly_that_of_the_network(graph, quantized):
    expected, given = run(graph), run(quantized)
    assert np.abs(given - expected).max() < 0.05 * np.ptp(expected)
    assert not np.allclose(given, expected, atol=1e-5)


def test_layers_that_read_the_photo_or_the_result_keep_their_numbers(quantized):
    assert quantized_layers(quantized) == ["wide", "depthwise", "narrow", "score"]


def test_sum_and_activations_between_quantized_layers_are_quantized(quantized):
    behind = {node.output[0] for node in quantized.graph.node if node.op_type == "DequantizeLinear"}
    (total,) = (node for node in quantized.graph.node if node.op_type == "Add")
    assert set(total.input) <= behind


def test_weights_leave_room_for_sums_of_two_products_in_16_bits(quantized):
    weights = [
        numpy_helper.to_array(tensor)
        for tensor in quantized.graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) == 4
    ]
    assert len(weights) == 4
    assert all(abs(weight.astype(int)).max() <= 64 for weight in weights)
    assert 2 * 255 * 64 < 2**15


def test_network_goes_on_to_take_any_size_and_keeps_its_metadata(graph):
    free = onnx.ModelProto()
    free.CopyFrom(graph)
    for value in (*free.graph.input, *free.graph.output):
        for side in (2, 3):
            value.type.tensor_type.shape.dim[side].dim_param = f"{value.name}_{side}"
    free.metadata_props.add(key="saliency", value="{}")
    quantized = quantize(free, EXAMPLES)
    assert [(entry.key, entry.value) for entry in quantized.metadata_props] == [("saliency", "{}")]
    assert run(quantized, {"input": EXAMPLES[0]["input"][:, :, :20, :40]}).shape == (1, 1, 10, 20)


def test_graph_without_names_is_quantized_too(graph):
    nameless = onnx.ModelProto()
    nameless.CopyFrom(graph)
    for node in nameless.graph.node:
        node.name = ""
    assert len(quantized_layers(quantize(nameless, EXAMPLES))) == 4


@pytest.mark.parametrize(("factors", "stored"), [((2.0, 2.0, 2.0), 1), ((2.0, 2.0, 3.0), 3)])
def test_equal_factors_of_channels_become_one(factors, stored):
    class Normalized(Network):
        def forward(self, photos):
            return super().forward(photos * torch.tensor(factors).view(1, 3, 1, 1))

    graph = export_copy(Normalized(), EXAMPLE)
    quantized = quantize(graph, EXAMPLES)
    (product,) = (node for node in quantized.graph.node if node.op_type == "Mul")
    sizes = {tensor.name: list(tensor.dims) for tensor in quantized.graph.initializer}
    assert sizes[product.input[1]] == [1, stored, 1, 1]
    expected = run(graph)
    assert np.abs(run(quantized) - expected).max() < 0.05 * np.ptp(expected)


def test_factors_that_make_three_channels_of_one_stay():
    class Grey(Network):
        def forward(self, photos):
            return super().forward(photos[:, :1] * torch.full((1, 3, 1, 1), 2.0))

    graph = export_copy(Grey(), EXAMPLE)
    expected = run(graph)
    assert np.abs(run(quantize(graph, EXAMPLES)) - expected).max() < 0.05 * np.ptp(expected)


def test_network_without_convolutions_stays_as_it_is():
    graph = export_copy(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 48, 2)), EXAMPLE)
    assert run(quantize(graph, EXAMPLES)) == pytest.approx(run(graph))


@pytest.mark.parametrize("cut_off", [torch.relu, lambda values: torch.clamp(values, -0.1, 0.1)])
def test_output_that_is_cut_off_further_on_stays_whole(cut_off):
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)
            self.middle = nn.Conv2d(8, 8, 3)

        def forward(self, photos):
            between = self.middle(torch.relu(self.first(photos)))
            return between, self.last(cut_off(between))

    torch.manual_seed(0)
    graph = export_copy(Both(), EXAMPLE)
    runs = [
        onnxruntime.InferenceSession(model.SerializeToString()).run(None, EXAMPLES[0])
        for model in (graph, quantize(graph, EXAMPLES))
    ]
    for expected, given in zip(*runs, strict=True):
        assert np.abs(given - expected).max() < 0.08 * np.ptp(expected)


def test_names_that_are_given_are_not_taken(graph):
    clash = onnx.ModelProto()
    clash.CopyFrom(graph)
    first, *others = (node for node in clash.graph.node if node.op_type == "Conv")
    index = list(clash.graph.node).index(first)
    first.name = ""
    others[0].name = f"Conv_{index}"
    quantized = quantize(clash, EXAMPLES)
    names = [node.name for node in quantized.graph.node]
    assert len(set(names)) == len(names)
    assert names.count(f"Conv_{index}") == 1
    assert run(quantized) == pytest.approx(run(quantize(graph, EXAMPLES)), abs=1e-5)


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ([], "expected examples of the network's inputs, got none"),
        ([EXAMPLES[0], {"input": EXAMPLE.numpy() * np.nan}], "finite numbers in the examples"),
    ],
)
def test_examples_that_show_nothing_are_refused(graph, examples, message):
    with pytest.raises(PruningError, match=message):
        quantize(graph, examples)


def test_graphs_that_cannot_be_quantized_are_refused(graph):
    old, broken = onnx.ModelProto(), onnx.ModelProto()
    old.CopyFrom(graph)
    old.opset_import[0].version = 12
    with pytest.raises(PruningError, match="opset 13 or later, got 12"):
        quantize(old, EXAMPLES)
    broken.CopyFrom(graph)
    weight = broken.graph.initializer[0]
    values = numpy_helper.to_array(weight) * np.inf
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    with pytest.raises(PruningError, match="expected finite weights"):
        quantize(broken, EXAMPLES)


def test_examples_of_another_size_are_an_error_with_a_remedy(graph):
    with pytest.raises(PruningError, match="cannot run the network on the examples"):
        quantize(graph, [{"input": np.zeros((1, 3, 8, 8), dtype=np.float32)}])


def test_engine_runs_the_quantized_network_and_a_table_says_so(graph, quantized):
    engine = ENGINES["onnxruntime-int8"](threads=1)
    (given,) = engine.prepare(graph, EXAMPLES[0])()
    assert not np.allclose(given, run(graph), atol=1e-5)
    assert given == pytest.approx(run(quantized), abs=0.05 * float(np.ptp(given)))
    conditions = conditions_of(engine, input_size=(32, 48))
    assert (conditions.engine, conditions.dtype) == ("onnxruntime-int8", "int8")
