"""Measure the time of a network's operations in an engine, at many numbers of channels.

Rounds go over all rows, each in another order, so that a slow minute of the machine falls on all
of them alike, and a session is started anew in every round, so that no row keeps a lucky or an
unlucky place in memory. A row's time is the median over all rounds, at the machine's median pace
(`timing`).

A layer by itself takes a little longer than in its place between others, by about the same share
for all. So the unpruned network is timed among the rows, and all rows are scaled by one factor
with which they add up to it.
"""

import copy
import io
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from saliency.pruning.latency.engines import Engine
from saliency.pruning.latency.measured_widths import width_pairs, widths
from saliency.pruning.latency.onnx_graph import find_templates, simplify
from saliency.pruning.latency.operations import Operation, Shape, Template
from saliency.pruning.latency.pace import Stopwatch
from saliency.pruning.latency.sandwich import (
    RowGraph,
    bread_graph,
    call_graph,
    row_graph,
    whole_graph,
)
from saliency.pruning.latency.table import Conditions, LatencyTable, Row

FEWEST_RUNS, MOST_RUNS, VISIT_MS = 3, 20, 1.0
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


CALL, WHOLE = Key("call"), Key("whole")

Builders = dict[Key, Callable[[], RowGraph]]


def export_copy(module: nn.Module, example: Tensor, *, opset: int = 17) -> onnx.ModelProto:
    """Return the ONNX graph of a copy of a network in inference mode, at the example's size."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of its exporter
        torch.onnx.export(
            copy.deepcopy(module).eval(),
            (example,),
            buffer,  # type: ignore[arg-type]  # the typed stub knows only paths
            input_names=["input"],
            opset_version=opset,
            dynamo=False,
        )
    return onnx.load_from_string(buffer.getvalue())


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
    input_shape: Shape,
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
        input_shape: shape of the network's input, the batch included.
        input_size: the height and width in it.
        rounds: how often every row is visited.
        budget_seconds: no round is begun that would likely end later; the first always is.
        seed: of the order.
        progress: called after every visit with visits done and visits planned.
        after_round: called after every round, to measure something else in the same minutes.

    Raises:
        PruningError: the graph cannot be run at that shape.
    """
    static = simplify(model, input_shape=input_shape)
    templates = find_templates(static, input_shape=input_shape)
    builders = _builders(templates)
    ends = {key: build().ends for key, build in builders.items()}
    for shape in sorted({shape for shapes in ends.values() for shape in shapes}):
        builders[Key("bread", shape=shape)] = partial(bread_graph, shape)
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
    sum_ms = table.network_latency_ms(template.operation for template in templates)
    return table.scaled(float(np.median(samples_ms[WHOLE])) / sum_ms)


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
    """Return all times of each row, as multiples of the reference's time."""
    keys = list(builders)
    samples: dict[Key, list[float]] = {key: [] for key in keys}
    start = time.monotonic()
    for done, order in enumerate(visiting_order(len(keys), rounds=rounds, seed=seed)):
        elapsed = time.monotonic() - start
        if done and elapsed * (done + 1) / done > budget_seconds:
            break
        for visit, index in enumerate(order):
            key = keys[index]
            samples[key] += _visit(builders[key](), watch)
            if progress is not None:
                progress(done * len(keys) + visit + 1, rounds * len(keys))
        if after_round is not None:
            after_round()
    return samples


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
    medians = {key: float(np.median(times)) for key, times in samples_ms.items()}
    call_ms = medians[CALL]
    for key, shapes in ends.items():
        bread_ms = sum((medians[Key("bread", shape=shape)] - call_ms) / 2 for shape in shapes)
        quartiles = np.quantile(samples_ms[key], (0.25, 0.75))
        yield Row(
            signature=key.signature,
            in_channels=key.in_channels,
            out_channels=key.out_channels,
            median_ms=max(medians[key] - call_ms - bread_ms, LEAST_MS),
            spread_ms=float(quartiles[1] - quartiles[0]),
            runs=len(samples_ms[key]),
        )
