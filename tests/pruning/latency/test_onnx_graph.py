import onnx
import onnxruntime
import pytest
import torch
from latency_fixtures import Toy, toy_graph
from torch import nn

from saliency.errors import PruningError
from saliency.pruning.latency.exporting import export_copy
from saliency.pruning.latency.onnx_graph import (
    find_operations,
    find_templates,
    layer_name,
    read_graph,
    simplify,
)
from saliency.pruning.latency.operations import Operation
from saliency.pruning.latency.sandwich import BREAD_CHANNELS, row_graph

SHAPE = (1, 3, 16, 24)


@pytest.fixture(scope="module")
def operations():
    return find_operations(toy_graph(), input_shape=SHAPE)


def widths(operation):
    return operation.in_channels, operation.out_channels


def test_operations_of_a_toy_network_are_those_written_out(operations):
    assert [(found.kind, found.layer, *widths(found)) for found in operations] == [
        ("convolution", "stem.0", 3, 8),
        ("convolution", "depthwise", 8, 8),
        ("Add", "", 8, 8),
        ("Concat", "", 16, 16),
        ("convolution", "heads.0", 16, 2),
    ]


def test_convolution_is_described_with_its_activation(operations):
    assert operations[0] == Operation(
        kind="convolution",
        layer="stem.0",
        in_channels=3,
        out_channels=8,
        input_size=(16, 24),
        kernel=(3, 3),
        stride=(2, 2),
        padding=(1, 1, 1, 1),
        dilation=(1, 1),
        activation="Relu",
    )


def test_depthwise_convolution_has_one_width(operations):
    assert [found.has_two_widths for found in operations] == [True, False, False, False, True]
    assert operations[1].is_depthwise


def test_layers_are_named_as_in_the_module(operations):
    names = {name for name, module in Toy().named_modules() if isinstance(module, nn.Conv2d)}
    assert {found.layer for found in operations if found.kind == "convolution"} == names


def test_name_of_a_nested_sequence_is_not_repeated():
    assert layer_name("/backbone/blocks.0/blocks.0.1/conv_pw/Conv") == "backbone.blocks.0.1.conv_pw"


def test_signature_does_not_depend_on_the_channels():
    def signatures(width):
        layers = nn.Sequential(nn.Conv2d(3, width, 3), nn.Conv2d(width, width, 3, groups=width))
        graph = export_copy(layers, torch.zeros(SHAPE))
        return [found.signature for found in find_operations(graph, input_shape=SHAPE)]

    assert signatures(8) == signatures(20)


def test_signature_depends_on_the_size_of_the_map():
    graph = export_copy(nn.Conv2d(3, 4, 1), torch.zeros(SHAPE))
    (small,) = find_operations(graph, input_shape=SHAPE)
    graph = export_copy(nn.Conv2d(3, 4, 1), torch.zeros(1, 3, 32, 48))
    (large,) = find_operations(graph, input_shape=(1, 3, 32, 48))
    assert small.signature != large.signature


def test_input_of_another_size_is_refused():
    with pytest.raises(PruningError, match="export it with free sizes"):
        simplify(toy_graph(), input_shape=(1, 3, 32, 32))


@pytest.mark.parametrize("count", [4, 7, 8, 24])
def test_every_operation_runs_at_other_widths(count):
    for template in find_templates(toy_graph(), input_shape=SHAPE):
        graph = row_graph(template, in_channels=count, out_channels=count)
        session = onnxruntime.InferenceSession(graph.model.SerializeToString())
        (result,) = session.run(None, graph.inputs)
        batch, channels, *size = graph.ends[-1]
        assert channels == count
        assert result.shape == (batch, BREAD_CHANNELS, *size)


def test_channels_that_become_positions_are_no_channels():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.PixelShuffle(2))
    (*_, shuffle) = find_templates(export_copy(network, torch.zeros(SHAPE)), input_shape=SHAPE)
    assert (shuffle.operation.kind, *widths(shuffle.operation)) == ("DepthToSpace", 0, 0)
    graph = row_graph(shuffle, in_channels=0, out_channels=0)
    session = onnxruntime.InferenceSession(graph.model.SerializeToString())
    (result,) = session.run(None, graph.inputs)
    assert result.shape == (1, 1, 32, 48)


def test_attributes_that_onnxruntime_adds_unset_change_no_signature():
    layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.MaxPool2d(3, 2, 1))
    graph = simplify(export_copy(layers, torch.rand(SHAPE)), input_shape=SHAPE)
    plain = find_operations(graph, input_shape=SHAPE)
    pool = next(node for node in graph.graph.node if node.op_type == "MaxPool")
    pool.attribute.append(onnx.helper.make_attribute("auto_pad", "NOTSET"))
    pool.attribute.append(onnx.helper.make_attribute("storage_order", 0))
    marked = [template.operation for template in read_graph(graph)[0]]
    assert [one.signature for one in marked] == [one.signature for one in plain]
