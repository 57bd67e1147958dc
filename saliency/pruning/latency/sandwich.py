"""Tiny ONNX graphs, one for each row of a latency table.

A layer measured alone includes the conversion of its input and output to the engine's own order of
channels, which inside a network happens at the ends only, and reads its input from distant memory.
So an operation is measured in a sandwich: a 1×1 convolution makes its input out of a few channels,
as layers of a network do, and another one makes a few channels out of its output; the time of this
"bread" is subtracted. What an operation costs its neighbours stays included: a padding that needs
the plain order is charged with both conversions, and a sum that the engine fuses into a convolution
with the little that it adds there.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from saliency.pruning.latency.operations import CONVOLUTIONS, LINEAR, Shape, Template

IR_VERSION = 8
OPSET = 17
BREAD_CHANNELS = 8

REFERENCE_LAYERS = (
    (8, 3, 2),
    *((48, 1, 1), (48, 3, 2), (24, 1, 1)),
    *((96, 1, 1), (96, 3, 2), (40, 1, 1)),
    *((160, 1, 1), (160, 3, 2), (80, 1, 1)),
    *((320, 1, 1), (320, 3, 2), (112, 1, 1)),
)
"""Channels written, kernel and stride of the reference's layers; those that keep the number of
channels are depthwise."""

_WEIGHTS = np.random.default_rng(0).uniform(-0.1, 0.1, 4099).astype(np.float32)

Tensors = dict[str, np.ndarray]


@dataclass(frozen=True)
class RowGraph:
    """An ONNX graph whose time is to be measured.

    Attributes:
        model: the graph.
        inputs: what to run it on.
        ends: shapes of the maps at which it has an end and a slice of bread.
    """

    model: onnx.ModelProto
    inputs: Tensors
    ends: tuple[Shape, ...] = ()


def bread_graph(shape: Shape) -> RowGraph:
    """Return two slices of bread on a map of a shape: what both ends of a sandwich cost."""
    constants: Tensors = {}
    nodes = [_upper("input", "middle", shape, constants), _lower("middle", shape, constants)]
    inputs = {"input": _fill(_thin(shape))}
    return RowGraph(_model(nodes, inputs, ("output", _thin(shape)), constants, opset=OPSET), inputs)


def call_graph() -> RowGraph:
    """Return a graph that does almost nothing, to time a call."""
    inputs = {"input": _fill((1, 1, 1, 1))}
    nodes = [helper.make_node("Neg", ["input"], ["output"])]
    return RowGraph(_model(nodes, inputs, ("output", (1, 1, 1, 1)), {}, opset=OPSET), inputs)


def whole_graph(model: onnx.ModelProto) -> RowGraph:
    """Return a whole network of fixed shapes, with inputs to run it on."""
    inputs = {}
    for value in model.graph.input:
        kind = value.type.tensor_type
        shape = tuple(dimension.dim_value for dimension in kind.shape.dim)
        inputs[value.name] = _fill(shape).astype(_dtype(kind.elem_type))
    return RowGraph(model, inputs)


def reference_graph() -> RowGraph:
    """Return a small network of two milliseconds, whose time measures the machine's pace.

    It has layers of all kinds and sizes that matter, as another busy program slows layers that wait
    for memory more than those that compute. Times are multiples of it, so it must never change.
    """
    nodes: list[onnx.NodeProto] = []
    constants: Tensors = {}
    shape = (1, 3, 192, 256)
    inputs = {"0": _fill(shape)}
    height, width, reads = 192, 256, 3
    for writes, kernel, stride in REFERENCE_LAYERS:
        depthwise = writes == reads
        number = len(nodes)
        constants[f"{number}.weight"] = _fill((writes, 1 if depthwise else reads, kernel, kernel))
        nodes.append(
            helper.make_node(
                "Conv",
                [f"{number}", f"{number}.weight"],
                [f"{number + 1}"],
                kernel_shape=[kernel] * 2,
                strides=[stride] * 2,
                pads=[kernel // 2] * 4,
                group=reads if depthwise else 1,
            )
        )
        height, width, reads = height // stride, width // stride, writes
    output = (f"{len(nodes)}", (1, reads, height, width))
    return RowGraph(_model(nodes, inputs, output, constants, opset=OPSET), inputs)


def row_graph(template: Template, *, in_channels: int, out_channels: int) -> RowGraph:
    """Return an operation at some number of channels, in its sandwich.

    An operation without channels comes without bread, and so does a linear layer, which engines
    compute in the plain order.
    """
    nodes, constants = resized_nodes(template, in_channels, out_channels)
    name, shape, kind = template.output
    if template.operation.kind == LINEAR:
        ((key, size, element),) = template.inputs
        inputs = {key: _fill((*size[:-1], in_channels)).astype(_dtype(element))}
        output = (name, (*shape[:-1], out_channels))
        model = _model(nodes, inputs, output, constants, opset=template.opset, kind=kind)
        return RowGraph(model, inputs)
    if not template.operation.in_channels:
        inputs = {
            key: _fill(size).astype(_dtype(element)) for key, size, element in template.inputs
        }
        output = (name, shape)
        model = _model(nodes, inputs, output, constants, opset=template.opset, kind=kind)
        return RowGraph(model, inputs)
    inputs, ends, sandwich = {}, [], []
    for (key, size, _), channels in zip(
        template.inputs, _input_channels(template, in_channels), strict=True
    ):
        end = (size[0], channels, *size[2:])
        inputs[f"{key}.end"] = _fill(_thin(end)).astype(_dtype(kind))
        sandwich.append(_upper(f"{key}.end", key, end, constants, kind=kind))
        ends.append(end)
    end = (shape[0], out_channels, *shape[2:])
    sandwich += [*nodes, _lower(name, end, constants, kind=kind)]
    output = ("output", _thin(end))
    model = _model(sandwich, inputs, output, constants, opset=template.opset, kind=kind)
    return RowGraph(model, inputs, (*ends, end))


def resized_nodes(
    template: Template, in_channels: int, out_channels: int
) -> tuple[list[onnx.NodeProto], Tensors]:
    """Return copies of an operation's nodes, and their constants, at some number of channels."""
    operation = template.operation
    nodes = []
    for node in template.nodes:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        nodes.append(copy)
    constants = dict(template.constants)
    kind = _dtype(template.output[2])
    if operation.has_weights:
        names = nodes[0].input
        if operation.kind == LINEAR:
            is_transposed = "transposed" in operation.details
            pair = (out_channels, in_channels) if is_transposed else (in_channels, out_channels)
        else:
            groups = in_channels if operation.is_depthwise else operation.groups
            for attribute in nodes[0].attribute:
                if attribute.name == "group":
                    attribute.i = groups
            is_transposed = operation.kind == CONVOLUTIONS["ConvTranspose"]
            pair = (out_channels, in_channels // groups)
            pair = (in_channels, out_channels // groups) if is_transposed else pair
        constants[names[1]] = _fill((*pair, *operation.kernel)).astype(kind)
        if len(names) > 2:
            constants[names[2]] = _fill((out_channels,)).astype(kind)
    elif operation.in_channels > 1:
        for name, value in template.constants.items():
            if value.size == operation.in_channels and value.dtype == kind:  # one for each channel
                shape = [out_channels if size > 1 else 1 for size in value.shape]
                constants[name] = np.resize(value, shape)
    return nodes, constants


def _input_channels(template: Template, in_channels: int) -> list[int]:
    """Return the channels of each tensor that an operation reads, `in_channels` of the map."""
    full = [shape[1] for _, shape, _ in template.inputs]
    if template.operation.kind != "Concat":
        return [in_channels if count == max(full) else count for count in full]
    # In the network's proportions, the rest to the last.
    block = 8 if in_channels >= 8 * len(full) else 1
    shares = [max(1, in_channels * count // sum(full) // block * block) for count in full[:-1]]
    return [*shares, max(1, in_channels - sum(shares))]


def _thin(shape: Shape) -> Shape:
    return (shape[0], BREAD_CHANNELS, *shape[2:])


def _upper(
    source: str, target: str, shape: Shape, constants: Tensors, *, kind: int = TensorProto.FLOAT
) -> onnx.NodeProto:
    """Return the slice that makes a map of a shape, its weights added to the constants."""
    ones = [1] * len(shape[2:])
    weight = _fill((shape[1], BREAD_CHANNELS, *ones)).astype(_dtype(kind))
    constants[f"{target}.weight"] = weight
    return helper.make_node("Conv", [source, f"{target}.weight"], [target], kernel_shape=ones)


def _lower(
    source: str, shape: Shape, constants: Tensors, *, kind: int = TensorProto.FLOAT
) -> onnx.NodeProto:
    """Return the slice that reads a map of a shape, its weights added to the constants."""
    ones = [1] * len(shape[2:])
    constants["output.weight"] = _fill((BREAD_CHANNELS, shape[1], *ones)).astype(_dtype(kind))
    return helper.make_node("Conv", [source, "output.weight"], ["output"], kernel_shape=ones)


def _dtype(kind: int) -> np.dtype:
    """Return the NumPy type of an ONNX element type."""
    return np.dtype(helper.tensor_dtype_to_np_dtype(kind))


def _fill(shape: Shape) -> np.ndarray:
    """Return small numbers without a pattern that an engine could exploit."""
    return np.resize(_WEIGHTS, shape)


def _model(
    nodes: list[onnx.NodeProto],
    inputs: Tensors,
    output: tuple[str, Shape],
    constants: Tensors,
    *,
    opset: int,
    kind: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "row",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
            )
            for name, value in inputs.items()
        ],
        [helper.make_tensor_value_info(output[0], kind, output[1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
