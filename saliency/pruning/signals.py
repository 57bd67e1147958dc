"""Signals: by how much the loss would rise if a channel were removed, estimated while training.

The Fisher signal (Theis et al. 2018) of channel k is Δ_k = 1/(2N) Σ_n g_nk², where g_nk is the
gradient of example n's loss in a gate on the channel: Σ activation × gradient over all positions
and over all layers that read the channel, so the members of a group are summed before squaring.
No gates are needed to find it: the input of each reader and its gradient are available in the
backward pass.

Networks that fold examples into the batch (frames, windows, pairs of photos) have several rows for
each example, which are summed before squaring too (`rows`).

The other signals are for comparison: `taylor`, the mean of |g_nk| (Molchanov et al.
2017, without their scaling by layer); `magnitude`, the mean size of the weights that make the
channel, and `activation`, its mean size where it is read, both in shares of their group's mean;
`random`.
"""

import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float64
from numpy import ndarray
from torch import Tensor, nn

from saliency.pruning.channels.layers import outputs_first
from saliency.pruning.channels.open_attention import opened
from saliency.pruning.channels.weights import weight_of
from saliency.pruning.groups import ChannelGroups
from saliency.pruning.rows import Owners, Place, Reads, find_owners, in_blocks

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
        unattributed: names of the layers that read rows of which the example is unknown.
    """

    def __init__(self, groups: ChannelGroups, kind: Signal, *, seed: int = 0) -> None:
        """Start without examples; `seed` is for the random signal."""
        self.kind, self.groups, self.seed = kind, groups, seed
        self.examples = 0.0
        self.sums = {group.name: np.zeros(group.size) for group in groups.prunable}
        self.unseen = set(self.sums)
        self.unattributed: set[str] = set()
        self._owners: dict[tuple[Place, int, int], Owners] = {}

    @contextmanager
    def watch(
        self, model: nn.Module, *, examples: int | None = None, batch_axis: int = 0
    ) -> Iterator[None]:
        """Add the examples of one forward and backward pass, made while the context is entered.

        The loss that is differentiated must be the *mean* over the examples, as is usual, and each
        example's loss must not depend on the others: batch norm in evaluation mode.

        Where a layer reads other rows than examples, the example of each row is found by running a
        copy of the network a few times, once for each shape. If it cannot be found (regions whose
        number depends on the photo), a warning names the layers, and the rows are taken to lie
        example by example.

        Args:
            model: the network that the groups were found in.
            examples: in the batch; None for the length of the network's first input. Give it where
                inputs are folded already, example by example.
            batch_axis: of the network's inputs; 1 where the positions of a sequence come first.
        """
        if self.kind not in ("fisher", "taylor", "activation"):
            yield
            return
        reads = Reads(with_gradients=self.kind != "activation", examples=examples, axis=batch_axis)
        handles = [
            model.get_submodule(layer).register_forward_pre_hook(
                reads.hook(layer), with_kwargs=True
            )
            for layer in _readers(self.groups)
        ]
        # First of all hooks: the network may itself be a layer that reads.
        handles.append(model.register_forward_pre_hook(reads.enter, with_kwargs=True, prepend=True))
        try:
            with opened(model):
                yield
        finally:
            for handle in handles:
                handle.remove()
        self._add(reads, self._by_example(model, reads))

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

    def _add(self, reads: Reads, values: Mapping[str, Tensor]) -> None:
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
                scaled = reads.count * total
                seen = scaled.square() if self.kind == "fisher" else scaled.abs()
            self.sums[group.name] += seen.sum(dim=0).numpy()
        self.examples += reads.count

    def _by_example(self, model: nn.Module, reads: Reads) -> dict[str, Tensor]:
        """Return, by layer, (examples, channels): the sum over the rows of each example.

        Raises:
            ValueError: nothing was read.
        """
        if not reads.values:
            raise ValueError(
                "expected a forward and a backward pass while watching, got none; if all are "
                "frozen, no gradient comes back: take the signal magnitude or activation"
            )
        count = reads.count
        self._attribute(model, reads)
        found: dict[str, Tensor] = {}
        for place, rows in reads.values.items():
            values = rows.cpu().double()
            if place in reads.folded:
                if self.kind == "activation":  # a mean: it is the same whoever owns the rows
                    values = values.mean(dim=0).expand(count, -1)
                else:
                    owners = self._owners[place, len(rows), count]
                    values = values.new_zeros(count, values.shape[1]).index_add_(0, owners, values)
            found[place[0]] = found[place[0]] + values if place[0] in found else values
        return found

    def _attribute(self, model: nn.Module, reads: Reads) -> None:
        """Find the owners of rows of shapes that were not met before."""
        if self.kind == "activation":
            return
        count = reads.count
        folded = {place: len(reads.values[place]) for place in reads.folded & set(reads.values)}
        new = {(place, n, count) for place, n in folded.items()} - set(self._owners)
        tried: dict[Place, Owners | None] = {}
        asked = {place[0] for place, *_ in new} - self.unattributed
        if asked and count > 1:
            try:
                tried = find_owners(
                    model, reads.calls, sorted(asked), examples=count, axis=reads.axis
                )
            except Exception:  # whatever a network may raise on altered examples
                tried = {}
        unknown = set()
        for place, rows, _ in new:
            owners = tried.get(place)
            if owners is None or len(owners) != rows:
                owners = in_blocks(rows, count)
                unknown |= {place[0]} if count > 1 else set()
            self._owners[place, rows, count] = owners
        if unknown - self.unattributed:
            warnings.warn(
                f"{', '.join(sorted(unknown - self.unattributed))} read rows of which the example "
                "is unknown; they are taken to lie example by example, in equal shares, so the "
                "signal of their channels is an estimate",
                stacklevel=5,
            )
        self.unattributed |= unknown


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
                layer = model.get_submodule(part.layer)
                weight = outputs_first(layer, weight_of(layer).detach())
                rows = weight.double().flatten(1).abs().mean(dim=1)
                norms.append(_by_mean(_gathered(rows[None], part.channels)[0].cpu().numpy()))
        signals[group.name] = np.mean(norms, axis=0) if norms else np.ones(group.size)
    return signals


def _by_mean(values: ndarray) -> Float64[ndarray, " channels"]:
    mean = values.mean()
    return np.asarray(values / mean if mean > 0 else np.ones_like(values), np.float64)
