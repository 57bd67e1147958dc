"""Layers with fewer channels."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from saliency.pruning.channels.layers import CONVOLUTIONS, NORMS, Side, count_channels
from saliency.pruning.channels.own_weights import own_names, settle
from saliency.pruning.channels.weights import select


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
    if isinstance(layer, NORMS):
        rest = _rest(layer.num_features, cut)
        for name in ("weight", "bias", "running_mean", "running_var"):
            select(layer, name, rest)
        layer.num_features = len(rest)
    elif side == "depthwise":
        assert isinstance(layer, CONVOLUTIONS)
        rest = _rest(layer.groups, cut)
        width, made = layer.in_channels // layer.groups, layer.out_channels // layer.groups
        rows = (rest[:, None] * made + torch.arange(made)).flatten()
        for name in ("weight", "bias", *own_names(layer)):
            select(layer, name, rows)
        layer.groups = len(rest)
        layer.in_channels, layer.out_channels = len(rest) * width, len(rows)
    else:
        reads, makes = count_channels(layer)
        rest = _rest(makes if side == "out" else reads, cut)
        if side == "in":
            settle(layer)
            select(layer, "weight", rest, axis=1)
        else:
            for name in ("weight", "bias", *own_names(layer)):
                select(layer, name, rest)
        kind = "channels" if isinstance(layer, CONVOLUTIONS) else "features"
        setattr(layer, f"{side}_{kind}", len(rest))


def _rest(count: int, removed: set[int]) -> Tensor:
    return torch.tensor([index for index in range(count) if index not in removed])
