"""Compensation: the remaining channels take over from removed ones.

A channel that can be predicted from the others is no loss, if the layers that read it are adjusted.
Before channels are removed, each of those layers gets the least-squares estimate of what they
added, from the channels that stay (as Optimal Brain Surgeon does for single weights, and He et al.
2017, "Channel pruning", for layers). Then every batch norm and every bias is corrected so that each
channel has the mean, and after a batch norm the spread too, that it had in the unpruned network.
This needs no gradients; a few batches are enough.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from saliency.pruning.channels.layers import GROUP_NORMS, NORMS, channel_layers, outputs_first
from saliency.pruning.channels.open_attention import open_heads
from saliency.pruning.channels.own_weights import settle
from saliency.pruning.channels.weights import set_weight, weight_of
from saliency.pruning.groups import ChannelGroups, removed_indexes
from saliency.pruning.latency.exporting import copy_network
from saliency.pruning.rows import first_input
from saliency.pruning.surgery import remaining_outputs, remove_channels

RIDGE = 0.01  # of a channel's mean variance, added to each
POSITIONS = 600  # of each photo, at which channels are looked at
LARGEST_RESCALE = 3.0  # of a channel's spread: one that hardly varies is no evidence

Batch = Any
"""A network's argument; or a tuple of its arguments; or a mapping of them by keyword."""


@torch.no_grad()
def remove_and_compensate(
    model: nn.Module,
    groups: ChannelGroups,
    removals: Mapping[str, Collection[int]],
    batches: Sequence[Batch],
) -> nn.Module:
    """Return a copy of a network without some channels, for which the others compensate.

    Args:
        model: the network that the groups were found in; it is not changed.
        groups: its channel groups.
        removals: by group name, which channels go, numbered from 0 to the group's size − 1.
        batches: what the network is to be shown, at least one batch of several examples: a tensor,
            or a tuple of arguments, or a mapping of arguments by keyword.

    Returns:
        The network, in evaluation mode.

    Raises:
        ValueError: no such group or channel, no channel would be left, or no batch was given.
    """
    if not batches:
        raise ValueError("expected at least one batch to compensate by, got none")
    gone = removed_indexes(groups, removals)
    absorbing = open_heads(copy_network(model).eval())
    read = {layer: sorted(cut) for (layer, side), cut in gone.items() if side == "in"}
    covariances = _covariances(absorbing, list(read), batches)
    for name, covariance in covariances.items():
        layer = absorbing.get_submodule(name)
        settle(layer)
        _absorb(layer, covariance, read[name])
    pruned = remove_channels(absorbing, groups, removals)
    largest = max(batches, key=_numel)
    left = remaining_outputs(model, groups, removals)
    _match_moments(open_heads(copy_network(model).eval()), pruned, left, largest)
    return pruned


def _run(model: nn.Module, batch: Batch) -> None:
    """Show a network a batch."""
    if isinstance(batch, Mapping):
        model(**batch)
    elif isinstance(batch, tuple):
        model(*batch)
    else:
        model(batch)


def _numel(batch: Batch) -> int:
    values = dict(batch) if isinstance(batch, Mapping) else batch
    return sum(leaf.numel() for leaf in tree_leaves(values) if isinstance(leaf, Tensor))


def _covariances(
    model: nn.Module, names: Sequence[str], batches: Sequence[Batch]
) -> dict[str, Tensor]:
    """Return the covariance of the channels that layers read, in float64 on the CPU.

    Layers that are called twice in a pass are left out: what helps one call may harm the other.
    """
    sums: dict[str, tuple[int, Tensor, Tensor]] = {}
    calls: Counter[str] = Counter()
    generator = torch.Generator().manual_seed(0)

    def look(name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            read = first_input(args, kwargs)
            rows = _rows(read.float(), isinstance(layer, nn.Linear), generator)
            added = len(rows), rows.sum(dim=0).cpu().double(), (rows.T @ rows).cpu().double()
            count, total, squares = sums.get(name, (0, 0, 0))
            calls[name] += 1
            sums[name] = (count + added[0], total + added[1], squares + added[2])

        return hook

    handles = [
        model.get_submodule(name).register_forward_pre_hook(look(name), with_kwargs=True)
        for name in names
    ]
    for batch in batches:
        _run(model, batch)
    for handle in handles:
        handle.remove()
    return {
        name: squares / count - torch.outer(total, total) / count**2
        for name, (count, total, squares) in sums.items()
        if calls[name] == len(batches)
    }


def _rows(read: Tensor, is_linear: bool, generator: torch.Generator) -> Tensor:
    """Return (examples, channels): some positions of each example of a batch."""
    channels_last = read if is_linear else read.movedim(1, -1)
    values = channels_last.reshape(len(read), -1, channels_last.shape[-1])
    if values.shape[1] > POSITIONS:
        chosen = torch.randint(values.shape[1], (POSITIONS,), generator=generator)
        values = values[:, chosen.to(values.device)]
    return values.flatten(0, 1)


def _absorb(layer: nn.Module, covariance: Tensor, removed: Sequence[int]) -> None:
    """Let a layer predict the removed channels from the others, in place."""
    weight = outputs_first(layer, weight_of(layer))
    gone = torch.tensor(removed)
    kept = torch.tensor(sorted(set(range(len(covariance))) - set(removed)))
    among = covariance[kept][:, kept]
    spread = among.diagonal().mean()
    if not spread > 0:
        return
    ridge = RIDGE * spread * torch.eye(len(kept), dtype=torch.float64)
    predicted = torch.linalg.solve(among + ridge, covariance[kept][:, gone])  # (kept, removed)
    added = torch.einsum("or...,kr->ok...", weight[:, gone.to(weight.device)], predicted.to(weight))
    set_weight(layer, outputs_first(layer, weight.index_add(1, kept.to(weight.device), added)))


def _match_moments(
    model: nn.Module, pruned: nn.Module, left: Mapping[str, list[int]], batch: Batch
) -> None:
    """Restore the mean and spread that the remaining channels had before, in place.

    The pruned network is corrected in one pass, layer by layer, so that each correction is made
    on what the corrected layers before it give.
    """
    moments = _moments(model, batch)
    handles = []
    for name in moments:
        layer = pruned.get_submodule(name)
        wanted = tuple(values[left[name]] for values in moments[name])
        if isinstance(layer, NORMS):
            handles.append(layer.register_forward_pre_hook(_renorm(*wanted), with_kwargs=True))
        elif isinstance(layer.bias, nn.Parameter) and not isinstance(layer, GROUP_NORMS):
            handles.append(layer.register_forward_hook(_recenter(wanted[0])))
    _run(pruned, batch)
    for handle in handles:
        handle.remove()


def _moments(model: nn.Module, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
    """Return mean and variance of what batch norms read and of what other layers make.

    Layers that are called twice are left out, as they have two means.
    """
    found: dict[str, tuple[Tensor, Tensor]] = {}
    twice: set[str] = set()

    def look(name: str) -> Callable[..., None]:
        def hook(
            layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], made: Tensor
        ) -> None:
            if name in found:
                twice.add(name)
            looked_at = first_input(args, kwargs) if isinstance(layer, NORMS) else made
            found[name] = _mean_and_variance(looked_at, layer)

        return hook

    handles = [
        layer.register_forward_hook(look(name), with_kwargs=True)
        for name, layer in channel_layers(model).items()
    ]
    _run(model, batch)
    for handle in handles:
        handle.remove()
    return {name: values for name, values in found.items() if name not in twice}


def _mean_and_variance(values: Tensor, layer: nn.Module) -> tuple[Tensor, Tensor]:
    axis = values.ndim - 1 if isinstance(layer, nn.Linear) else 1
    others = [k for k in range(values.ndim) if k != axis]
    variance, mean = torch.var_mean(values.float(), dim=others, correction=0)
    return mean, variance


def _renorm(mean: Tensor, variance: Tensor) -> Callable[..., None]:
    """Return a pre-hook that makes a batch norm's output keep these moments."""

    def hook(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if layer.running_mean is None or not layer.affine:
            return
        present, spread = _mean_and_variance(first_input(args, kwargs), layer)
        factor = (variance / spread.clamp_min(1e-8)).sqrt()
        factor = factor.clamp(1 / LARGEST_RESCALE, LARGEST_RESCALE)
        layer.running_mean.copy_(present - (mean - layer.running_mean) / factor)
        layer.weight.mul_(factor)

    return hook


def _recenter(mean: Tensor) -> Callable[..., Tensor]:
    """Return a hook that moves a layer's bias so that its output has this mean."""

    def hook(layer: Any, args: tuple[Tensor, ...], made: Tensor) -> Tensor:  # noqa: ARG001
        missing = mean - _mean_and_variance(made, layer)[0]
        layer.bias.add_(missing)
        axis = made.ndim - 1 if isinstance(layer, nn.Linear) else 1
        shape = [-1 if k == axis else 1 for k in range(made.ndim)]
        return made + missing.view(shape).to(made.dtype)

    return hook
