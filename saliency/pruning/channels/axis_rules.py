"""The channel axis of a tensor after an operation that keeps channels apart."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

aten: Any = torch.ops.aten

SPATIAL = {
    *(aten.max_pool2d_with_indices, aten.max_pool3d_with_indices, aten.avg_pool2d),
    *(aten.avg_pool3d, aten._adaptive_avg_pool2d, aten._adaptive_avg_pool3d),
    *(aten.adaptive_max_pool2d, aten.upsample_nearest1d, aten.upsample_nearest2d),
    *(aten.upsample_nearest3d, aten._upsample_nearest_exact2d, aten.upsample_bilinear2d),
    *(aten.upsample_bicubic2d, aten._upsample_bilinear2d_aa, aten._upsample_bicubic2d_aa),
    *(aten.replication_pad1d, aten.replication_pad2d, aten.reflection_pad1d),
    *(aten.reflection_pad2d, aten.upsample_linear1d, aten.upsample_trilinear3d),
}
COPIES = {
    *(aten.clone, aten.detach, aten.alias, aten._to_copy, aten.lift_fresh, aten.native_dropout),
    *(aten.zeros_like, aten.ones_like, aten.full_like, aten.empty_like, aten.rand_like),
}
REDUCTIONS = {aten.mean, aten.sum, aten.amax, aten.amin, aten.logsumexp}
VIEWS = {aten.view, aten._unsafe_view, aten.reshape, aten._reshape_alias}


def axis_after(packet: Any, args: tuple[Any, ...], out: Tensor, axis: int) -> int | None:
    """Return the channel axis of `out`, or None where channels are mixed, picked or lost.

    If an axis of `out` is a multiple of the channels long, each channel covers that many
    neighbouring indexes.

    Args:
        packet: the operation, such as `torch.ops.aten.permute`.
        args: its arguments by position; the first is the tensor that carries channels.
        out: its result.
        axis: the channel axis of the first argument.
    """
    source: Tensor = args[0]
    if packet in SPATIAL:
        return axis if axis == 1 else None
    if packet in COPIES:
        return axis
    if packet in REDUCTIONS:
        return _after_reduction(args, axis)
    if packet in VIEWS:
        return _after_view(source.shape, out.shape, axis)
    rule = RULES.get(packet)
    return rule(args, out, axis) if rule else None


def _after_reduction(args: tuple[Any, ...], axis: int) -> int | None:
    source, dims = args[0], args[1] if len(args) > 1 else None
    reduced = {dim % source.ndim for dim in ([dims] if isinstance(dims, int) else dims or ())}
    if not reduced or axis in reduced:
        return None
    keeps = len(args) > 2 and args[2]
    return axis if keeps else axis - sum(dim < axis for dim in reduced)


def _after_view(before: torch.Size, after: torch.Size, axis: int) -> int | None:
    """Find the channels behind the same number of elements, alone or with positions merged in."""
    outer, count = math.prod(before[:axis]), before[axis]
    places = [k for k in range(len(after)) if math.prod(after[:k]) == outer]
    exact = [k for k in places if after[k] == count]
    merged = [k for k in places if after[k] % count == 0]
    return next(iter(exact[-1:] + merged[-1:]), None)


def _after_padding(args: tuple[Any, ...], out: Tensor, axis: int) -> int | None:
    return axis if len(args[1]) // 2 < out.ndim - axis else None


def _after_permutation(args: tuple[Any, ...], out: Tensor, axis: int) -> int:
    order: list[int] = [dim % out.ndim for dim in args[1]]
    return order.index(axis)


def _after_transposition(args: tuple[Any, ...], out: Tensor, axis: int) -> int:
    swapped: dict[int, int] = {args[1] % out.ndim: args[2] % out.ndim}
    swapped |= {there: here for here, there in swapped.items()}
    return swapped.get(axis, axis)


def _after_insertion(args: tuple[Any, ...], out: Tensor, axis: int) -> int:
    place: int = args[1] % out.ndim
    return axis + 1 if place <= axis else axis


def _after_squeeze(args: tuple[Any, ...], out: Tensor, axis: int) -> int | None:
    source = args[0]
    if len(args) < 2 or out.ndim == source.ndim:
        return axis if out.ndim == source.ndim else None
    dims = [dim % source.ndim for dim in ([args[1]] if isinstance(args[1], int) else args[1])]
    gone = [dim for dim in dims if source.shape[dim] == 1]
    return None if axis in gone else axis - sum(dim < axis for dim in gone)


def _after_expansion(args: tuple[Any, ...], out: Tensor, axis: int) -> int | None:
    moved = axis + out.ndim - args[0].ndim
    return moved if out.shape[moved] == args[0].shape[axis] else None


def _after_selection(args: tuple[Any, ...], _: Tensor, axis: int) -> int | None:
    dim = args[1] % args[0].ndim
    return None if dim == axis else axis - (dim < axis)


def _after_layer_norm(args: tuple[Any, ...], out: Tensor, axis: int) -> int | None:
    """Keep channels apart from the axes that are normalised.

    Over channels, mean and spread would be others without some of them than with zeros for them, so
    what follows the norm could not be judged by closing gates.
    """
    return axis if axis < out.ndim - len(args[1]) else None


def _after_indexing(args: tuple[Any, ...], out: Tensor, axis: int) -> int | None:  # noqa: ARG001
    places = [place for place, index in enumerate(args[1]) if index is not None]
    if len(places) > 1 or places[0] == axis:
        return None
    more: int = args[1][places[0]].ndim - 1
    return axis + more if places[0] < axis else axis


def _after_embedding(args: tuple[Any, ...], out: Tensor, axis: int) -> int | None:  # noqa: ARG001
    return out.ndim - 1 if axis == 1 else None


def _after_roll(args: tuple[Any, ...], out: Tensor, axis: int) -> int | None:
    dims = args[2] if len(args) > 2 else ()
    return axis if dims and axis not in {dim % out.ndim for dim in dims} else None


def _after_softmax(args: tuple[Any, ...], out: Tensor, axis: int) -> int | None:
    return None if args[1] % out.ndim == axis else axis


RULES: dict[Any, Callable[[tuple[Any, ...], Tensor, int], int | None]] = {
    aten.constant_pad_nd: _after_padding,
    aten.permute: _after_permutation,
    aten.transpose: _after_transposition,
    aten.unsqueeze: _after_insertion,
    aten.squeeze: _after_squeeze,
    aten.expand: _after_expansion,
    aten.select: _after_selection,
    aten.native_layer_norm: _after_layer_norm,
    aten.index: _after_indexing,
    aten.embedding: _after_embedding,
    aten.roll: _after_roll,
    aten._softmax: _after_softmax,
    aten._log_softmax: _after_softmax,
}


Division = tuple[int, int | None, list[int]]
"""The axis that is divided, the width of the parts, None if they differ, and where each begins."""


def _split(args: tuple[Any, ...]) -> Division:
    source, sizes, axis = args[0], args[1], args[2] if len(args) > 2 else 0
    count = source.shape[axis]
    if isinstance(sizes, int):
        sizes = [min(sizes, count - start) for start in range(0, count, sizes)]
    starts = [sum(sizes[:k]) for k in range(len(sizes))]
    return axis % source.ndim, sizes[0] if len(set(sizes)) == 1 else None, starts


def _halves(args: tuple[Any, ...]) -> Division:
    source, axis = args[0], args[1] if len(args) > 1 else -1
    return axis % source.ndim, source.shape[axis] // 2, [0]


def _slice(args: tuple[Any, ...]) -> Division:
    given: list[Any] = [*args, *(0, None, None, 1)[len(args) - 1 :]]
    source, axis, start, end, step = given
    places = range(source.shape[axis])[start:end:step]
    return axis % source.ndim, len(places) if step == 1 and places else None, [places.start]


DIVISIONS: dict[Any, Callable[[tuple[Any, ...]], Division]] = {
    aten.split: _split,
    aten.split_with_sizes: _split,
    aten.glu: _halves,
    aten.slice: _slice,
}
