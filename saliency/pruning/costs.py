"""The cost of a network at any number of channels of its groups: in milliseconds or other units."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from saliency.pruning.groups import ChannelGroups
from saliency.pruning.latency.operations import CONVOLUTIONS, Operation, Template
from saliency.pruning.latency.table import LatencyTable

Cost = Literal["latency", "flops", "params", "none"]
"""Milliseconds from a table; multiplications and additions; weights; or one for every channel."""

Sizes = Mapping[str, int]
"""How many channels each group has, by its name."""


@dataclasses.dataclass(frozen=True)
class Width:
    """The channels of a map: a fixed number, and some for each channel of groups."""

    fixed: int = 0
    per_channel: tuple[tuple[str, int], ...] = ()

    def at(self, sizes: Sizes) -> int:
        """Return the channels of the map when groups have these sizes."""
        return self.fixed + sum(count * sizes[group] for group, count in self.per_channel)

    def each(self, group: str) -> int:
        """Return how many channels of the map belong to each channel of a group."""
        return dict(self.per_channel).get(group, 0)

    def __add__(self, other: "Width") -> "Width":
        """Return the channels of two maps one behind the other."""
        counts = dict(self.per_channel)
        for group, count in other.per_channel:
            counts[group] = counts.get(group, 0) + count
        return Width(self.fixed + other.fixed, tuple(counts.items()))


class NetworkCost:
    """The cost of a network: the sum of the costs of its operations at their channels.

    Attributes:
        operations: each with the channels that it reads and writes.
    """

    def __init__(
        self,
        templates: Iterable[Template],
        groups: ChannelGroups,
        price: Callable[[Operation], float],
        *,
        fixed: float = 0.0,
    ) -> None:
        """Find out which groups each operation reads and writes.

        Args:
            templates: the operations of the network that the groups were found in.
            groups: its channel groups.
            price: what an operation costs.
            fixed: the cost of the network beside its operations.
        """
        self._price, self._fixed = price, fixed
        self.operations = tuple(_widths(templates, groups))
        # Operations that differ in their channels only share their prices.
        shared: dict[str, dict[tuple[int, int], float]] = {}
        self._prices = [shared.setdefault(one.signature, {}) for one, *_ in self.operations]
        self._touching: dict[str, list[int]] = {group.name: [] for group in groups.prunable}
        for index, (_, reads, writes) in enumerate(self.operations):
            for name in {name for name, _ in (*reads.per_channel, *writes.per_channel)}:
                self._touching[name].append(index)

    def total(self, sizes: Sizes) -> float:
        """Return the cost of the network when its groups have these sizes."""
        return self._fixed + math.fsum(
            self._cost(index, reads.at(sizes), writes.at(sizes))
            for index, (_, reads, writes) in enumerate(self.operations)
        )

    def changes(self, sizes: Sizes, group: str, *, most: int) -> Float64[ndarray, " removals"]:
        """Return the change of the cost when 1, 2, … and `most` channels of a group go.

        It counts the layers that make them and all that read them.
        """
        counts = range(sizes[group], sizes[group] - most - 1, -1)
        without = {**sizes, group: 0}
        costs: Float64[ndarray, " counts"] = np.zeros(len(counts))
        for index in self._touching[group]:
            _, reads, writes = self.operations[index]
            reads_rest, reads_each = reads.at(without), reads.each(group)
            writes_rest, writes_each = writes.at(without), writes.each(group)
            costs += [
                self._cost(index, reads_rest + reads_each * n, writes_rest + writes_each * n)
                for n in counts
            ]
        return np.asarray(costs[1:] - costs[0])

    def neighbours(self, group: str) -> set[str]:
        """Return the groups whose `changes` depend on the size of `group`, itself included."""
        found = {group}
        for index in self._touching[group]:
            _, reads, writes = self.operations[index]
            found |= {name for name, _ in (*reads.per_channel, *writes.per_channel)}
        return found

    def _cost(self, index: int, reads: int, writes: int) -> float:
        prices = self._prices[index]
        price = prices.get((reads, writes))
        if price is None:
            operation = self.operations[index][0]
            price = self._price(
                dataclasses.replace(operation, in_channels=reads, out_channels=writes)
            )
            prices[reads, writes] = price
        return price


class ChannelCount:
    """A cost of one for every channel, for comparison."""

    def changes(  # what `NetworkCost` does
        self,
        sizes: Sizes,  # noqa: ARG002
        group: str,  # noqa: ARG002
        *,
        most: int,
    ) -> Float64[ndarray, " removals"]:
        """Return −1, −2, … for the removal of one, two, … channels."""
        return -np.arange(1, most + 1, dtype=np.float64)

    def neighbours(self, group: str) -> set[str]:
        """Return the group alone."""
        return {group}


def latency_cost(
    table: LatencyTable, templates: Sequence[Template], groups: ChannelGroups
) -> NetworkCost:
    """Return the cost of a network in milliseconds, as measured in a table."""
    return NetworkCost(templates, groups, table.latency_ms, fixed=table.call_ms + table.rest_ms)


def create_cost(
    kind: Cost, table: LatencyTable, templates: Sequence[Template], groups: ChannelGroups
) -> NetworkCost | ChannelCount:
    """Return a cost of one of the kinds."""
    if kind == "latency":
        return latency_cost(table, templates, groups)
    if kind == "none":
        return ChannelCount()
    return NetworkCost(templates, groups, flops if kind == "flops" else parameters)


def flops(operation: Operation) -> float:
    """Return the multiplications and additions by weights; for other values one addition each."""
    positions = math.prod(operation.input_size)
    if not operation.has_weights:
        return float(positions * operation.out_channels)
    if operation.kind == CONVOLUTIONS["Conv"]:  # the others use each weight at each input
        axes = len(operation.kernel)
        before, after = operation.padding[:axes], operation.padding[axes:]
        reach = [1 + (k - 1) * d for k, d in zip(operation.kernel, operation.dilation, strict=True)]
        positions = math.prod(
            (size + pad + pad_after - reached) // stride + 1
            for size, pad, pad_after, reached, stride in zip(
                operation.input_size, before, after, reach, operation.stride, strict=True
            )
        )
    return 2.0 * positions * _weights(operation)


def parameters(operation: Operation) -> float:
    """Return the weights and offsets of a convolution or linear layer; 0 for other operations."""
    return _weights(operation) + operation.out_channels if operation.has_weights else 0.0


def _weights(operation: Operation) -> float:
    groups = operation.in_channels if operation.is_depthwise else operation.groups
    return float(operation.out_channels * operation.in_channels // groups) * math.prod(
        operation.kernel
    )


def _widths(
    templates: Iterable[Template], groups: ChannelGroups
) -> Iterable[tuple[Operation, Width, Width]]:
    """Yield the operations with channels, each with the channels that it reads and writes.

    Those of a convolution or linear layer follow from the groups of its layer. The others have
    those of the maps that they read, which flow on from operation to operation.
    """
    sizes = {group.name: group.size for group in groups.prunable}
    sides = _sides(groups)
    maps: dict[str, Width] = {}
    for template in templates:
        operation, (name, *_) = template.operation, template.output
        counts = (operation.in_channels, operation.out_channels)
        if operation.kernel and (grouped := sides.get((operation.layer, "depthwise"))):
            units = operation.groups or operation.in_channels
            reads, writes = (_completed(grouped, count, sizes, count // units) for count in counts)
        elif operation.has_weights:
            covered = (sides.get((operation.layer, side), {}) for side in ("in", "out"))
            reads, writes = (
                _completed(one, count, sizes) for one, count in zip(covered, counts, strict=True)
            )
        else:
            found = [maps[source] for source, *_ in template.inputs if source in maps]
            if operation.kind == "Concat" and len(found) == len(template.inputs):
                found = [sum(found, Width())]
            alike = (width for width in found if width.at(sizes) == operation.out_channels)
            reads = writes = next(alike, Width(operation.out_channels))
        maps[name] = writes
        yield operation, reads, writes


def _sides(groups: ChannelGroups) -> dict[tuple[str, str], dict[str, int]]:
    """Return how many indexes of each side of each layer belong to which prunable groups."""
    sides: dict[tuple[str, str], dict[str, int]] = {}
    for group in groups.prunable:
        for part in group.slices:
            covered = sides.setdefault((part.layer, part.side), {})
            covered[group.name] = sum(map(len, part.channels))
    return sides


def _completed(covered: Mapping[str, int], count: int, sizes: Sizes, times: int = 1) -> Width:
    """Return the width of a map of `count` channels, `times` for each index that groups have."""
    per_channel = tuple((name, times * part // sizes[name]) for name, part in covered.items())
    return Width(count - sum(each * sizes[name] for name, each in per_channel), per_channel)
