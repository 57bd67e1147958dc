"""Networks of torch as ONNX graphs, to be timed."""

import copy
import dataclasses
import io
import warnings
from collections.abc import Iterable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, Literal, TypeVar

import onnx
import torch
from torch import Tensor, nn
from torch.onnx import symbolic_helper, utils
from torch.onnx.errors import OnnxExporterError
from torch.utils._pytree import tree_flatten, tree_unflatten

from saliency.errors import PruningError

DEFORMABLE = "torchvision::deform_conv2d"
DEFORMABLE_OPSET = 19  # the first with an operator for it
VALUES: tuple[Literal["v"], ...] = ("v",) * 5  # arguments of deformable convolutions
NUMBERS: tuple[Literal["i"], ...] = ("i",) * 9

Network = TypeVar("Network", bound=nn.Module)


def copy_network(model: Network, *, shared: Iterable[Tensor] = ()) -> Network:
    """Return a copy of a network, also of one whose last pass left weights that were computed.

    Args:
        model: the network.
        shared: tensors that the copy is to have in common with it.
    """
    memo = {id(value): value for value in shared}
    computed = [
        value
        for part in model.modules()
        for value in vars(part).values()
        if isinstance(value, Tensor) and not value.is_leaf
    ]
    return copy.deepcopy(model, memo | {id(value): value.detach().clone() for value in computed})


def export_copy(
    module: nn.Module, *example: Any, opset: int = 17, **keywords: Any
) -> onnx.ModelProto:
    """Return the ONNX graph of a copy of a network in inference mode, at the example's size.

    The inputs of the graph are the tensors among the arguments, in order: `input`, or of several
    `input0`, `input1` and so on. Its outputs are all tensors in what the network returns.

    Args:
        module: the network; it is not changed.
        example: its arguments.
        opset: version of the operators; deformable convolutions take 19 at least.
        keywords: its arguments by keyword.

    Raises:
        PruningError: torch cannot export it.
    """
    exported = copy_network(module).eval()
    leaves, structure = tree_flatten((example, keywords))
    places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    forward = exported.forward

    def from_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
        given = list(leaves)
        for place, tensor in zip(places, tensors, strict=True):
            given[place] = tensor
        args, kwargs = tree_unflatten(given, structure)
        return tuple(nested_tensors(forward(*args, **kwargs)))

    exported.forward = from_tensors
    has_deformable = any(type(layer).__name__ == "DeformConv2d" for layer in module.modules())
    names = ["input"] if len(places) == 1 else [f"input{k}" for k in range(len(places))]
    if has_deformable:
        opset = max(opset, DEFORMABLE_OPSET)
        utils.register_custom_op_symbolic(DEFORMABLE, _deformable, DEFORMABLE_OPSET)
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, of its exporter
            torch.onnx.export(
                exported,
                tuple(leaves[place] for place in places),
                buffer,  # type: ignore[arg-type]  # the typed stub knows only paths
                input_names=names,
                opset_version=opset,
                dynamo=False,
            )
    except OnnxExporterError as error:
        reason = str(error).splitlines()[0]
        raise PruningError(f"{type(module).__name__} has no ONNX graph: {reason}") from error
    finally:
        if has_deformable:
            utils.unregister_custom_op_symbolic(DEFORMABLE, DEFORMABLE_OPSET)
    return onnx.load_from_string(buffer.getvalue())


def nested_tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in what a network takes or returns.

    Those in lists, tuples, mappings, data classes and namespaces too.
    """
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from nested_tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from nested_tensors(one)
    elif dataclasses.is_dataclass(value) or isinstance(value, SimpleNamespace):
        yield from nested_tensors(list(vars(value).values()))


@symbolic_helper.parse_args(*VALUES, *NUMBERS)
def _deformable(  # noqa: PLR0917  # as torchvision's operator has them
    graph: Any,
    image: Any,
    weight: Any,
    offset: Any,
    mask: Any,
    bias: Any,
    down: int,
    across: int,
    top: int,
    left: int,
    dilation_down: int,
    dilation_across: int,
    groups: int,
    offset_groups: int,
    has_mask: int,
) -> Any:
    """Return ONNX's node for a deformable convolution."""
    inputs = (image, weight, offset, bias, mask) if has_mask else (image, weight, offset, bias)
    return graph.op(
        "DeformConv",
        *inputs,
        strides_i=[down, across],
        pads_i=[top, left, top, left],
        dilations_i=[dilation_down, dilation_across],
        group_i=groups,
        offset_group_i=offset_groups,
    )
