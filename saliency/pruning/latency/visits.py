"""Visits to the rows of a table: each prepares a row's graph anew and times a few runs of it."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from saliency.errors import PruningError
from saliency.pruning.latency.operations import Shape
from saliency.pruning.latency.pace import Stopwatch
from saliency.pruning.latency.sandwich import RowGraph, bread_graph

FEWEST_RUNS, MOST_RUNS, VISIT_MS = 3, 20, 1.0
LEAST_MS = 1e-4  # of a row whose sandwich was no slower than its bread


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


class Visits:
    """The times of rows, gathered visit by visit.

    Attributes:
        ends: by row, the shapes of the maps at which it has bread.
        samples: by what is timed, all its times, as multiples of the reference's.
        failed: signatures of the operations that the engine does not run by themselves.
        seconds: by signature, how long its visits took, and how many there were.
    """

    def __init__(self, watch: Stopwatch) -> None:
        """Start without rows."""
        self.watch = watch
        self.ends: dict[Key, tuple[Shape, ...]] = {}
        self.samples: dict[Key, list[float]] = {}
        self.failed: set[str] = set()
        self.seconds: dict[str, tuple[float, int]] = defaultdict(lambda: (0.0, 0))
        self._builders: Builders = {}

    def add(self, key: Key, build: Callable[[], RowGraph]) -> None:
        """Add something to be timed, and the bread of its ends."""
        if key in self._builders:
            return
        self._builders[key], self.samples[key] = build, []
        if key.shape or key in (CALL, WHOLE):
            return
        try:
            self.ends[key] = build().ends
        except ValueError:  # sizes that do not go together: its visit will show it
            self.ends[key] = ()
        for shape in self.ends[key]:
            self.add(Key(BREAD, shape=shape), partial(bread_graph, shape))

    def visit(self, keys: Iterable[Key], done: Callable[[], None]) -> None:
        """Time things in turn; call `done` after each.

        Raises:
            PruningError: the engine does not run the whole network.
        """
        for key in keys:
            start = time.monotonic()
            if key.signature not in self.failed:
                self._visit(key)
            spent, count = self.seconds[key.signature]
            self.seconds[key.signature] = (spent + time.monotonic() - start, count + 1)
            done()

    def _visit(self, key: Key) -> None:
        try:
            self.samples[key] += self._times(self._builders[key]())
        except Exception as error:  # engines have exceptions of their own
            if key == WHOLE:
                reason = " ".join(str(error).split())[:300] or type(error).__name__
                raise PruningError(
                    f"the engine {self.watch.engine.name} cannot run the network: {reason}"
                ) from error
            if key.signature in (CALL.signature, BREAD):
                raise
            self.failed.add(key.signature)

    def _times(self, graph: RowGraph) -> list[float]:
        run = self.watch.engine.prepare(graph.model, graph.inputs)
        warm_ms = self.watch.warm_up(run)
        runs = min(max(FEWEST_RUNS, int(VISIT_MS / max(warm_ms, LEAST_MS))), MOST_RUNS)
        return self.watch.relative_times(run, runs=runs)
