"""The layers whose channels are counted and cut."""

from typing import Literal

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

Side = Literal["out", "in", "norm", "depthwise", "parameter", "heads"]
"""Which channels of a layer: those that a convolution or linear layer makes, those that it reads,
those that a norm scales, or the groups of a grouped convolution (for a depthwise one: its
channels). Or those of a parameter or buffer outside of the layers, or the heads of attention."""

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED)
NORMS = (_BatchNorm, _InstanceNorm)
GROUP_NORMS = (nn.GroupNorm,)


def channel_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return a network's convolutions, linear layers and norms of channels, by dotted name."""
    kinds = (*CONVOLUTIONS, nn.Linear, *NORMS, *GROUP_NORMS)
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, kinds)}


def count_channels(layer: nn.Module) -> tuple[int, int]:
    """Return how many channels a layer of these kinds reads and makes."""
    if isinstance(layer, CONVOLUTIONS):
        return layer.in_channels, layer.out_channels
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    if isinstance(layer, NORMS):
        return layer.num_features, layer.num_features
    if isinstance(layer, GROUP_NORMS):
        return layer.num_channels, layer.num_channels
    raise ValueError(f"expected a convolution, linear layer or norm of channels, got {layer}")


def outputs_first(layer: nn.Module, weight: Tensor) -> Tensor:
    """Return a weight with the channels that the layer makes first, those that it reads second.

    Transposed convolutions keep them the other way round, so it also takes a weight back.
    """
    return weight.transpose(0, 1) if isinstance(layer, TRANSPOSED) else weight


def count_groups(layer: nn.Module) -> int:
    """Return the groups of a grouped convolution, which are removed whole; 1 for other layers."""
    return layer.groups if isinstance(layer, CONVOLUTIONS) else 1
