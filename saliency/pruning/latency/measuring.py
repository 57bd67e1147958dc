"""Measure the time of a network's operations in an engine, at many numbers of channels.

Rounds go over all rows, each in another order, so that a slow minute of the machine falls on all
of them alike, and a session is started anew in every round, so that no row keeps a lucky or an
unlucky place in memory. A row's time is the median over all rounds, at the machine's median pace
(`timing`).

A layer by itself takes a little longer than in its place between others, by about the same share
for all. So the unpruned network is timed among the rows, and all rows are scaled by one factor
with which they add up to it. Where some operations cannot be measured by themselves, the factor is
one, and what the network takes beyond the others is the time of the rest.
"""

import dataclasses
import logging
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import onnx

from saliency.pruning.latency.engines import Engine
from saliency.pruning.latency.onnx_graph import Shapes, read_graph, simplify
from saliency.pruning.latency.operations import Template
from saliency.pruning.latency.pace import Stopwatch
from saliency.pruning.latency.row_plan import Ladder, choose_levels, find_ladders
from saliency.pruning.latency.sandwich import call_graph, row_graph, whole_graph
from saliency.pruning.latency.table import REST, Conditions, LatencyTable, Row
from saliency.pruning.latency.visits import BREAD, CALL, LEAST_MS, WHOLE, Key, Visits

log = logging.getLogger(__name__)

LEAST_ROUNDS = 3  # for which the budget is to be enough
RECURRENT = {"LSTM", "GRU", "RNN"}  # their numbers of channels are fixed in their weights

Progress = Callable[[int, int], None]


def conditions_of(engine: Engine, *, input_size: tuple[int, int]) -> Conditions:
    """Return the conditions under which a table measured in an engine is valid."""
    return Conditions(
        engine=engine.name,
        engine_version=engine.version,
        device=engine.device,
        threads=engine.threads,
        dtype=engine.dtype,
        input_size=input_size,
    )


def measure_table(
    model: onnx.ModelProto,
    engine: Engine,
    *,
    input_shape: Shapes,
    input_size: tuple[int, int],
    rounds: int = 7,
    budget_seconds: float = 540.0,
    most_rows: int = 8000,
    seed: int = 0,
    progress: Progress | None = None,
    after_round: Callable[[], None] | None = None,
) -> LatencyTable:
    """Return the times of a network's operations at their grids of channels.

    Where there is not time for all rows, those are measured that count most (`row_plan`), and the
    others are interpolated; `LatencyTable.interpolation_error` says how far off that may be.

    Args:
        model: the unpruned network, exported as it will be served.
        engine: what will run it.
        input_shape: shape of the network's input, the batch included; of several inputs a tuple of
            shapes.
        input_size: the height and width in it.
        rounds: how often every row is visited.
        budget_seconds: rows are chosen such that three rounds end within it, and no further round
            is begun that would likely end later. The coarsest grids are always measured once.
        most_rows: how many rows there may be.
        seed: of the order.
        progress: called after every visit with visits done and visits planned.
        after_round: called after every round, to measure something else in the same minutes.

    Raises:
        PruningError: the graph cannot be run at that shape, or not in the engine.
    """
    static = simplify(model, input_shape=input_shape)
    templates, left_out = read_graph(static)
    ladders = find_ladders(templates)
    watch = Stopwatch(engine)
    visits = Visits(watch)
    visits.add(CALL, call_graph)
    visits.add(WHOLE, partial(whole_graph, static))
    report = _Report(progress, after_round, rounds)
    start = time.monotonic()
    _add_rows(visits, ladders, [0] * len(ladders))
    _visit_all(visits, list(visits.samples), report, seed=seed)
    first = len(visits.samples)
    levels = _affordable_levels(visits, ladders, budget_seconds / LEAST_ROUNDS, most_rows)
    _add_rows(visits, ladders, levels)
    _visit_all(visits, list(visits.samples)[first:], report, seed=seed + 1)
    report.end_round()
    for done, order in enumerate(
        visiting_order(len(visits.samples), rounds=rounds - 1, seed=seed + 2), start=1
    ):
        if (time.monotonic() - start) * (done + 1) / done > budget_seconds:
            break
        _visit_all(visits, list(visits.samples), report, order=order)
        report.end_round()
    unit_ms = watch.usual_pace_ms
    samples_ms = {key: unit_ms * np.array(times) for key, times in visits.samples.items()}
    table = LatencyTable(
        conditions=conditions_of(engine, input_size=input_size),
        reference_ms=unit_ms,
        call_ms=float(np.median(samples_ms[CALL])),
        rows=tuple(_rows(visits, samples_ms)),
    )
    table = _completed(table, templates, left_out, samples_ms[WHOLE])
    _log_extent(table, templates, all_rows=sum(len(ladder.grids[-1]) for ladder in ladders))
    return table


class _Report:
    """Counts visits, and tells a caller how many there were and will be."""

    def __init__(
        self, progress: Progress | None, after_round: Callable[[], None] | None, rounds: int
    ) -> None:
        self._progress, self._after_round, self._rounds = progress, after_round, rounds
        self._done = self.keys = 0

    def count(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._rounds * self.keys)

    def end_round(self) -> None:
        if self._after_round is not None:
            self._after_round()


def _add_rows(visits: Visits, ladders: Iterable[Ladder], levels: Iterable[int]) -> None:
    for ladder, level in zip(ladders, levels, strict=True):
        for reads, writes in ladder.grids[level]:
            key = Key(ladder.signature, reads, writes)
            build = partial(row_graph, ladder.template, in_channels=reads, out_channels=writes)
            visits.add(key, build)


def _visit_all(
    visits: Visits,
    keys: Sequence[Key],
    report: _Report,
    *,
    seed: int = 0,
    order: Sequence[int] | None = None,
) -> None:
    """Visit things once each, in an order or in one that follows from a seed."""
    report.keys = len(visits.samples)
    if order is None:
        order = next(visiting_order(len(keys), rounds=1, seed=seed))
    visits.visit((keys[index] for index in order), report.count)


def _affordable_levels(
    visits: Visits, ladders: Sequence[Ladder], seconds: float, most_rows: int
) -> list[int]:
    """Return how fine each grid can be, by what the coarsest ones took."""
    weights, row_seconds = [], []
    for ladder in ladders:
        times = visits.samples[Key(ladder.signature, *ladder.grids[0][-1])]
        weights.append(0.0 if ladder.signature in visits.failed else ladder.uses * max(times))
        spent, count = visits.seconds[ladder.signature]
        row_seconds.append(spent / count)
    others = sum(
        spent
        for signature, (spent, _) in visits.seconds.items()
        if signature in (CALL.signature, WHOLE.signature, BREAD)
    )
    return choose_levels(
        ladders, weights, row_seconds, seconds=seconds - others, most_rows=most_rows
    )


def _log_extent(table: LatencyTable, templates: Iterable[Template], *, all_rows: int) -> None:
    """Say how many rows were measured, and what the error of the others may be."""
    error = table.interpolation_error(template.operation for template in templates)
    measured = sum(row.signature != REST for row in table.rows)
    log.info(
        "%d of %d rows measured; times between them may be off by %.1f%%",
        measured,
        all_rows,
        100 * error,
    )


def _completed(
    table: LatencyTable,
    templates: Iterable[Template],
    left_out: Iterable[str],
    whole_ms: np.ndarray,
) -> LatencyTable:
    """Return the table scaled to the time of the whole network, or with a row for the rest."""
    network_ms = float(np.median(whole_ms))
    operations = [template.operation for template in templates]
    sum_ms = table.network_latency_ms(operations)
    in_rest = {row.signature for row in table.rows if not row.runs}
    kinds = {operation.kind for operation in operations if operation.signature in in_rest}
    kinds.update(left_out)
    if kinds:
        quartiles = np.quantile(whole_ms, (0.25, 0.75))
        spread_ms = float(quartiles[1] - quartiles[0])
        rest = Row(REST, 0, 0, max(network_ms - sum_ms, 0.0), spread_ms, len(whole_ms))
        table = table.scaled(min(1.0, network_ms / sum_ms))
        table = dataclasses.replace(table, rows=(*table.rows, rest))
    else:
        table = table.scaled(network_ms / sum_ms)
    recurrent = [operation for operation in operations if operation.kind in RECURRENT]
    if kinds := kinds | {operation.kind for operation in recurrent}:
        fixed_ms = table.rest_ms + sum(map(table.latency_ms, recurrent))
        warnings.warn(
            f"{', '.join(sorted(kinds))} cannot be measured at other numbers of channels: "
            f"{fixed_ms / network_ms:.0%} of the network's time is taken to stay as it is",
            stacklevel=3,
        )
    return table


def visiting_order(count: int, *, rounds: int, seed: int) -> Iterator[list[int]]:
    """Yield, for each round, all rows in an order of its own."""
    random = np.random.default_rng(seed)
    for _ in range(rounds):
        yield random.permutation(count).tolist()


def _rows(visits: Visits, samples_ms: Mapping[Key, np.ndarray]) -> Iterator[Row]:
    """Yield the rows, without the time of the call, of the bread and of the ends.

    Two slices of bread have both ends and one call, so half of what they take beyond a call is
    what a sandwich pays at one end.
    """
    medians = {key: float(np.median(times)) for key, times in samples_ms.items() if len(times)}
    call_ms = medians[CALL]
    for key, shapes in visits.ends.items():
        if key.signature in visits.failed:
            yield Row(key.signature, key.in_channels, key.out_channels, 0.0, 0.0, 0)
            continue
        bread_ms = sum((medians[Key(BREAD, shape=shape)] - call_ms) / 2 for shape in shapes)
        quartiles = np.quantile(samples_ms[key], (0.25, 0.75))
        yield Row(
            signature=key.signature,
            in_channels=key.in_channels,
            out_channels=key.out_channels,
            median_ms=max(medians[key] - call_ms - bread_ms, LEAST_MS),
            spread_ms=float(quartiles[1] - quartiles[0]),
            runs=len(samples_ms[key]),
        )
