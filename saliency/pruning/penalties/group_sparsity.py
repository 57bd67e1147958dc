"""Penalties that drive whole channels to zero: group lasso, and its shortcut on batch norms.

Group lasso (Yuan, Lin 2006; Wen et al. 2016) adds Σ_k c_k ‖w_k‖ to the loss, with the weights w_k
that make channel k in all layers of its group, and what the channel costs. Network slimming (Liu et
al. 2017) takes the scales of the batch norms in place of the weights. The penalty has a kink at
zero, which gradient steps only dance around; a proximal step after each step of the optimizer lands
on it: it shortens every w_k by the same amount, and makes it zero where it is shorter than that.

A channel whose weights or scales are zero is constant. Remove it by
`compensation.remove_and_compensate`, which gives its constant to the layers that read it.
"""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from saliency.pruning.channels.layers import outputs_first
from saliency.pruning.channels.own_weights import check_applied
from saliency.pruning.channels.weights import set_weight, weight_of
from saliency.pruning.groups import ChannelGroup, ChannelGroups

Side = Literal["weights", "scales"]
"""What of a channel is driven to zero: the weights that make it, or its batch norms' scales."""

Channels = tuple[tuple[int, ...], ...]
"""The indexes that each channel of a group has in a layer."""


def channel_lengths(
    model: nn.Module, groups: ChannelGroups, *, side: Side = "weights"
) -> dict[str, Tensor]:
    """Return by group the length ‖w_k‖ of each channel, of shape (channels).

    Groups without batch norms have no scales, and are left out with them.

    Raises:
        ValueError: no group has a batch norm whose scales could be taken.
    """
    return {group.name: _lengths(model, group, side) for group in _of_side(model, groups, side)}


def sparsity_penalty(
    model: nn.Module,
    groups: ChannelGroups,
    *,
    side: Side = "weights",
    costs: Mapping[str, float] | None = None,
) -> Tensor:
    """Return Σ_k c_k ‖w_k‖ over all channels of all groups, a scalar.

    Args:
        model: the network.
        groups: its channel groups.
        side: what of a channel counts.
        costs: by group, what a channel costs, such as its milliseconds; None for 1 each.

    Raises:
        ValueError: no group has a batch norm whose scales could be taken.
    """
    lengths = channel_lengths(model, groups, side=side)
    parts = [(1.0 if costs is None else costs[name]) * each.sum() for name, each in lengths.items()]
    return torch.stack(parts).sum()


@torch.no_grad()
def proximal_step(
    model: nn.Module,
    groups: ChannelGroups,
    amount: float,
    *,
    side: Side = "weights",
    costs: Mapping[str, float] | None = None,
    spared: Mapping[str, int] | None = None,
) -> None:
    """Shorten every channel by the amount times its cost, down to zero, in place.

    This is the proximal operator of the penalty: the nearest weights to the present ones, where
    being far away costs half its square and the penalty counts `amount` times.

    Args:
        model: the network.
        groups: its channel groups.
        amount: strength of the penalty times the optimizer's learning rate, at least 0.
        side: what of a channel is shortened.
        costs: as for `sparsity_penalty`.
        spared: by group, how many channels stay as they are, the longest; None for none.

    Raises:
        ValueError: `amount` is below 0, or no group has a batch norm whose scales could be taken.
        PruningError: a layer standardises its weights, which undoes factors.
    """
    if not amount >= 0:
        raise ValueError(f"expected an amount of at least 0, got {amount}")
    for group in _of_side(model, groups, side):
        shortened = amount * (1.0 if costs is None else costs[group.name])
        lengths = _lengths(model, group, side)
        factors = (1 - shortened / lengths.clamp_min(torch.finfo(lengths.dtype).tiny)).clamp_min(0)
        if spared is not None:
            factors[lengths.topk(min(spared[group.name], group.size)).indices] = 1.0
        for name, channels in _parts(model, group, side):
            _scale(model, name, factors, channels)


def closed_channels(
    model: nn.Module, groups: ChannelGroups, *, side: Side = "weights"
) -> dict[str, list[int]]:
    """Return by group the channels whose weights or scales are zero; groups without are left out.

    Raises:
        ValueError: no group has a batch norm whose scales could be taken.
    """
    lengths = channel_lengths(model, groups, side=side)
    closed = {name: (each == 0).nonzero()[:, 0].tolist() for name, each in lengths.items()}
    return {name: indexes for name, indexes in closed.items() if indexes}


def _lengths(model: nn.Module, group: ChannelGroup, side: Side) -> Tensor:
    total: Any = 0
    for name, channels in _parts(model, group, side):
        rows = _rows(model.get_submodule(name))
        squares = rows.flatten(1).square().sum(dim=1) if rows.ndim > 1 else rows.square()
        total = total + torch.stack([squares[list(covered)].sum() for covered in channels])
    # Of zero the root has no slope; a channel that is closed has none either.
    return torch.where(total > 0, total.clamp_min(torch.finfo(total.dtype).tiny).sqrt(), 0.0)


def _parts(model: nn.Module, group: ChannelGroup, side: Side) -> list[tuple[str, Channels]]:
    """Return the layers whose weights make the channels, and which of theirs each channel is."""
    wanted = "out" if side == "weights" else "norm"
    parts = []
    for part in group.slices:
        if part.side != wanted:
            continue
        layer = model.get_submodule(part.layer)
        if getattr(layer, "weight", None) is not None:
            parts.append((part.layer, part.channels))
    return parts


def _rows(layer: nn.Module) -> Tensor:
    """Return a layer's weights as it applies them, first axis the channels that it makes."""
    return outputs_first(layer, weight_of(layer))


def _scale(model: nn.Module, name: str, factors: Tensor, channels: Channels) -> None:
    """Multiply the weights of channels of a layer by their factors, in place."""
    layer = model.get_submodule(name)
    check_applied(layer, name)
    rows = _rows(layer)
    scale = rows.new_ones(len(rows))
    for factor, covered in zip(factors, channels, strict=True):
        scale[list(covered)] = factor.to(scale)
    scaled = rows * scale.view(-1, *[1] * (rows.ndim - 1))
    set_weight(layer, outputs_first(layer, scaled))


def _of_side(model: nn.Module, groups: ChannelGroups, side: Side) -> list[ChannelGroup]:
    """Return the groups that have something to drive to zero."""
    found = [group for group in groups.prunable if _parts(model, group, side)]
    if not found:
        raise ValueError(
            "expected batch norms with scales in some group of channels, found none; take the "
            "weights instead"
        )
    return found
