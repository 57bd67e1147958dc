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
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx

from saliency.errors import PruningError
from saliency.pruning.latency.engines import Engine
from saliency.pruning.latency.measured_widths import width_pairs, widths
from saliency.pruning.latency.onnx_graph import Shapes, read_graph, simplify
from saliency.pruning.latency.operations import Operation, Shape, Template
from saliency.pruning.latency.pace import Stopwatch
from saliency.pruning.latency.sandwich import (
    RowGraph,
    bread_graph,
    call_graph,
    row_graph,
    whole_graph,
)
from saliency.pruning.latency.table import REST, Conditions, LatencyTable, Row

FEWEST_RUNS, MOST_RUNS, VISIT_MS = 3, 20, 1.0
RECURRENT = {"LSTM", "GRU", "RNN"}  # their numbers of channels are fixed in their weights
LEAST_MS = 1e-4  # of a row whose sandwich was no slower than its bread

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Key:
    """What is timed: a row, or a reference for rows.

    Attributes:
        signature: of the operation; or `bread`, `call` or `whole`.
        in_channels: channels read.
        out_channels: channels written.
        shape: of the map, for bread.
    """

    signature: str
    in_channels: int = 0
    out_channels: int = 0
    shape: Shape = ()


CALL, WHOLE, BREAD = Key("call"), Key("whole"), "bread"

Builders = dict[Key, Callable[[], RowGraph]]


def conditions_of(engine: Engine, *, input_size: tuple[int, int]) -> Conditions:
    """Return the conditions under which a table measured in an engine is valid."""
    return Conditions(
        engine=engine.name,
        engine_version=engine.version,
        device=engine.device,
        threads=engine.threads,
        dtype="float32",
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
    seed: int = 0,
    progress: Progress | None = None,
    after_round: Callable[[], None] | None = None,
) -> LatencyTable:
    """Return the times of a network's operations at their grids of channels.

    Args:
        model: the unpruned network, exported as it will be served.
        engine: what will run it.
        input_shape: shape of the network's input, the batch included; of several inputs a tuple of
            shapes.
        input_size: the height and width in it.
        rounds: how often every row is visited.
        budget_seconds: no round is begun that would likely end later; the first always is.
        seed: of the order.
        progress: called after every visit with visits done and visits planned.
        after_round: called after every round, to measure something else in the same minutes.

    Raises:
        PruningError: the graph cannot be run at that shape, or not in the engine.
    """
    static = simplify(model, input_shape=input_shape)
    templates, left_out = read_graph(static)
    builders = _builders(templates)
    ends = {key: _ends(build) for key, build in builders.items()}
    for shape in sorted({shape for shapes in ends.values() for shape in shapes}):
        builders[Key(BREAD, shape=shape)] = partial(bread_graph, shape)
    builders[CALL] = call_graph
    builders[WHOLE] = partial(whole_graph, static)
    watch = Stopwatch(engine)
    relative = _measure(
        builders,
        watch,
        rounds=rounds,
        budget_seconds=budget_seconds,
        seed=seed,
        progress=progress,
        after_round=after_round,
    )
    unit_ms = watch.usual_pace_ms
    samples_ms = {key: unit_ms * np.array(times) for key, times in relative.items()}
    table = LatencyTable(
        conditions=conditions_of(engine, input_size=input_size),
        reference_ms=unit_ms,
        call_ms=float(np.median(samples_ms[CALL])),
        rows=tuple(_rows(ends, samples_ms)),
    )
    return _completed(table, templates, left_out, samples_ms[WHOLE])


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


def _builders(templates: Iterable[Template]) -> Builders:
    """Return how to build each row: the distinct operations at their grids of channels.

    Operations that differ in their channels only share a grid.
    """
    alike: dict[str, list[Template]] = defaultdict(list)
    for template in templates:
        alike[template.operation.signature].append(template)
    return {
        Key(signature, reads, writes): partial(
            row_graph, group[0], in_channels=reads, out_channels=writes
        )
        for signature, group in alike.items()
        for reads, writes in _counts([template.operation for template in group])
    }


def _ends(build: Callable[[], RowGraph]) -> tuple[Shape, ...]:
    """Return where a row has bread; nowhere if it cannot be built, which its visit will show."""
    try:
        return build().ends
    except ValueError:  # the sizes of its constants do not go with those of its channels
        return ()


def _counts(alike: list[Operation]) -> Iterable[tuple[int, int]]:
    """Return the channels read and written at which operations of a signature are measured."""
    reads = {operation.in_channels for operation in alike}
    first = alike[0]
    if reads == {0}:
        return [(0, 0)]
    if not first.has_two_widths:
        least = first.input_count if first.kind == "Concat" else 1
        return [(count, count) for count in widths(reads) if count >= least]
    pairs = width_pairs(reads, {operation.out_channels for operation in alike})
    return [pair for pair in pairs if pair[0] % first.groups == pair[1] % first.groups == 0]


def _measure(
    builders: Builders,
    watch: Stopwatch,
    *,
    rounds: int,
    budget_seconds: float,
    seed: int,
    progress: Progress | None,
    after_round: Callable[[], None] | None,
) -> dict[Key, list[float]]:
    """Return all times of each row, as multiples of the reference's time.

    Rows that the engine does not run have none, and neither have the others of their operation.

    Raises:
        PruningError: it does not run the whole network.
    """
    keys = list(builders)
    samples: dict[Key, list[float]] = {key: [] for key in keys}
    failed: set[str] = set()
    start = time.monotonic()
    for done, order in enumerate(visiting_order(len(keys), rounds=rounds, seed=seed)):
        elapsed = time.monotonic() - start
        if done and elapsed * (done + 1) / done > budget_seconds:
            break
        for visit, index in enumerate(order):
            key = keys[index]
            if key.signature not in failed and (times := _tried(builders[key], watch, key)):
                samples[key] += times
            else:
                failed.add(key.signature)
            if progress is not None:
                progress(done * len(keys) + visit + 1, rounds * len(keys))
        if after_round is not None:
            after_round()
    return {key: [] if key.signature in failed else times for key, times in samples.items()}


def _tried(build: Callable[[], RowGraph], watch: Stopwatch, key: Key) -> list[float]:
    """Return the times of a few runs of a graph; none if an operation cannot run by itself."""
    try:
        return _visit(build(), watch)
    except Exception as error:  # engines have exceptions of their own
        if key == WHOLE:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            name = watch.engine.name
            raise PruningError(f"the engine {name} cannot run the network: {reason}") from error
        if key.signature in (CALL.signature, BREAD):
            raise
        return []


def _visit(graph: RowGraph, watch: Stopwatch) -> list[float]:
    """Return the times of a few runs of a graph."""
    run = watch.engine.prepare(graph.model, graph.inputs)
    warm_ms = watch.warm_up(run)
    runs = min(max(FEWEST_RUNS, int(VISIT_MS / max(warm_ms, LEAST_MS))), MOST_RUNS)
    return watch.relative_times(run, runs=runs)


def _rows(ends: dict[Key, tuple[Shape, ...]], samples_ms: dict[Key, np.ndarray]) -> Iterator[Row]:
    """Yield the rows, without the time of the call, of the bread and of the ends.

    Two slices of bread have both ends and one call, so half of what they take beyond a call is
    what a sandwich pays at one end.
    """
    medians = {key: float(np.median(times)) for key, times in samples_ms.items() if len(times)}
    call_ms = medians[CALL]
    for key, shapes in ends.items():
        if key not in medians:
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
