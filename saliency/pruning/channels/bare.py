"""Parameters and buffers outside of the layers with channels, which may have a number for each.

Layer scale, stored factors of a squeeze-and-excite, frozen batch norms, PReLU and tables of biases
of positions are such. Their channels lie along the only axis that is longer than one; of several,
the last.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from saliency.pruning.channels.layers import channel_layers


def bare_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers that may have channels and are in no layer, by name."""
    inside = tuple(f"{name}." if name else "" for name in channel_layers(model))
    attention = [one for one in model.modules() if isinstance(one, nn.MultiheadAttention)]
    of_heads = {id(value) for one in attention for value in one.parameters(recurse=False)}
    named = (*model.named_parameters(), *model.named_buffers())
    return {
        name: value
        for name, value in named
        if value.is_floating_point()
        and value.ndim
        and not name.startswith(inside)
        and id(value) not in of_heads
    }


def bare_axis(values: Tensor) -> int:
    """Return the axis along which the channels of a bare tensor lie."""
    return max((k for k in range(values.ndim) if values.shape[k] > 1), default=0)


def cut_bare(model: nn.Module, name: str, removed: Iterable[int]) -> None:
    """Cut channels out of a parameter or buffer of a network, in place."""
    place, _, key = name.rpartition(".")
    owner = model.get_submodule(place)
    values: Tensor = getattr(owner, key)
    axis, cut = bare_axis(values), set(removed)
    if not cut:
        return
    rest = torch.tensor([k for k in range(values.shape[axis]) if k not in cut])
    kept = values.detach().index_select(axis, rest.to(values.device)).clone()
    if isinstance(values, nn.Parameter):
        kept = nn.Parameter(kept, requires_grad=values.requires_grad)
    setattr(owner, key, kept)
    for stated in ("num_parameters", "num_features"):  # of PReLU and of frozen batch norms
        if getattr(owner, stated, None) == values.shape[axis]:
            setattr(owner, stated, len(rest))
