"""Signals: by how much the loss would rise if a channel were removed, estimated while training.

The Fisher signal (Theis et al. 2018) of channel k is Δ_k = 1/(2N) Σ_n g_nk², where g_nk is the
gradient of example n's loss in a gate on the channel: Σ activation × gradient over all positions
and over all layers that read the channel, so the members of a group are summed before squaring.
No gates are needed to find it: the input of each reader and its gradient are available in the
backward pass.

The other signals are for comparison: `taylor`, the mean of |g_nk| (Molchanov et al.
2017, without their scaling by layer); `magnitude`, the mean size of the weights that make the
channel, and `activation`, its mean size where it is read, both in shares of their group's mean;
`random`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float64
from numpy import ndarray
from torch import Tensor, nn

from saliency.pruning.groups import ChannelGroups

Signal = Literal["fisher", "taylor", "magnitude", "activation", "random"]

Signals = dict[str, Float64[ndarray, " channels"]]
"""By group name, a value for each channel; the larger, the more the loss would rise."""


class SignalCollector:
    """Sums up, example by example, the quantities from which the signals follow.

    Attributes:
        examples: number seen, less those forgotten.
        sums: by group name, the sum over the examples, float64 on the CPU.
        unseen: names of the groups of which no gradient came back: their layers are frozen, or did
            not run. They have no signal of data, and keep their channels.
    """

    def __init__(self, groups: ChannelGroups, kind: Signal, *, seed: int = 0) -> None:
        """Start without examples; `seed` is for the random signal."""
        self.kind, self.groups, self.seed = kind, groups, seed
        self.examples = 0.0
        self.sums = {group.name: np.zeros(group.size) for group in groups.prunable}
        self.unseen = set(self.sums)

    @contextmanager
    def watch(self, model: nn.Module) -> Iterator[None]:
        """Add the examples of one forward and backward pass, made while the context is entered.

        The loss that is differentiated must be the *mean* over the batch, as is usual, and each
        example's loss must not depend on the others: batch norm in evaluation mode.
        """
        if self.kind not in ("fisher", "taylor", "activation"):
            yield
            return
        reads = _Reads(with_gradients=self.kind != "activation")
        handles = [
            model.get_submodule(layer).register_forward_pre_hook(reads.hook(layer))
            for layer in _readers(self.groups)
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
        self._add(reads)

    def signals(self, model: nn.Module) -> Signals:
        """Return the signal of every channel of the groups seen, from all examples.

        Raises:
            ValueError: nothing has been seen, and the signal is one of data.
        """
        if self.kind == "random":
            random = np.random.default_rng(self.seed)
            return {group.name: random.random(group.size) for group in self.groups.prunable}
        if self.kind == "magnitude":
            return _magnitudes(model, self.groups)
        if not self.examples:
            raise ValueError("expected examples to have been seen, got none")
        means = {
            name: total / self.examples
            for name, total in self.sums.items()
            if name not in self.unseen
        }
        if self.kind == "activation":
            return {name: _by_mean(values) for name, values in means.items()}
        return {
            name: values / 2 if self.kind == "fisher" else values for name, values in means.items()
        }

    def forget(self, share: float) -> None:
        """Reduce the weight of what was seen so far, as the network has changed since."""
        self.examples *= 1 - share
        self.sums = {name: (1 - share) * total for name, total in self.sums.items()}

    def remove(self, groups: ChannelGroups, removals: Mapping[str, Collection[int]]) -> None:
        """Continue with a network without some channels, whose groups are now `groups`."""
        kept = {group.name for group in groups.prunable}
        self.sums = {
            name: np.delete(total, list(removals.get(name, ())))
            for name, total in self.sums.items()
            if name in kept
        }
        self.groups, self.seed = groups, self.seed + 1

    def _add(self, reads: "_Reads") -> None:
        values = {layer: value.cpu().double() for layer, value in reads.values.items()}
        if not values:
            raise ValueError(
                "expected a forward and a backward pass while watching, got none; if all are "
                "frozen, no gradient comes back: take the signal magnitude or activation"
            )
        batch = len(next(iter(values.values())))
        for group in self.groups.prunable:
            total: Any = None
            for part in group.slices:
                if part.side == "in" and part.layer in values:
                    read = _gathered(values[part.layer], part.channels)
                    total = read if total is None else total + read
            if total is None:  # a branch that did not run adds nothing
                continue
            self.unseen.discard(group.name)
            if self.kind == "activation":
                seen = total
            else:
                # The gradient was that of the batch's mean.
                seen = (batch * total).square() if self.kind == "fisher" else (batch * total).abs()
            self.sums[group.name] += seen.sum(dim=0).numpy()
        self.examples += batch


class _Reads:
    """What layers read in one pass.

    Attributes:
        values: by layer, (batch, channels): Σ activation × gradient over the positions, or without
            gradients the mean of |activation|.
    """

    def __init__(self, *, with_gradients: bool) -> None:
        self.with_gradients = with_gradients
        self.values: dict[str, Tensor] = {}

    def hook(self, layer: str) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Any, ...]]:
        """Return a forward pre-hook that records what a layer reads, or its gradient."""

        def look(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Any, ...]:
            is_linear, read = isinstance(module, nn.Linear), args[0]
            if self.with_gradients and read.requires_grad:
                return (_Probe.apply(read, self, layer, is_linear), *args[1:])
            if not self.with_gradients:
                count = read.numel() // (len(read) * read.shape[-1 if is_linear else 1])
                self.add(layer, _over_positions(read.detach().abs(), is_linear) / count)
            return args

        return look

    def add(self, layer: str, values: Tensor) -> None:
        """Add to the values of a layer, which may be called several times in a pass."""
        self.values[layer] = self.values[layer] + values if layer in self.values else values


class _Probe(torch.autograd.Function):
    """Returns a tensor unchanged; in the backward pass, multiplies it by its gradient."""

    @staticmethod
    def forward(ctx: Any, read: Tensor, reads: _Reads, layer: str, is_linear: bool) -> Tensor:
        ctx.save_for_backward(read)
        ctx.reads, ctx.layer, ctx.is_linear = reads, layer, is_linear
        return read.view_as(read)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (read,) = ctx.saved_tensors
        product = read.float() * gradient.float() if read.dtype.itemsize < 4 else read * gradient
        ctx.reads.add(ctx.layer, _over_positions(product, ctx.is_linear))
        return gradient, None, None, None


def _over_positions(values: Tensor, is_linear: bool) -> Tensor:
    """Sum over the positions: (batch, channels, …), of a linear layer (batch, …, channels)."""
    axes = tuple(range(1, values.ndim - 1)) if is_linear else tuple(range(2, values.ndim))
    return values.sum(dim=axes) if axes else values


def _readers(groups: ChannelGroups) -> list[str]:
    """Return the names of all layers that read channels of prunable groups."""
    names = (p.layer for group in groups.prunable for p in group.slices if p.side == "in")
    return list(dict.fromkeys(names))


def _gathered(values: Tensor, channels: tuple[tuple[int, ...], ...]) -> Tensor:
    """Return (batch, channels of the group): the sum over the indexes that each of them covers."""
    if all(len(covered) == 1 for covered in channels):
        return values[:, [index for (index,) in channels]]
    summed = [values[:, list(covered)].sum(dim=1) for covered in channels]
    return torch.stack(summed, dim=1)


def _magnitudes(model: nn.Module, groups: ChannelGroups) -> Signals:
    """Return the mean L1 norm of the filters that make each channel (Li et al. 2017)."""
    signals = {}
    for group in groups.prunable:
        norms = []
        for part in group.slices:
            if part.side == "out":
                layer: Any = model.get_submodule(part.layer)
                rows = layer.weight.detach().double().flatten(1).abs().mean(dim=1)
                norms.append(_by_mean(_gathered(rows[None], part.channels)[0].cpu().numpy()))
        signals[group.name] = np.mean(norms, axis=0) if norms else np.ones(group.size)
    return signals


def _by_mean(values: ndarray) -> Float64[ndarray, " channels"]:
    mean = values.mean()
    return np.asarray(values / mean if mean > 0 else np.ones_like(values), np.float64)
