"""Operations that take channels in groups: shuffles of channels, and of channels with positions."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from saliency.pruning.channels.axis_rules import VIEWS
from saliency.pruning.channels.numbers import repeat

aten: Any = torch.ops.aten

Ids = tuple[int, ...]
Regrouped = tuple[Ids, Ids, int]
"""The channels that those of the operand are coupled with, those of the result, and their axis."""


def regroup(
    packet: Any, args: tuple[Any, ...], out: Tensor, ids: Ids, axis: int
) -> Regrouped | None:
    """Return what becomes of channels; None for an operation that is not such.

    Where channels are taken apart into two axes, the longer one keeps them, and the other one is
    taken for positions: k-th channels of all groups, or whole groups, go together.
    """
    if packet in VIEWS:
        return _apart(args[0].shape, out.shape, ids, axis) or _behind(
            args[0].shape, out.shape, ids, axis
        )
    rule = SHUFFLES.get(packet)
    return rule(ids, args[1]) if rule and axis == 1 and out.ndim == 4 else None


def _apart(before: torch.Size, after: torch.Size, ids: Ids, axis: int) -> Regrouped | None:
    outer = math.prod(before[:axis])
    for place in range(len(after) - 1):
        count, width = after[place], after[place + 1]
        if (
            math.prod(after[:place]) == outer
            and count * width == len(ids)
            and min(count, width) > 1
        ):
            if width >= count:
                return ids[:width] * count, ids[:width], place + 1
            return repeat(ids[::width], width), ids[::width], place
    return None


def _behind(before: torch.Size, after: torch.Size, ids: Ids, axis: int) -> Regrouped | None:
    """Merge channels with positions that lie before them."""
    for place, size in enumerate(after):
        times, rest = divmod(size, len(ids))
        if not rest and math.prod(after[:place]) * times == math.prod(before[:axis]):
            return ids, ids * times, place
    return None


def _shuffled(ids: Ids, groups: int) -> Regrouped:
    width = len(ids) // groups
    return ids[:width] * groups, repeat(ids[:width], groups), 1


def _to_positions(ids: Ids, factor: int) -> Regrouped:
    return repeat(ids[:: factor**2], factor**2), ids[:: factor**2], 1


def _to_channels(ids: Ids, factor: int) -> Regrouped:
    return ids, repeat(ids, factor**2), 1


SHUFFLES: dict[Any, Callable[[Ids, int], Regrouped]] = {
    aten.channel_shuffle: _shuffled,
    aten.native_channel_shuffle: _shuffled,
    aten.pixel_shuffle: _to_positions,
    aten.pixel_unshuffle: _to_channels,
}
