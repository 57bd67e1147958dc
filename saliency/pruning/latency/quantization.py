"""Networks in 8-bit integers, which processors with VNNI multiply twice as fast as float32."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

from saliency.errors import PruningError, first_line
from saliency.pruning.latency.onnx_graph import fold_constants

LEAST_CHANNELS = 4
"""Channels that a convolution must read to be quantized: those of the photo and those of one map,
such as the result, stay float32."""

LEAST_OPSET = 13
"""From which on one scale for each channel is possible."""

BETWEEN = ("Add", "Clip", "Relu")
"""Operators that are quantized between two quantized convolutions."""


def quantize(model: onnx.ModelProto, examples: Iterable[dict[str, np.ndarray]]) -> onnx.ModelProto:
    """Return a network with its convolutions in 8-bit integers (post-training quantization).

    Weights get one scale for each channel written, and only 7 bits: processors without VNNI add
    pairs of products in 16 bits, which 8 bits overflow. So the result is the same on all of them.

    Args:
        model: a graph in float32, opset 13 or later, with the weights as initializers or as
            constants.
        examples: inputs by name, which show what values occur between the layers; some 50 of the
            kind that the network will see, because larger values than theirs are cut off.

    Returns:
        The graph with pairs of QuantizeLinear and DequantizeLinear, which engines merge with the
        convolutions; the folded graph where it has none to quantize.

    Raises:
        PruningError: the graph is of an older opset, its weights or an example are not finite,
            there are no examples, or ONNX Runtime cannot run the network on them.
    """
    shown = list(examples)
    _check_examples(shown)
    folded = fold_constants(model)
    _check_graph(folded)
    _merge_equal_factors(folded)
    nodes = _name_quantized(folded.graph)
    if not nodes:
        return folded
    # Marks the graph as prepared, without which ONNX Runtime warns that it is not.
    folded.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quantized.onnx"
        try:
            quantize_static(
                folded,
                path,
                _Examples(shown),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv", *BETWEEN],
                nodes_to_quantize=nodes,
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        except Exception as error:  # its exception classes are not public
            raise PruningError(
                f"ONNX Runtime cannot run the network on the examples: {first_line(error)}"
            ) from error
        quantized = onnx.load(path)
    del quantized.metadata_props[:]
    quantized.metadata_props.extend(model.metadata_props)
    return quantized


def _check_examples(examples: Sequence[dict[str, np.ndarray]]) -> None:
    if not examples:
        raise PruningError("expected examples of the network's inputs, got none")
    for example in examples:
        for name, values in example.items():
            if not _is_finite(np.asarray(values)):
                raise PruningError(f"expected finite numbers in the examples, {name} has others")


def _check_graph(model: onnx.ModelProto) -> None:
    opset = next((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), 0)
    if opset < LEAST_OPSET:
        raise PruningError(f"expected a graph of opset {LEAST_OPSET} or later, got {opset}")
    for tensor in model.graph.initializer:
        if not _is_finite(numpy_helper.to_array(tensor)):
            raise PruningError(f"expected finite weights, {tensor.name} has others")


def _is_finite(values: np.ndarray) -> bool:
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())


class _Examples:
    """Hands ONNX Runtime one example after the other, as its `CalibrationDataReader`."""

    def __init__(self, examples: Sequence[dict[str, np.ndarray]]) -> None:
        self._examples = iter(examples)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._examples, None)


def _merge_equal_factors(model: onnx.ModelProto) -> None:
    """Store one number where one for each channel is the same, in place.

    Between layers of integers the channels lie beside each other in memory, an order in which ONNX
    Runtime is slow to multiply by one number for each.
    """
    inferred = onnx.shape_inference.infer_shapes(model).graph
    channels = {
        value.name: value.type.tensor_type.shape.dim[1].dim_value
        for value in (*inferred.input, *inferred.value_info)
        if len(value.type.tensor_type.shape.dim) == 4
    }
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    readers = Counter(name for node in model.graph.node for name in node.input)
    for node in model.graph.node:
        if node.op_type not in ("Mul", "Add"):
            continue
        for name, other in (tuple(node.input), tuple(reversed(node.input))):
            if name not in constants or readers[name] != 1:
                continue
            values = numpy_helper.to_array(constants[name])
            is_by_channel = values.ndim == 4 and values.size == values.shape[1]
            if is_by_channel and np.ptp(values) == 0 and channels.get(other) == values.size:
                constants[name].CopyFrom(numpy_helper.from_array(values[:, :1], name))


def _name_quantized(graph: onnx.GraphProto) -> list[str]:
    """Return the names of the nodes to quantize; those without a name get one."""
    taken = {node.name for node in graph.node}
    for index, node in enumerate(graph.node):
        if not node.name:
            node.name = _untaken(f"{node.op_type}_{index}", taken)
            taken.add(node.name)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    convolutions = {
        node.name
        for node in graph.node
        if node.op_type == "Conv"
        and node.input[1] in weights
        and _channels_read(node, weights[node.input[1]]) >= LEAST_CHANNELS
    }
    behind: set[str] = set()  # tensors that depend on a quantized convolution
    before: set[str] = set()  # tensors on which one depends
    for node in graph.node:
        if node.name in convolutions or behind.intersection(node.input):
            behind.update(node.output)
    for node in reversed(graph.node):
        if node.name in convolutions or before.intersection(node.output):
            before.update(node.input)
    results = {value.name for value in graph.output}
    return [
        node.name
        for node in graph.node
        if node.name in convolutions
        or (
            node.op_type in BETWEEN
            and behind.intersection(node.input)
            and before.intersection(node.output)
            # ONNX Runtime would cut such an output off where the activation does.
            and not (node.op_type != "Add" and results.intersection(node.input))
        )
    ]


def _untaken(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _channels_read(node: onnx.NodeProto, weight: onnx.TensorProto) -> int:
    groups = next((item.i for item in node.attribute if item.name == "group"), 1)
    return int(groups * weight.dims[1])
