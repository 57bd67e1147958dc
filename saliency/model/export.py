"""Turn a model into the ONNX file that the runtime ring runs."""

import io
import json
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from jaxtyping import UInt8
from torch import nn

from saliency.files import write_whole
from saliency.model.backbone import split_padding
from saliency.model.checkpoint import model_metadata
from saliency.model.network import SaliencyModel
from saliency.prediction.model_metadata import METADATA_KEY
from saliency.pruning.latency.quantization import quantize

OPSET = 17


_LEAST_HALVED = 256  # numbers in a tensor, below which halving it saves nothing


def export_onnx(
    model: SaliencyModel,
    path: Path,
    *,
    scores: dict[str, Any] | None = None,
    half: bool = False,
    photos: Sequence[UInt8[np.ndarray, "_ _ 3"]] | None = None,
) -> None:
    """Write `path`: uint8 photos in, log densities out, any batch, height and width.

    The graph holds the preprocessing; the metadata states the area at which it is shown a photo.

    Args:
        model: what to write.
        path: of the file.
        scores: its figures on validation images, by data set.
        half: store the weights of convolutions with 16 bits, which halves the file; they are 32
            bits again once it is loaded, so it takes as long as before.
        photos: of the size at which the model looks at them, to compute in 8-bit integers with the
            ranges of values that they show (`quantize`), without scores; None to compute in
            float32.

    Raises:
        SaliencyError: the file cannot be written.
    """
    graph = saliency_graph(model)
    if photos is not None:
        graph = quantize(graph, ({"photos": photo[np.newaxis]} for photo in photos))
    if half:
        _halve(graph.graph)
    metadata = model_metadata(model, name=path.stem, scores=scores or {})
    if photos is not None:
        metadata |= {"precision": "int8", "scores": {}}  # the scores are those of float32
    graph.metadata_props.add(key=METADATA_KEY, value=json.dumps(metadata))
    onnx.checker.check_model(graph, full_check=True)
    write_whole(graph.SerializeToString(), path, overwrite=True)


def saliency_graph(model: nn.Module) -> onnx.ModelProto:
    """Return the graph that `export_onnx` writes, without metadata."""
    example = torch.zeros(1, 96, 128, 3, dtype=torch.uint8)
    was_training = model.training
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of its exporter; none concerns the graph
        torch.onnx.export(
            model.eval(),
            (example,),
            buffer,  # type: ignore[arg-type]  # the typed stub knows only paths
            input_names=["photos"],
            output_names=["log_density"],
            dynamic_axes={
                "photos": {0: "batch", 1: "height", 2: "width"},
                "log_density": {0: "batch", 1: "height", 2: "width"},
            },
            opset_version=OPSET,
            dynamo=False,
        )
    model.train(was_training)
    graph = onnx.load_from_string(buffer.getvalue())
    _merge_padding(graph.graph)
    return graph


def _halve(graph: onnx.GraphProto) -> None:
    """Store the larger weights with 16 bits and widen them as the graph begins, in place."""
    casts = []
    for index, tensor in enumerate(graph.initializer):
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.ndim < 2 or values.size < _LEAST_HALVED:
            continue
        stored = f"{tensor.name}.half"
        casts.append(onnx.helper.make_node("Cast", [stored], [tensor.name], to=1))  # float32
        half = onnx.numpy_helper.from_array(values.astype(np.float16), stored)
        graph.initializer[index].CopyFrom(half)
    for cast in reversed(casts):
        graph.node.insert(0, cast)


def _merge_padding(graph: onnx.GraphProto) -> None:
    """Let convolutions pad for themselves where `EvenSameConv2d` pads before them, in place.

    torch's convolutions pad evenly on both sides only, ONNX's do not mind. A padding apart costs a
    copy, and leaves the layout of memory in which ONNX Runtime's convolutions work.
    """
    readers = Counter(name for node in graph.node for name in node.input)
    paddings = {node.output[0]: node for node in graph.node if _pads_with_zeros(node)}
    for node in list(graph.node):
        padding = paddings.get(node.input[0]) if node.op_type == "Conv" else None
        if padding is None or readers[padding.output[0]] != 1:
            continue
        attributes = {attribute.name: attribute for attribute in node.attribute}
        (kernel, *_), (stride, *_) = attributes["kernel_shape"].ints, attributes["strides"].ints
        before, after = split_padding(kernel, stride)
        attributes["pads"].ints[:] = [before, before, after, after]
        node.input[0] = padding.input[0]
        graph.node.remove(padding)


def _pads_with_zeros(node: onnx.NodeProto) -> bool:
    modes = [attribute.s for attribute in node.attribute if attribute.name == "mode"]
    return node.op_type == "Pad" and modes in ([], [b"constant"])
