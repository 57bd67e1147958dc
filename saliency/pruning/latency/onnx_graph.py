"""The operations on which a network spends its time, read from its ONNX graph.

The graph is first put through ONNX Runtime's basic optimisation at the given input size: constants
are folded, batch norms disappear in the convolutions before them, and only operators of the ONNX
standard are left, whose shapes onnx infers. A convolution includes the activation behind it, as in
engines. Layout changes and the fusion of sums are left to the engine that is measured.
"""

import hashlib
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
from onnx import numpy_helper, shape_inference

from saliency.errors import PruningError
from saliency.pruning.latency.operations import Operation, Shape, Template

FUSED_ACTIVATIONS = {"Relu", "Clip", "Sigmoid", "Tanh", "LeakyRelu", "HardSigmoid"}
LAYOUT_OPERATORS = {"DepthToSpace", "SpaceToDepth"}  # their channels are positions elsewhere
FREE_OPERATORS = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"}


def find_operations(model: onnx.ModelProto, *, input_shape: Shape) -> tuple[Operation, ...]:
    """Return the operations of a network that cost time, in the order of its graph.

    Args:
        model: an exported network with one input.
        input_shape: shape of that input, the batch included.

    Raises:
        PruningError: the graph cannot be run at that shape, or a shape in it stays unknown.
    """
    return tuple(template.operation for template in find_templates(model, input_shape=input_shape))


def find_templates(model: onnx.ModelProto, *, input_shape: Shape) -> tuple[Template, ...]:
    """Return the operations of a network, each with the parts to build it again."""
    simple = shape_inference.infer_shapes(simplify(model, input_shape=input_shape), data_prop=True)
    reader = _GraphReader(simple)
    return tuple(reader.templates())


def simplify(model: onnx.ModelProto, *, input_shape: Shape) -> onnx.ModelProto:
    """Return the network for one input shape, constants folded, in standard operators.

    Raises:
        PruningError: ONNX Runtime refuses it.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    static = onnx.ModelProto()
    static.CopyFrom(model)
    dimensions = static.graph.input[0].type.tensor_type.shape.dim
    for dimension, size in zip(dimensions, input_shape, strict=True):
        if dimension.dim_param:
            options.add_free_dimension_override_by_name(dimension.dim_param, size)
        elif dimension.dim_value != size:
            raise PruningError(
                f"expected an input of shape {input_shape}, the graph is fixed to "
                f"{[d.dim_value or d.dim_param for d in dimensions]}; export it with free sizes"
            )
        dimension.dim_value = size
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "simple.onnx"
        options.optimized_model_filepath = str(path)
        try:
            onnxruntime.InferenceSession(
                static.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exception classes are not public
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise PruningError(f"ONNX Runtime cannot run the network: {reason}") from error
        return onnx.load(path)


def layer_name(node_name: str) -> str:
    """Return the dotted module name within the name that torch gives a node when exporting.

    `/backbone/blocks.0/blocks.0.1/conv_pw/Conv` is `backbone.blocks.0.1.conv_pw`: members of a
    sequence repeat the name of the sequence.
    """
    names: list[str] = []
    for part in node_name.strip("/").split("/")[:-1]:
        if names and part.startswith(names[-1] + "."):
            names[-1] = part
        else:
            names.append(part)
    return ".".join(names)


class _GraphReader:
    """The look-ups in a simplified graph that its operations are read with."""

    def __init__(self, model: onnx.ModelProto) -> None:
        """Index the graph."""
        graph = model.graph
        self.nodes = list(graph.node)
        self.constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
        values = [*graph.input, *graph.value_info, *graph.output]
        self.types = {value.name: value.type.tensor_type for value in values}
        self.readers = Counter(name for node in self.nodes for name in node.input)
        self.readers.update(value.name for value in graph.output)
        self.opset = next(item.version for item in model.opset_import if item.domain in ("", "ai"))

    def templates(self) -> list[Template]:
        """Return the operations, each convolution with the activation behind it."""
        found, skipped = [], set()
        for node in self.nodes:
            if node.op_type in FREE_OPERATORS or node.output[0] in skipped:
                continue
            nodes = [node]
            if node.op_type == "Conv" and (activation := self._activation_behind(node)):
                nodes.append(activation)
                skipped.add(activation.output[0])
            found.append(self._template(nodes))
        return found

    def _activation_behind(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        """Return the activation that is all that reads a node's result."""
        name = node.output[0]
        if self.readers[name] != 1:
            return None
        reader = next((other for other in self.nodes if name in other.input), None)
        return reader if reader is not None and reader.op_type in FUSED_ACTIVATIONS else None

    def _template(self, nodes: list[onnx.NodeProto]) -> Template:
        is_convolution = nodes[0].op_type == "Conv"
        names = dict.fromkeys(name for name in nodes[0].input if name not in self.constants)
        inputs = tuple((name, *self._type(name)) for name in names if name)
        output = (nodes[-1].output[0], *self._type(nodes[-1].output[0]))
        weights = nodes[0].input[1:] if is_convolution else ()
        constants = {
            name: self.constants[name]
            for node in nodes
            for name in node.input
            if name in self.constants and name not in weights
        }
        describe = self._convolution if is_convolution else self._other
        operation = describe(nodes, inputs, output)
        return Template(operation, tuple(nodes), inputs, output, constants, self.opset)

    def _type(self, name: str) -> tuple[Shape, int]:
        """Return the shape and element type of a tensor."""
        kind = self.types.get(name)
        shape = tuple(d.dim_value for d in kind.shape.dim) if kind is not None else (0,)
        if kind is None or 0 in shape:
            raise PruningError(
                f"the shape of {name} stays unknown; export the network at a fixed input size"
            )
        return shape, int(kind.elem_type)

    def _convolution(
        self, nodes: list[onnx.NodeProto], inputs: tuple[Any, ...], output: tuple[Any, ...]
    ) -> Operation:
        node = nodes[0]
        given = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        _, channels, *size = inputs[0][1]
        if len(size) != 2 or given.get("auto_pad", b"NOTSET") != b"NOTSET":
            raise PruningError(f"expected 2-d convolutions with explicit padding, got {node.name}")
        kernel = tuple(given["kernel_shape"])
        groups = given.get("group", 1)
        return Operation(
            kind="convolution",
            layer=layer_name(node.name),
            in_channels=channels,
            out_channels=output[1][1],
            input_size=(size[0], size[1]),
            kernel=kernel,
            stride=tuple(given.get("strides", (1, 1))),
            padding=tuple(given.get("pads", (0, 0, 0, 0))),
            dilation=tuple(given.get("dilations", (1, 1))),
            groups=0 if 1 < groups == channels == output[1][1] else groups,
            activation=nodes[1].op_type if len(nodes) > 1 else "",
            details="" if len(node.input) > 2 else "no bias",
        )

    def _other(
        self, nodes: list[onnx.NodeProto], inputs: tuple[Any, ...], output: tuple[Any, ...]
    ) -> Operation:
        node = nodes[0]
        shapes = [shape for _, shape, _ in inputs]
        floats = all(kind == onnx.TensorProto.FLOAT for *_, kind in (*inputs, output))
        has_channels = floats and all(len(shape) == 4 for shape in (*shapes, output[1]))
        has_channels &= node.op_type not in LAYOUT_OPERATORS
        width = output[1][1] if has_channels else 0
        # Of each input what a change of the channels leaves alone.
        fixed = [shape if not has_channels else (shape[0], *shape[2:]) for shape in shapes]
        if has_channels and node.op_type != "Concat":
            fixed = [
                (*rest, 1) if width > 1 == shape[1] else rest
                for rest, shape in zip(fixed, shapes, strict=True)
            ]
        return Operation(
            kind=node.op_type,
            layer=layer_name(node.name),
            in_channels=width,
            out_channels=width,
            input_size=(shapes[0][2], shapes[0][3]) if has_channels else (0, 0),
            input_count=len(inputs),
            details=self._digest(node, fixed, width=width),
        )

    def _digest(self, node: onnx.NodeProto, fixed: list[Shape], *, width: int) -> str:
        """Return eight hex digits for all that shapes the work beside channels and map size."""
        seen = hashlib.sha256(repr(fixed).encode())
        for item in sorted(node.attribute, key=lambda attribute: str(attribute.name)):
            seen.update(item.SerializeToString(deterministic=True))
        for name in node.input:
            if name in self.constants:
                value = self.constants[name]
                per_channel = value.size == width > 1 or value.size > 64
                seen.update(repr(value.dtype if per_channel else value.tolist()).encode())
        return seen.hexdigest()[:8]
