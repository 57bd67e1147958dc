"""Layers with fewer channels."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from saliency.pruning.channels.attention import cut_heads
from saliency.pruning.channels.bare import cut_bare
from saliency.pruning.channels.layers import (
    CONVOLUTIONS,
    GROUP_NORMS,
    NORMS,
    TRANSPOSED,
    Side,
    count_channels,
)
from saliency.pruning.channels.own_weights import own_names, settle
from saliency.pruning.channels.weights import select


def cut_channels(model: nn.Module, place: str, side: Side, removed: Iterable[int]) -> None:
    """Cut channels of one side out of a layer of a network, or out of a parameter, in place.

    Args:
        model: the network.
        place: dotted name of the layer or parameter.
        side: which of its channels are numbered.
        removed: the indexes that go.
    """
    if side == "parameter":
        cut_bare(model, place, removed)
    elif side == "heads":
        cut_heads(model.get_submodule(place), removed)
    else:
        cut_layer(model.get_submodule(place), side, removed)


def cut_layer(layer: nn.Module, side: Side, removed: Iterable[int]) -> None:
    """Cut channels of one side out of a layer, in place.

    Args:
        layer: a convolution, linear layer or batch norm.
        side: which of its channels are numbered.
        removed: the indexes that go.
    """
    cut = set(removed)
    if not cut:
        return
    if isinstance(layer, GROUP_NORMS):
        rest = _rest(layer.num_channels, cut)
        layer.num_groups = len(rest) * layer.num_groups // layer.num_channels
        layer.num_channels = len(rest)
        for name in ("weight", "bias"):
            select(layer, name, rest)
    elif isinstance(layer, NORMS):
        rest = _rest(layer.num_features, cut)
        for name in ("weight", "bias", "running_mean", "running_var"):
            select(layer, name, rest)
        layer.num_features = len(rest)
    elif side == "depthwise":
        assert isinstance(layer, CONVOLUTIONS)
        rest = _rest(layer.groups, cut)
        width, made = layer.in_channels // layer.groups, layer.out_channels // layer.groups
        rows = (rest[:, None] * made + torch.arange(made)).flatten()
        columns = (rest[:, None] * width + torch.arange(width)).flatten()
        own = own_names(layer)
        select(layer, "weight", columns if isinstance(layer, TRANSPOSED) else rows)
        for name in ("bias", *own):
            select(layer, name, rows)
        layer.groups = len(rest)
        layer.in_channels, layer.out_channels = len(rest) * width, len(rows)
    else:
        reads, makes = count_channels(layer)
        rest = _rest(makes if side == "out" else reads, cut)
        others = ("bias", *own_names(layer)) if side == "out" else ()
        if side == "in":
            settle(layer)
        select(layer, "weight", rest, axis=int((side == "in") != isinstance(layer, TRANSPOSED)))
        for name in others:
            select(layer, name, rest)
        kind = "channels" if isinstance(layer, CONVOLUTIONS) else "features"
        setattr(layer, f"{side}_{kind}", len(rest))


def _rest(count: int, removed: set[int]) -> Tensor:
    return torch.tensor([index for index in range(count) if index not in removed])
