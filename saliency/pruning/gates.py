"""Gates: a factor for every channel of a group, to be set to zero or differentiated."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from saliency.pruning.channels.layers import count_channels, outputs_first
from saliency.pruning.channels.open_attention import opened
from saliency.pruning.channels.own_weights import check_applied
from saliency.pruning.channels.weights import set_weight, weight_of
from saliency.pruning.groups import ChannelGroup, ChannelGroups, choose
from saliency.pruning.rows import first_input


@contextmanager
def gated(
    model: nn.Module, groups: ChannelGroups, gates: Mapping[str, Tensor]
) -> Iterator[nn.Module]:
    """Multiply the channels of groups by their gates, wherever a layer reads them.

    Channels mix in convolutions and linear layers only; everything between keeps them apart. So
    a gate is placed before each layer that reads the group, behind batch norm, activation, sums and
    squeeze-and-excite: at zero nothing of the channel is left, as after its removal, whatever an
    offset or an activation makes of zero. Its gradient is the sum over all readers and positions
    of activation × gradient, so the members of a group are summed before anyone squares.

    Args:
        model: the network that the groups were found in.
        groups: its channel groups.
        gates: by group name, of shape (channels), or (batch, channels) for a gate per example,
            which is for networks that keep their examples apart, a row each.

    Yields:
        The same model; the gates are gone when the context ends.

    Raises:
        ValueError: no such group, or a gate of another shape.
    """
    chosen = choose(groups, gates)
    for name, gate in gates.items():
        if gate.ndim not in (1, 2) or gate.shape[-1] != chosen[name].size:
            raise ValueError(
                f"expected a gate of shape ({chosen[name].size}) or (batch, {chosen[name].size}) "
                f"for {name}, got {tuple(gate.shape)}"
            )
    handles = [
        layer.register_forward_pre_hook(_Gate(layer, name, readers, gates), with_kwargs=True)
        for name, layer, readers in _readers(model, chosen)
    ]
    try:
        with opened(model):
            yield model
    finally:
        for handle in handles:
            handle.remove()


def ones(groups: ChannelGroups, *, batch: int | None = None) -> dict[str, Tensor]:
    """Return a gate of ones for every prunable group, ready to take gradients.

    Args:
        groups: the channel groups of a network.
        batch: how many examples get a gate each; None for one gate for all.
    """
    leading = () if batch is None else (batch,)
    return {g.name: torch.ones(*leading, g.size, requires_grad=True) for g in groups.prunable}


@torch.no_grad()
def fold_gates(model: nn.Module, groups: ChannelGroups, gates: Mapping[str, Tensor]) -> None:
    """Multiply gates into the weights of the layers that read their channels, in place.

    The network then computes without gates what it computed with them (`gated`).

    Args:
        model: the network that the groups were found in.
        groups: its channel groups.
        gates: by group name, of shape (channels).

    Raises:
        PruningError: a layer that reads them standardises its weights, which undoes factors.
    """
    chosen = choose(groups, gates)
    for name, gate in gates.items():
        for part in chosen[name].slices:
            if part.side != "in":
                continue
            layer: Any = model.get_submodule(part.layer)
            check_applied(layer, part.layer)
            weight = weight_of(layer)
            weight = outputs_first(layer, weight)
            factors = weight.new_ones(weight.shape[1])
            for value, covered in zip(gate, part.channels, strict=True):
                factors[list(covered)] = value.to(factors)
            weight = weight * factors.view(1, -1, *[1] * (weight.ndim - 2))
            set_weight(layer, outputs_first(layer, weight))


Readers = dict[str, tuple[tuple[int, ...], ...]]
"""By group name, the indexes that each of its channels has in what a layer reads."""


def _readers(
    model: nn.Module, groups: Mapping[str, ChannelGroup]
) -> list[tuple[str, nn.Module, Readers]]:
    """Return the layers that read channels of these groups, and where."""
    readers: dict[str, Readers] = {}
    for name, group in groups.items():
        for part in group.slices:
            if part.side == "in":
                readers.setdefault(part.layer, {})[name] = part.channels
    return [(layer, model.get_submodule(layer), found) for layer, found in readers.items()]


class _Gate:
    """A hook that multiplies what a layer reads by the gates of the groups it reads."""

    def __init__(
        self, layer: nn.Module, name: str, readers: Readers, gates: Mapping[str, Tensor]
    ) -> None:
        """Find the gate of each channel that `layer` reads."""
        self.name = name
        self.gates = [gates[name] for name in readers]
        sizes = [gate.shape[-1] for gate in self.gates]
        order = [sum(sizes)] * count_channels(layer)[0]  # for channels of no group: always open
        for first, channels in zip(accumulate(sizes, initial=0), readers.values(), strict=False):
            for position, covered in enumerate(channels):
                for index in covered:
                    order[index] = first + position
        self.order = torch.tensor(order, device=self.gates[0].device)
        self.batch = max((gate.shape[0] for gate in self.gates if gate.ndim == 2), default=1)

    def __call__(
        self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the layer's arguments, its channels multiplied.

        Raises:
            ValueError: there is a gate for each example, and the layer reads other rows.
        """
        read = first_input(args, kwargs)
        if self.batch not in (1, len(read)):
            raise ValueError(
                f"expected {self.name} to read {self.batch} rows, as there are gates for, got "
                f"{len(read)}: examples are folded into the batch; give one gate for all, of shape "
                "(channels), and run them one by one"
            )
        parts = [gate.expand(self.batch, -1) for gate in self.gates]
        joined = torch.cat([*parts, parts[0].new_ones(self.batch, 1)], dim=1)
        shape = [1] * read.ndim
        shape[0], shape[-1 if isinstance(layer, nn.Linear) else 1] = self.batch, len(self.order)
        multiplied = read * joined[:, self.order].view(shape)
        if args:
            return (multiplied, *args[1:]), kwargs
        return args, {**kwargs, next(iter(kwargs)): multiplied}
