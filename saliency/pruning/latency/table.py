"""The time of an operation at any number of channels, from measured times.

A table is valid for one engine, device, number of threads, type of numbers and input size, and is
refused for any other. Between the measured counts of channels:

- Each class of counts (`channel_grid`) has times of its own, so slow odd counts are not hidden by
  even neighbours.
- Multiples of 8 that a layer *writes* follow the staircase: a count that was not measured costs
  what the next measured one costs, where these are near enough to show the stairs.
- What a layer *reads* costs time linearly, block by block (the blocks are summed up; at 15×20
  positions, 32 to 672 to 112 channels, a line through the ends misses the measured by 4 to 10 % in
  the middle), and so do the counts off the blocks, which engines compute without blocks.
"""

import dataclasses
import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from statistics import median

from saliency.errors import LatencyTableError
from saliency.pruning.latency.measured_widths import alignment
from saliency.pruning.latency.operations import Operation

REST = "rest"
LARGEST_STEP = 32  # between neighbours of the finest grids (`measured_widths.fine_counts`)


@dataclasses.dataclass(frozen=True)
class Conditions:
    """The conditions under which times are measured.

    Attributes:
        engine: `onnxruntime`, `torch`, `openvino` or `openvino-bfloat16`.
        engine_version: its version; kernels change with it.
        device: name of the processor.
        threads: how many threads the engine may use.
        dtype: type of the numbers inside the network.
        input_size: height and width of the photo.
    """

    engine: str
    engine_version: str
    device: str
    threads: int
    dtype: str
    input_size: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Row:
    """The measured time of one operation at one number of channels.

    Attributes:
        signature: of the operation (`Operation.signature`); `rest` for all together that cannot be
            measured one by one.
        in_channels: channels read.
        out_channels: channels written.
        median_ms: over all runs.
        spread_ms: distance between the quartiles of the runs.
        runs: how often it ran; 0 for an operation that is part of the rest.
    """

    signature: str
    in_channels: int
    out_channels: int
    median_ms: float
    spread_ms: float
    runs: int


@dataclasses.dataclass(frozen=True)
class LatencyTable:
    """Measured times, and the time of a network that follows from them.

    Attributes:
        conditions: under which they are valid.
        reference_ms: time of the fixed work by which the speed of the machine is measured
            (`timing`).
        call_ms: time of a call of the engine, independent of the network.
        rows: one for each operation and number of channels.
    """

    conditions: Conditions
    reference_ms: float
    call_ms: float
    rows: tuple[Row, ...]

    @property
    def rest_ms(self) -> float:
        """The time of what could not be measured by itself: the same at any number of channels."""
        return math.fsum(row.median_ms for row in self.rows if row.signature == REST)

    def network_latency_ms(self, operations: Iterable[Operation]) -> float:
        """Return the time of a network: that of its operations, of the rest and of one call."""
        times_ms = (self.latency_ms(operation) for operation in operations)
        return self.call_ms + self.rest_ms + math.fsum(times_ms)

    def latency_ms(self, operation: Operation) -> float:
        """Return the time of an operation at its numbers of channels; 0 if it is in the rest.

        Raises:
            LatencyTableError: no such operation was measured, or only with fewer channels.
        """
        if operation.signature in self._in_rest:
            return 0.0
        grids = next(filter(None, map(self.grids.get, _signatures(operation))), None)
        counts = (operation.in_channels, operation.out_channels)
        classes = (alignment(counts[0]), alignment(counts[1]))
        grid = grids.get(classes) if grids is not None else None
        if grid is None or counts[0] > grid.in_counts[-1] or counts[1] > grid.out_counts[-1]:
            raise LatencyTableError(
                f"the table has no time for {operation.layer or operation.kind} "
                f"({operation.signature}) from {counts[0]} to {counts[1]} channels; "
                "measure the unpruned network again"
            )
        return grid.latency_ms(operation)

    def interpolation_error(self, operations: Iterable[Operation]) -> float:
        """Return how far off the times between the rows may be, as a share of the time.

        Each row within a grid is predicted from its neighbours, twice as far apart as a count that
        was not measured has them, and compared; the medians of the operations are weighted by
        their time. That includes the noise of the measurements.
        """
        weighed_ms = total_ms = 0.0
        for operation in operations:
            time_ms = self.latency_ms(operation)
            classes = (alignment(operation.in_channels), alignment(operation.out_channels))
            grid = self.grids.get(operation.signature, {}).get(classes)
            deviations = list(grid.deviations()) if grid is not None else []
            total_ms += time_ms
            weighed_ms += time_ms * median(deviations) if deviations else 0.0
        return weighed_ms / total_ms if total_ms else 0.0

    def scaled(self, factor: float) -> "LatencyTable":
        """Return the table with all its times multiplied."""
        rows = (
            dataclasses.replace(
                row, median_ms=factor * row.median_ms, spread_ms=factor * row.spread_ms
            )
            for row in self.rows
        )
        return dataclasses.replace(self, call_ms=factor * self.call_ms, rows=tuple(rows))

    def require(self, conditions: Conditions) -> None:
        """Refuse a table that was measured elsewhere or otherwise.

        Raises:
            LatencyTableError: one of the conditions differs.
        """
        for field in dataclasses.fields(Conditions):
            expected, actual = getattr(conditions, field.name), getattr(self.conditions, field.name)
            if expected != actual:
                name = field.name.replace("_", " ")
                raise LatencyTableError(
                    f"expected a latency table for the {name} {expected}, got one for {actual}; "
                    "measure a new one with `saliency prune measure`"
                )

    @cached_property
    def _in_rest(self) -> set[str]:
        return {row.signature for row in self.rows if not row.runs}

    @cached_property
    def grids(self) -> dict[str, dict[tuple[int, int], "Grid"]]:
        """The rows by signature and by the classes of the channels read and written."""
        times: dict[str, dict[tuple[int, int], dict[tuple[int, int], float]]]
        times = defaultdict(lambda: defaultdict(dict))
        for row in self.rows:
            if not row.runs or row.signature == REST:
                continue
            counts = (row.in_channels, row.out_channels)
            classes = (alignment(counts[0]), alignment(counts[1]))
            times[row.signature][classes][counts] = row.median_ms
        return {
            signature: {classes: Grid.of(grid) for classes, grid in grids.items()}
            for signature, grids in times.items()
        }


@dataclasses.dataclass(frozen=True)
class Grid:
    """The times of one operation in one class of channels read and of channels written."""

    in_counts: tuple[int, ...]
    out_counts: tuple[int, ...]
    times_ms: dict[tuple[int, int], float]

    @classmethod
    def of(cls, times_ms: dict[tuple[int, int], float]) -> "Grid":
        """Return the grid of times by channels read and written."""
        counts = [tuple(sorted(set(axis))) for axis in zip(*times_ms, strict=True)]
        return cls(counts[0], counts[1], times_ms)

    def latency_ms(self, operation: Operation) -> float:
        """Return the time of an operation whose channels lie within the grid."""
        reads, writes = operation.in_channels, operation.out_channels
        if not operation.has_two_widths:
            pairs = ((count, share) for count, share in _weighed(self.in_counts, reads, steps=True))
            return sum(share * self.times_ms[count, count] for count, share in pairs)
        return sum(
            in_share * out_share * self.times_ms[in_count, out_count]
            for in_count, in_share in _weighed(self.in_counts, reads, steps=False)
            for out_count, out_share in _weighed(self.out_counts, writes, steps=True)
        )

    def deviations(self) -> Iterator[float]:
        """Yield by what share each inner row deviates from the line between its neighbours."""
        times_ms = self.times_ms
        if all(reads == writes for reads, writes in times_ms):
            lines = [(self.in_counts, [times_ms[count, count] for count in self.in_counts])]
        else:
            lines = [
                (self.in_counts, [times_ms[count, out] for count in self.in_counts])
                for out in self.out_counts
            ]
            lines += [
                (self.out_counts, [times_ms[reads, count] for count in self.out_counts])
                for reads in self.in_counts
            ]
        for counts, along in lines:
            for k in range(1, len(counts) - 1):
                share = (counts[k] - counts[k - 1]) / (counts[k + 1] - counts[k - 1])
                line = (1 - share) * along[k - 1] + share * along[k + 1]
                yield abs(line / along[k] - 1)


def _signatures(operation: Operation) -> Iterator[str]:
    """Yield the signatures under which an operation may have been measured.

    Of one channel alone a depthwise convolution and one across channels are the same.
    """
    yield operation.signature
    if operation.kernel and operation.in_channels == operation.out_channels == 1:
        yield dataclasses.replace(operation, groups=1 - min(operation.groups, 1)).signature


def _weighed(counts: tuple[int, ...], count: int, *, steps: bool) -> list[tuple[int, float]]:
    """Return the measured counts from which a count is interpolated, each with its share.

    Multiples of 8 climb in steps where `steps` is true: the next one is measured in their place,
    unless it is further off than a step.
    """
    position = bisect_left(counts, count)
    above, below = counts[position], counts[max(position - 1, 0)]
    is_step = steps and alignment(count) == 8 and above - below <= LARGEST_STEP
    if above in (count, below) or is_step:
        return [(above, 1.0)]
    share = (count - below) / (above - below)
    return [(below, 1 - share), (above, share)]
