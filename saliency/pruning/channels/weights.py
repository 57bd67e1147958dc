"""Weights as layers keep them: plain, or computed from others at each pass.

Weight norm (both of torch's) and the masks of `torch.nn.utils.prune` are cut in what the weights
are computed from, so they go on in the pruned network. Spectral norm divides by a number that
depends on all channels, and what other parametrizations do is unknown: their layers keep their
channels.
"""

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.nn.utils.spectral_norm import SpectralNorm, remove_spectral_norm
from torch.nn.utils.weight_norm import WeightNorm, remove_weight_norm

NAMES = ("weight", "bias")

Hook = WeightNorm | prune.BasePruningMethod


def weight_of(layer: nn.Module, name: str = "weight") -> Tensor:
    """Return a weight as the layer applies it at its next pass."""
    hook = _hook(layer, name)
    weight: Tensor
    if isinstance(hook, WeightNorm):
        weight = hook.compute_weight(layer)
    elif hook is not None:
        weight = hook.apply_mask(layer)  # type: ignore[no-untyped-call]
    else:
        weight = getattr(layer, name)
    return weight


@torch.no_grad()
def set_weight(layer: nn.Module, weight: Tensor) -> None:
    """Give a layer another weight of the same shape, in place; what its mask hides stays zero."""
    hook = _hook(layer, "weight")
    if parametrize.is_parametrized(layer, "weight"):
        kept: Any = layer.parametrizations["weight"]  # type: ignore[index]
        _set_norm(kept.original0, kept.original1, weight)
    elif isinstance(hook, WeightNorm):
        _set_norm(layer.weight_g, layer.weight_v, weight)  # type: ignore[arg-type]
    elif hook is not None:
        layer.weight_orig.copy_(weight)  # type: ignore[operator]
    else:
        layer.weight.copy_(weight)  # type: ignore[operator]
    _refresh(layer, "weight")


@torch.no_grad()
def select(layer: nn.Module, name: str, rest: Tensor, *, axis: int = 0) -> None:
    """Keep these entries of a layer's parameter or buffer, in place, if it has it.

    Args:
        layer: of a kind for which `why_kept` is None.
        name: of the parameter or buffer.
        rest: the indexes that stay.
        axis: along which they count.
    """
    hook = _hook(layer, name)
    if parametrize.is_parametrized(layer, name):
        kept: Any = layer.parametrizations[name]  # type: ignore[index]
        _select_norm(kept, "original0", "original1", rest, axis)
    elif isinstance(hook, WeightNorm):
        _select_norm(layer, f"{name}_g", f"{name}_v", rest, axis)
    elif hook is not None:
        _select(layer, f"{name}_orig", rest, axis)
        _select(layer, f"{name}_mask", rest, axis)
    elif getattr(layer, name, None) is not None:
        _select(layer, name, rest, axis)
    _refresh(layer, name)


def why_kept(layer: nn.Module, called: str) -> str | None:
    """Return why a layer keeps its channels, if its weights are computed in a way without rule."""
    reason = "the {} of {} is parametrized by {}, which may depend on all channels"
    for name in NAMES:
        if parametrize.is_parametrized(layer, name):
            steps: Any = layer.parametrizations[name]  # type: ignore[index]
            unknown = [one for one in steps if not _is_weight_norm(one)]
            if unknown or len(steps) > 1:
                kind = type((unknown or steps)[0]).__name__.lstrip("_")
                return reason.format(name, called, kind)
    if any(isinstance(hook, SpectralNorm) for hook in layer._forward_pre_hooks.values()):
        return reason.format("weight", called, "SpectralNorm")
    return None


def make_plain(model: nn.Module) -> None:
    """Replace the weights that layers compute at each pass by their present values, in place."""
    for layer in model.modules():
        if parametrize.is_parametrized(layer):
            values = {name: getattr(layer, name) for name in layer.parametrizations}  # type: ignore[union-attr]
            # torch's own remove_parametrizations changes the class, which copies share.
            layer.__class__ = parametrize.type_before_parametrizations(layer)
            del layer.parametrizations
            for name, value in values.items():
                layer.register_parameter(name, nn.Parameter(value.detach().clone()))
        for key, hook in list(layer._forward_pre_hooks.items()):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # weight_norm is deprecated
                if isinstance(hook, WeightNorm):
                    remove_weight_norm(layer, hook.name)
                elif isinstance(hook, SpectralNorm):
                    remove_spectral_norm(layer, hook.name)
                elif isinstance(hook, prune.BasePruningMethod):
                    _remove_mask(layer, hook._tensor_name, key)


def _remove_mask(layer: nn.Module, name: str, hook: int) -> None:
    """Do what torch's own `remove` does, but leave the weights to copies that share them."""
    value = weight_of(layer, name).detach().clone()
    del layer._forward_pre_hooks[hook], layer._parameters[f"{name}_orig"]
    del layer._buffers[f"{name}_mask"], layer.__dict__[name]
    layer.register_parameter(name, nn.Parameter(value))


def _is_weight_norm(step: nn.Module) -> bool:
    return isinstance(step, parametrizations._WeightNorm)


def _hook(layer: nn.Module, name: str) -> Hook | None:
    """Return what computes a parameter of a layer before each pass; None if nothing known does."""
    for hook in layer._forward_pre_hooks.values():
        if isinstance(hook, WeightNorm) and hook.name == name:
            return hook
        if isinstance(hook, prune.BasePruningMethod) and hook._tensor_name == name:
            return hook
    return None


def _refresh(layer: nn.Module, name: str) -> None:
    """Compute a parameter that is not kept itself, so that it has its new shape at once."""
    if _hook(layer, name) is not None:
        setattr(layer, name, weight_of(layer, name).detach())


def _set_norm(lengths: Tensor, directions: Tensor, weight: Tensor) -> None:
    """Set lengths and directions; where the length is zero, the direction stays."""
    lengths.copy_(_lengths(weight, lengths))
    directions.copy_(torch.where(lengths > 0, weight, directions))


def _lengths(directions: Tensor, lengths: Tensor) -> Tensor:
    """Return the norms of directions, over the axes along which there is one length."""
    among = [k for k in range(directions.ndim) if k not in _kept_axes(directions, lengths)]
    norms: Tensor = torch.linalg.vector_norm(directions, dim=among, keepdim=lengths.ndim > 0)
    return norms


def _kept_axes(directions: Tensor, lengths: Tensor) -> list[int]:
    return [k for k in range(lengths.ndim) if lengths.shape[k] == directions.shape[k] > 1]


def _select_norm(owner: nn.Module, length: str, direction: str, rest: Tensor, axis: int) -> None:
    """Cut lengths and directions, so that the weights that are left stay as they are."""
    lengths: Tensor = getattr(owner, length)
    directions: Tensor = getattr(owner, direction)
    before = _lengths(directions, lengths)
    if axis in _kept_axes(directions, lengths):
        _select(owner, length, rest, axis)
        before = before.index_select(axis, rest.to(before.device))
    _select(owner, direction, rest, axis)
    lengths = getattr(owner, length)
    after = _lengths(getattr(owner, direction), lengths)
    scaled = lengths * (after / before.clamp_min(torch.finfo(before.dtype).tiny))
    setattr(owner, length, nn.Parameter(scaled, requires_grad=lengths.requires_grad))


def _select(owner: nn.Module, name: str, rest: Tensor, axis: int) -> None:
    values: Tensor = getattr(owner, name)
    kept = values.detach().index_select(axis, rest.to(values.device))
    if isinstance(values, nn.Parameter):
        setattr(owner, name, nn.Parameter(kept, requires_grad=values.requires_grad))
    else:
        setattr(owner, name, kept)
