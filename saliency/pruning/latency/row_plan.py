"""Which rows of a latency table are measured when there is not time for all.

The rows of an operation form a ladder of grids, each with all the rows of the one before. The
coarsest grids are measured first: they show what an operation takes and how long a row is measured.
Then those are refined whose times count most for the seconds that it takes.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count

from saliency.pruning.latency.measured_widths import width_pairs, widths
from saliency.pruning.latency.operations import Operation, Template

Pair = tuple[int, int]
"""Channels read and written."""


@dataclass(frozen=True)
class Ladder:
    """The grids of the operations that differ in their channels only.

    Attributes:
        template: the parts to build one of them.
        uses: how many of them the network has.
        grids: channels read and written at each level, the coarsest first.
    """

    template: Template
    uses: int
    grids: tuple[tuple[Pair, ...], ...]

    @property
    def signature(self) -> str:
        """The signature of its operations."""
        return self.template.operation.signature


def find_ladders(templates: Iterable[Template]) -> list[Ladder]:
    """Return the ladders of a network's operations."""
    alike: dict[str, list[Template]] = defaultdict(list)
    for template in templates:
        alike[template.operation.signature].append(template)
    return [
        Ladder(group[0], len(group), _grids([template.operation for template in group]))
        for group in alike.values()
    ]


def _grids(alike: Sequence[Operation]) -> tuple[tuple[Pair, ...], ...]:
    full = _pairs(alike, None)
    grids = []
    for level in count():
        grids.append(_pairs(alike, level))
        if len(grids[-1]) == len(full):
            return tuple(grids)
    raise AssertionError


def _pairs(alike: Sequence[Operation], level: int | None) -> tuple[Pair, ...]:
    """Return the channels read and written at which operations of a signature are measured."""
    reads = {operation.in_channels for operation in alike}
    first = alike[0]
    if reads == {0}:
        return ((0, 0),)
    if not first.has_two_widths:
        least = first.input_count if first.kind == "Concat" else 1
        return tuple((number, number) for number in widths(reads, least=least, level=level))
    writes = {operation.out_channels for operation in alike}
    return width_pairs(reads, writes, multiple=first.groups, level=level)


def choose_levels(
    ladders: Sequence[Ladder],
    weights: Sequence[float],
    row_seconds: Sequence[float],
    *,
    seconds: float,
    most_rows: int,
) -> list[int]:
    """Return the level to which each ladder is measured.

    Each level halves the distances, so what is gained by the next one is taken to be a quarter of
    what was gained by the one before.

    Args:
        ladders: the operations.
        weights: what share of the network's time each takes, in any unit.
        row_seconds: how long one of its rows is measured.
        seconds: how long all rows may be measured, once each, the coarsest grids included.
        most_rows: how many rows there may be. The coarsest grids are measured in any case.
    """
    levels = [0] * len(ladders)
    rows = sum(len(ladder.grids[0]) for ladder in ladders)
    spent = sum(
        each * len(ladder.grids[0]) for ladder, each in zip(ladders, row_seconds, strict=True)
    )
    waiting: list[tuple[float, int]] = []

    def offer(index: int) -> None:
        level, grids = levels[index], ladders[index].grids
        if level + 1 < len(grids) and weights[index] > 0:
            price = row_seconds[index] * (len(grids[level + 1]) - len(grids[level]))
            heapq.heappush(waiting, (-weights[index] / 4**level / max(price, 1e-9), index))

    for index in range(len(ladders)):
        offer(index)
    while waiting:
        _, index = heapq.heappop(waiting)
        grids, level = ladders[index].grids, levels[index]
        added = len(grids[level + 1]) - len(grids[level])
        if spent + added * row_seconds[index] > seconds or rows + added > most_rows:
            continue  # a cheaper one may still fit
        spent, rows = spent + added * row_seconds[index], rows + added
        levels[index] += 1
        offer(index)
    return levels
