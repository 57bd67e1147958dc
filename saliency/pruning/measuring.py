"""Measure what the operations of a network cost in an engine, at many numbers of channels.

Rounds go over all rows, each in another order, so that a slow minute of the machine falls on all
of them alike, and a session is started anew in every round, so that no row keeps a lucky or an
unlucky place in memory. A row's time is the median over all rounds.
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

from saliency.pruning.channel_grid import width_pairs, widths
from saliency.pruning.engines import Engine
from saliency.pruning.latency import LatencyTable, Row, Setting
from saliency.pruning.operations import Operation, Shape, Template, find_templates
from saliency.pruning.row_graphs import RowGraph, bread_graph, call_graph, row_graph

WARM_UP_RUNS = 2
FEWEST_RUNS, MOST_RUNS, VISIT_MS = 3, 20, 1.0
LEAST_MS = 1e-4  # of a row whose sandwich was no slower than its bread

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Key:
    """What is timed: a row, or, with the signature `bread` or `call`, what is subtracted.

    Attributes:
        signature: of the operation.
        in_channels: channels read.
        out_channels: channels written.
        shape: of the map, for bread.
    """

    signature: str
    in_channels: int = 0
    out_channels: int = 0
    shape: Shape = ()


CALL = Key("call")

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


def setting_of(engine: Engine, *, input_size: tuple[int, int]) -> Setting:
    """Return what a table measured in an engine at a height and width holds for."""
    return Setting(
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

    Raises:
        PruningError: the graph cannot be run at that shape.
    """
    templates = find_templates(model, input_shape=input_shape)
    builders = _builders(templates)
    ends = {key: build().ends for key, build in builders.items()}
    for shape in sorted({shape for shapes in ends.values() for shape in shapes}):
        builders[Key("bread", shape=shape)] = partial(bread_graph, shape)
    builders[CALL] = call_graph
    samples = _measure(
        builders, engine, rounds=rounds, budget_seconds=budget_seconds, seed=seed, progress=progress
    )
    return LatencyTable(
        setting=setting_of(engine, input_size=input_size),
        call_ms=float(np.median(samples[CALL])),
        rows=tuple(_rows(ends, samples)),
    )


def measure_whole_ms(
    model: onnx.ModelProto, engine: Engine, *, inputs: dict[str, np.ndarray], runs: int = 30
) -> float:
    """Return the median time of a whole network."""
    run = engine.prepare(model, inputs)
    for _ in range(WARM_UP_RUNS):
        run()
    return float(np.median([_timed_ms(run, engine) for _ in range(runs)]))


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
    engine: Engine,
    *,
    rounds: int,
    budget_seconds: float,
    seed: int,
    progress: Progress | None,
) -> dict[Key, list[float]]:
    """Return all times of each row, in milliseconds."""
    keys = list(builders)
    samples: dict[Key, list[float]] = {key: [] for key in keys}
    start = time.monotonic()
    for done, order in enumerate(visiting_order(len(keys), rounds=rounds, seed=seed)):
        elapsed = time.monotonic() - start
        if done and elapsed * (done + 1) / done > budget_seconds:
            break
        for visit, index in enumerate(order):
            key = keys[index]
            samples[key] += _visit(builders[key](), engine)
            if progress is not None:
                progress(done * len(keys) + visit + 1, rounds * len(keys))
    return samples


def _visit(graph: RowGraph, engine: Engine) -> list[float]:
    """Return the times of a few runs of a graph."""
    run = engine.prepare(graph.model, graph.inputs)
    for _ in range(WARM_UP_RUNS):
        warm_ms = _timed_ms(run, engine)
    runs = min(max(FEWEST_RUNS, int(VISIT_MS / max(warm_ms, LEAST_MS))), MOST_RUNS)
    return [_timed_ms(run, engine) for _ in range(runs)]


def _timed_ms(run: Callable[[], object], engine: Engine) -> float:
    start = engine.clock_ns()
    run()
    return (engine.clock_ns() - start) / 1e6


def _rows(ends: dict[Key, tuple[Shape, ...]], samples: dict[Key, list[float]]) -> Iterator[Row]:
    """Yield the rows, each freed of a call, of its bread and of what its ends cost.

    Two slices of bread have both ends and one call, so half of what they take beyond a call is
    what a sandwich pays at one end.
    """
    medians = {key: float(np.median(times)) for key, times in samples.items()}
    call_ms = medians[CALL]
    for key, shapes in ends.items():
        bread_ms = sum((medians[Key("bread", shape=shape)] - call_ms) / 2 for shape in shapes)
        quartiles = np.quantile(samples[key], (0.25, 0.75))
        yield Row(
            signature=key.signature,
            in_channels=key.in_channels,
            out_channels=key.out_channels,
            median_ms=max(medians[key] - call_ms - bread_ms, LEAST_MS),
            spread_ms=float(quartiles[1] - quartiles[0]),
            runs=len(samples[key]),
        )
