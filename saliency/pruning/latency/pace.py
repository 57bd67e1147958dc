"""Times in an engine, brought to one steady pace.

A shared or throttled machine computes a third faster in one minute than in the next. So a fixed
piece of work, the reference, is timed beside everything that is measured, and times are multiples
of it: so they can be converted to the pace that the machine had at any other moment.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import onnx

from saliency.pruning.latency.engines import Engine, Inputs
from saliency.pruning.latency.sandwich import reference_graph

WARM_UP_RUNS = 2
REMEMBERED = 9  # runs of the reference that make the present pace

Run = Callable[[], object]


class Stopwatch:
    """Times runs in an engine in units of the reference.

    Attributes:
        pace_ms: the reference's time at present.
    """

    def __init__(self, engine: Engine) -> None:
        """Prepare the reference and find the present pace."""
        self.engine = engine
        graph = reference_graph()
        self._reference = engine.prepare(graph.model, graph.inputs)
        self._recent: deque[float] = deque(maxlen=REMEMBERED)
        self._all: list[float] = []
        for _ in range(WARM_UP_RUNS):
            self._reference()
        for _ in range(REMEMBERED):
            self.look_at_pace()

    @property
    def pace_ms(self) -> float:
        """The reference's time at present."""
        return float(np.median(self._recent))

    @property
    def usual_pace_ms(self) -> float:
        """The reference's median time since this stopwatch was made."""
        return float(np.median(self._all))

    def look_at_pace(self) -> None:
        """Run the reference once more."""
        time_ms = self.time_ms(self._reference)
        self._recent.append(time_ms)
        self._all.append(time_ms)

    def time_ms(self, run: Run) -> float:
        """Return the milliseconds that one run takes now."""
        start = self.engine.clock_ns()
        run()
        return (self.engine.clock_ns() - start) / 1e6

    def warm_up(self, run: Run) -> float:
        """Run a few times unmeasured; return the milliseconds of the last run."""
        return [self.time_ms(run) for _ in range(WARM_UP_RUNS)][-1]

    def relative_times(self, run: Run, *, runs: int) -> list[float]:
        """Return the times of a few runs, in times of the reference."""
        self.look_at_pace()
        return [self.time_ms(run) / self.pace_ms for _ in range(runs)]


class NetworkTimes:
    """The times of some networks, gathered in rounds: in each, every network is timed in turn.

    So the ratio of two of the times holds however the machine's pace changes.
    """

    def __init__(
        self, models: Iterable[onnx.ModelProto], engine: Engine, inputs: Sequence[Inputs]
    ) -> None:
        """Prepare to run networks in an engine, each on its inputs."""
        self.watch = Stopwatch(engine)
        self._networks = list(zip(models, inputs, strict=True))
        self._times: list[list[float]] = [[] for _ in self._networks]

    def visit(self, *, runs: int = 5) -> None:
        """Time each network a few times, in a new session, beside the reference."""
        for (model, inputs), times in zip(self._networks, self._times, strict=True):
            run = self.watch.engine.prepare(model, inputs)
            self.watch.warm_up(run)
            for _ in range(runs):
                times.extend(self.watch.relative_times(run, runs=1))

    def medians_ms(self, *, reference_ms: float | None = None) -> list[float]:
        """Return the median time of each network.

        Args:
            reference_ms: convert the times to the pace at which the reference takes this long;
                None for the median pace of the visits.
        """
        unit_ms = self.watch.usual_pace_ms if reference_ms is None else reference_ms
        return [float(np.median(times)) * unit_ms for times in self._times]


def measure_networks_ms(
    models: Iterable[onnx.ModelProto],
    engine: Engine,
    *,
    inputs: Sequence[Inputs],
    reference_ms: float | None = None,
    rounds: int = 7,
) -> list[float]:
    """Return the median time of each of some networks, at a pace (`NetworkTimes.medians_ms`).

    Args:
        models: the networks.
        engine: what runs them.
        inputs: of each network its own.
        reference_ms: as for `NetworkTimes.medians_ms`.
        rounds: in which each is timed in turn.
    """
    times = NetworkTimes(models, engine, inputs)
    for _ in range(rounds):
        times.visit()
    return times.medians_ms(reference_ms=reference_ms)
