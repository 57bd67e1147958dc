"""The operations on which a network spends its time, read from its ONNX graph.

The graph is first put through ONNX Runtime's basic optimisation at the given input size: constants
are folded, batch norms disappear in the convolutions before them, and only operators of the ONNX
standard are left, whose shapes onnx infers. A convolution includes the activation behind it, as in
engines. Layout changes and the fusion of sums are left to the engine that is measured.

Channels lie along the second axis of maps of four axes, and of those of three or five that come
from convolutions. What else a network does, with sequences for example, has no channels here: it
costs the same whatever is removed. Linear layers read and write features along the last axis.
"""

import hashlib
import math
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
from onnx import numpy_helper, shape_inference

from saliency.errors import PruningError
from saliency.pruning.latency.operations import (
    CONVOLUTIONS,
    LINEAR,
    Operation,
    Shape,
    Template,
)

Shapes = Shape | tuple[Shape, ...]
"""The shape of a network's input, or of each of its inputs."""

MAP = 4  # axes of a map: batch, channels, height and width

FUSED_ACTIVATIONS = {"Relu", "Clip", "Sigmoid", "Tanh", "LeakyRelu", "HardSigmoid"}
LAYOUT_OPERATORS = {  # their channels are something else at their other end
    *("DepthToSpace", "SpaceToDepth", "Transpose", "MatMul", "Gather", "Split", "Einsum"),
}
CONTROL_OPERATORS = {"If", "Loop", "Scan"}  # they read more than they list
FLOATS = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}
UNSET = {("auto_pad", b"NOTSET", 0), ("storage_order", b"", 0)}
"""Attributes that ONNX Runtime adds to some poolings, by the weights before them."""

FREE_OPERATORS = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"}


def find_operations(model: onnx.ModelProto, *, input_shape: Shapes) -> tuple[Operation, ...]:
    """Return the operations of a network that cost time, in the order of its graph.

    Args:
        model: an exported network.
        input_shape: shape of its input, the batch included; of several inputs a tuple of shapes.

    Raises:
        PruningError: the graph cannot be run at that shape.
    """
    return tuple(template.operation for template in find_templates(model, input_shape=input_shape))


def find_templates(model: onnx.ModelProto, *, input_shape: Shapes) -> tuple[Template, ...]:
    """Return the operations of a network, each with the parts to build it again.

    Those that cannot be built again by themselves (`read_graph`) are left out.
    """
    return read_graph(simplify(model, input_shape=input_shape))[0]


def read_graph(simple: onnx.ModelProto) -> tuple[tuple[Template, ...], tuple[str, ...]]:
    """Return the operations of a simplified network, and the kinds of those left out.

    Left out are control flow and operations on tensors whose shapes are not known beforehand.
    """
    reader = _GraphReader(shape_inference.infer_shapes(simple, data_prop=True))
    templates = tuple(reader.templates())
    return templates, tuple(dict.fromkeys(reader.left_out))


def simplify(model: onnx.ModelProto, *, input_shape: Shapes) -> onnx.ModelProto:
    """Return the network for one shape of each input, constants folded, in standard operators.

    Raises:
        PruningError: ONNX Runtime refuses it.
    """
    if any(item.data_type == onnx.TensorProto.BFLOAT16 for item in model.graph.initializer):
        raise PruningError(
            "expected a network in float32 or float16, got bfloat16; export it in float32, and "
            "measure it in an engine that computes in bfloat16"
        )
    options = onnxruntime.SessionOptions()
    static = onnx.ModelProto()
    static.CopyFrom(model)
    shapes: tuple[Any, ...] = input_shape
    if all(isinstance(size, int) for size in input_shape):
        shapes = (input_shape,)
    constants = {item.name for item in static.graph.initializer}
    inputs = [value for value in static.graph.input if value.name not in constants]
    if len(shapes) != len(inputs):
        raise PruningError(
            f"expected a shape for each of the inputs {', '.join(v.name for v in inputs)}, got "
            f"{len(shapes)}"
        )
    for value, shape in zip(inputs, shapes, strict=True):
        dimensions = value.type.tensor_type.shape.dim
        given = [d.dim_value or d.dim_param for d in dimensions]
        if len(given) != len(shape) or any(
            d.dim_value not in (0, size) for d, size in zip(dimensions, shape, strict=True)
        ):
            raise PruningError(
                f"expected an input of shape {shape}, the graph is fixed to {given}; export it "
                "with free sizes"
            )
        for dimension, size in zip(dimensions, shape, strict=True):
            if dimension.dim_param:
                options.add_free_dimension_override_by_name(dimension.dim_param, size)
            dimension.dim_value = size
    return fold_constants(static, options)


def fold_constants(
    model: onnx.ModelProto, options: onnxruntime.SessionOptions | None = None
) -> onnx.ModelProto:
    """Return the network with constants folded, in standard operators, its shapes as they are.

    Raises:
        PruningError: ONNX Runtime refuses it.
    """
    options = options or onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "simple.onnx"
        options.optimized_model_filepath = str(path)
        try:
            onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exception classes are not public
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise PruningError(f"ONNX Runtime cannot run the network: {reason}") from error
        return _with_weights_cast(onnx.load(path))


def _with_weights_cast(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a network whose constants have the type in which an operator reads them.

    Engines without operators in half precision cast its weights, once.
    """
    graph = model.graph
    constants = {item.name: item for item in graph.initializer}
    for node in [n for n in graph.node if n.op_type == "Cast" and n.input[0] in constants]:
        kind = onnx.helper.tensor_dtype_to_np_dtype(onnx.helper.get_node_attr_value(node, "to"))
        value = numpy_helper.to_array(constants[node.input[0]]).astype(kind)
        graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
        graph.node.remove(node)
    return model


def layer_name(node_name: str) -> str:
    """Return the dotted module name within the name that torch gives a node when exporting.

    `/backbone/blocks.0/blocks.0.1/conv_pw/Conv` is `backbone.blocks.0.1.conv_pw`: members of a
    sequence repeat the name of the sequence.
    """
    names: list[str] = []
    fused = node_name.removesuffix("/MatMulAddFusion")  # by ONNX Runtime, of a linear layer
    for part in fused.strip("/").split("/")[:-1]:
        if names and part.startswith(names[-1] + "."):
            names[-1] = part
        else:
            names.append(part)
    return ".".join(names)


class _GraphReader:
    """The look-ups in a simplified graph that its operations are read with.

    Attributes:
        left_out: kinds of the operations without a template.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        """Index the graph."""
        graph = model.graph
        self.nodes = list(graph.node)
        self.constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
        self.left_out: list[str] = []
        self._maps: set[str] = set()  # names of tensors whose second axis is that of channels
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
            try:
                found.append(self._template(nodes))
            except PruningError:
                self.left_out.append(node.op_type)
        return found

    def _activation_behind(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        """Return the activation that is all that reads a node's result."""
        name = node.output[0]
        if self.readers[name] != 1:
            return None
        reader = next((other for other in self.nodes if name in other.input), None)
        return reader if reader is not None and reader.op_type in FUSED_ACTIVATIONS else None

    def _template(self, nodes: list[onnx.NodeProto]) -> Template:
        first = nodes[0]
        if first.op_type in CONTROL_OPERATORS:
            raise PruningError(f"{first.op_type} cannot be built by itself")
        names = dict.fromkeys(name for name in first.input if name not in self.constants)
        inputs = tuple((name, *self._type(name)) for name in names if name)
        made = next(name for name in nodes[-1].output if name)
        output = (made, *self._type(made))
        describe, weights = self._other, first.input[:0]
        if len(first.input) > 1 and first.input[1] in self.constants and len(inputs) == 1:
            if first.op_type in CONVOLUTIONS:
                describe, weights = self._convolution, first.input[1:]
            elif first.op_type in ("Gemm", "MatMul") and self.constants[first.input[1]].ndim == 2:
                describe, weights = self._linear, first.input[1:]
        constants = {
            name: self.constants[name]
            for node in nodes
            for name in node.input
            if name in self.constants and name not in weights
        }
        operation = describe(nodes, inputs, output)
        if operation.in_channels and operation.kind != LINEAR:
            self._maps.add(made)
        return Template(operation, tuple(nodes), inputs, output, constants, self.opset)

    def _type(self, name: str) -> tuple[Shape, int]:
        """Return the shape and element type of a tensor."""
        kind = self.types.get(name)
        shape = tuple(d.dim_value for d in kind.shape.dim) if kind is not None else (0,)
        if kind is None or 0 in shape or not kind.elem_type:
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
        axes = len(size)
        kernel = tuple(given.get("kernel_shape", self.constants[node.input[1]].shape[2:]))
        groups = given.get("group", 1)
        stride = tuple(given.get("strides", (1,) * axes))
        dilation = tuple(given.get("dilations", (1,) * axes))
        details = [] if len(node.input) > 2 else ["no bias"]
        if inputs[0][2] != onnx.TensorProto.FLOAT:
            details.append(onnx.TensorProto.DataType.Name(inputs[0][2]).lower())
        if extra := given.get("output_padding") or given.get("output_shape"):
            details.append(f"output {extra}")
        padding = tuple(given.get("pads", (0,) * 2 * axes))
        if (auto := given.get("auto_pad", b"NOTSET").decode()) != "NOTSET":
            padding = _same_padding(auto, tuple(size), kernel, stride, dilation)
        return Operation(
            kind=CONVOLUTIONS[node.op_type],
            layer=layer_name(node.name),
            in_channels=channels,
            out_channels=output[1][1],
            input_size=tuple(size),
            kernel=kernel,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=0 if 1 < groups == channels == output[1][1] else groups,
            activation=nodes[1].op_type if len(nodes) > 1 else "",
            details=" ".join(details),
        )

    def _linear(
        self, nodes: list[onnx.NodeProto], inputs: tuple[Any, ...], output: tuple[Any, ...]
    ) -> Operation:
        node, (*rows, features) = nodes[0], inputs[0][1]
        given = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        if given.get("transA") or (len(node.input) > 2 and node.input[2] not in self.constants):
            return self._other(nodes, inputs, output)
        forms = [f"{len(rows)} axes", *(["transposed"] if given.get("transB") else [])]
        forms += ["bias"] if len(node.input) > 2 else []
        return Operation(
            kind=LINEAR,
            layer=layer_name(node.name),
            in_channels=features,
            out_channels=output[1][-1],
            input_size=(math.prod(rows),),
            details=" ".join((node.op_type, *forms)),
        )

    def _other(
        self, nodes: list[onnx.NodeProto], inputs: tuple[Any, ...], output: tuple[Any, ...]
    ) -> Operation:
        node = nodes[0]
        shapes = [shape for _, shape, _ in inputs]
        kind, rank = node.op_type, len(output[1])
        if kind == "Concat" and onnx.helper.get_node_attr_value(node, "axis") % rank != 1:
            kind = "Concat of positions"
        has_channels = node.op_type not in LAYOUT_OPERATORS and self._are_maps(inputs, output)
        width = output[1][1] if has_channels else 0
        # Of each input what a change of the channels leaves alone.
        fixed = [shape if not has_channels else (shape[0], *shape[2:]) for shape in shapes]
        if has_channels and kind != "Concat":
            fixed = [
                (*rest, 1) if width > 1 == shape[1] else rest
                for rest, shape in zip(fixed, shapes, strict=True)
            ]
        return Operation(
            kind=kind,
            layer=layer_name(node.name),
            in_channels=width,
            out_channels=width,
            input_size=shapes[0][2:] if has_channels else (0, 0),
            input_count=len(inputs),
            details=self._digest(node, fixed, width=width),
        )

    def _are_maps(self, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> bool:
        """Return whether all that an operation reads and writes are maps of channels."""
        ranks = {len(shape) for _, shape, _ in (*inputs, output)}
        kinds = {kind for *_, kind in (*inputs, output)}
        if len(ranks) > 1 or len(kinds) > 1 or not kinds <= FLOATS or not inputs:
            return False
        if ranks == {MAP}:
            return True
        return ranks <= {3, 5} and all(name in self._maps for name, *_ in inputs)

    def _digest(self, node: onnx.NodeProto, fixed: list[Shape], *, width: int) -> str:
        """Return eight hex digits for all that shapes the work beside channels and map size."""
        seen = hashlib.sha256(repr(fixed).encode())
        given = (item for item in node.attribute if (item.name, item.s, item.i) not in UNSET)
        for item in sorted(given, key=lambda attribute: str(attribute.name)):
            seen.update(item.SerializeToString(deterministic=True))
        for name in node.input:
            if name in self.constants:
                value = self.constants[name]
                per_channel = value.size == width > 1 or value.size > 64
                seen.update(repr(value.dtype if per_channel else value.tolist()).encode())
        return seen.hexdigest()[:8]


def _same_padding(auto: str, size: Shape, kernel: Shape, stride: Shape, dilation: Shape) -> Shape:
    """Return the padding that `auto_pad` stands for, at the beginnings and then at the ends."""
    if auto == "VALID":
        return (0,) * 2 * len(size)
    total = [
        max((-(-n // step) - 1) * step + (k - 1) * spread + 1 - n, 0)
        for n, k, step, spread in zip(size, kernel, stride, dilation, strict=True)
    ]
    less, more = [n // 2 for n in total], [n - n // 2 for n in total]
    return (*less, *more) if auto == "SAME_UPPER" else (*more, *less)
