"""The layers whose channels are counted and cut."""

from typing import Literal

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

Side = Literal["out", "in", "norm", "depthwise"]
"""Which channels of a layer: those that a convolution or linear layer makes, those that it reads,
those that a batch norm scales, or the groups of a grouped convolution (for a depthwise one: its
channels)."""

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (_BatchNorm,)


def channel_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return a network's convolutions, linear layers and batch norms, by dotted name."""
    kinds = (*CONVOLUTIONS, nn.Linear, *NORMS)
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, kinds)}


def count_channels(layer: nn.Module) -> tuple[int, int]:
    """Return how many channels a layer of these kinds reads and makes."""
    if isinstance(layer, CONVOLUTIONS):
        return layer.in_channels, layer.out_channels
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    if isinstance(layer, NORMS):
        return layer.num_features, layer.num_features
    raise ValueError(f"expected a convolution, linear layer or batch norm, got {layer}")


def count_groups(layer: nn.Module) -> int:
    """Return the groups of a grouped convolution, which are removed whole; 1 for other layers."""
    return layer.groups if isinstance(layer, CONVOLUTIONS) else 1
