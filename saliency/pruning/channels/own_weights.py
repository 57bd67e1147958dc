"""Convolutions that compute the weight that they apply, at each pass, from the one that they keep.

Weight standardisation does so (Qiao et al. 2019; `StdConv2d`, `ScaledStdConv2d` of timm): it takes
mean and spread over all inputs of a channel. Without some of its inputs the layer would standardise
the rest anew. That is not what closed gates give, and no weight would be, as its mean is always
zero. So the layer becomes a plain convolution with the weights that it applied, and goes on without
standardisation. Channels that it makes can be removed as ever.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from saliency.errors import PruningError
from saliency.pruning.channels.layers import CONVOLUTIONS

SAME = 1e-4  # of the largest weight


def own_weight(layer: nn.Module) -> Tensor | None:
    """Return the weight that a convolution computes and applies; None if it applies what it keeps.

    The layer runs once, on zeros, if its class has a forward of its own.
    """
    plain = _plain_class(layer)
    if plain is None or type(layer).forward is plain.forward:
        return None
    kept: Any = layer
    reach = [d * (k - 1) + 1 for d, k in zip(kept.dilation, kept.kernel_size, strict=True)]
    seen = _AppliedWeights()
    with torch.no_grad(), seen:
        layer(kept.weight.new_zeros(1, kept.in_channels, *reach))
    applied = seen.weights[0] if len(seen.weights) == 1 else kept.weight
    return None if applied is kept.weight else applied


def check_applied(layer: nn.Module, name: str) -> None:
    """Refuse a layer that computes other weights from those that it keeps.

    Raises:
        PruningError: factors on the weights that it keeps would be undone.
    """
    if own_weight(layer) is not None:
        raise PruningError(
            f"expected layers that apply the weights that they keep, {name} computes others from "
            "them; prune by the method ranking"
        )


def own_names(layer: nn.Module) -> list[str]:
    """Return the parameters and buffers with an entry for each channel that such a layer makes."""
    if own_weight(layer) is None:
        return []
    makes: Any = layer.out_channels
    values = [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]
    return [
        name
        for name, value in values
        if name not in ("weight", "bias") and value.ndim and len(value) == makes
    ]


def settle(layer: nn.Module) -> None:
    """Make a layer plain, in place, if the loss of inputs would change the weights of the others.

    It depends on the layer's class and sizes, not on its weights.
    """
    weight, plain = own_weight(layer), _plain_class(layer)
    if weight is None or plain is None or _is_free_of_others(layer):
        return
    needs_gradient = bool(layer.weight.requires_grad)
    for names in (layer._parameters, layer._buffers, layer._modules):
        for name in [one for one in names if one not in ("weight", "bias")]:
            delattr(layer, name)
    layer.__class__ = plain
    layer.weight = nn.Parameter(weight.detach().clone(), requires_grad=needs_gradient)


def _plain_class(layer: nn.Module) -> type[nn.Module] | None:
    return next((kind for kind in type(layer).__mro__ if kind in CONVOLUTIONS), None)


@torch.no_grad()
def _is_free_of_others(layer: nn.Module) -> bool:
    """Whether the weights for some inputs stay the same without the other inputs."""
    tried: Any = copy.deepcopy(layer)
    generator = torch.Generator().manual_seed(0)
    for parameter in tried.parameters(recurse=False):
        parameter.copy_(torch.randn(parameter.shape, generator=generator))
    whole = own_weight(tried)
    half = tried.weight.shape[1] // 2
    tried.weight = nn.Parameter(tried.weight[:, :half].clone())
    tried.in_channels = half * tried.groups
    part = own_weight(tried)
    assert whole is not None
    assert part is not None
    return bool((part - whole[:, :half]).abs().max() <= SAME * whole.abs().max())


class _AppliedWeights(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the weights of convolutions that run meanwhile."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.weights: list[Tensor] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        del types
        if getattr(func, "overloadpacket", None) is torch.ops.aten.convolution:
            self.weights.append(args[1])
        return func(*args, **(kwargs or {}))
