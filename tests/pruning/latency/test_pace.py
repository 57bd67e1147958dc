import numpy as np
import pytest
from latency_fixtures import CountingEngine, toy_graph

from saliency.pruning.latency.pace import NetworkTimes, Stopwatch, measure_networks_ms
from saliency.pruning.latency.sandwich import reference_graph

INPUTS = {"input": np.zeros((1, 3, 16, 24), np.float32)}


class PacedEngine(CountingEngine):
    """A machine that computes more and more slowly."""

    def prepare(self, model, inputs):
        run = super().prepare(model, inputs)

        def slower():
            start = self.now_ns
            run()
            self.now_ns += int((self.now_ns - start) * self.now_ns * 1e-9)

        return slower


def nodes(graph):
    return len(graph.graph.node)


def test_network_is_timed_at_the_usual_pace():
    (time_ms,) = measure_networks_ms([toy_graph()], CountingEngine(), inputs=[INPUTS], rounds=2)
    assert time_ms == pytest.approx(nodes(toy_graph()))


def test_network_is_timed_at_the_pace_that_is_asked_for():
    reference_ms = 3.0 * nodes(reference_graph().model)
    (time_ms,) = measure_networks_ms(
        [toy_graph()], CountingEngine(), inputs=[INPUTS], reference_ms=reference_ms, rounds=2
    )
    assert time_ms == pytest.approx(3 * nodes(toy_graph()))


def test_times_do_not_depend_on_the_pace_of_the_machine():
    """The clock itself says that the machine becomes some times slower meanwhile."""
    engine = PacedEngine()
    times = NetworkTimes([toy_graph(), toy_graph()], engine, [INPUTS, INPUTS])
    first_pace_ms = times.watch.pace_ms
    for _ in range(5):
        times.visit()
    assert times.watch.pace_ms > 2 * first_pace_ms
    reference_ms = float(nodes(reference_graph().model))
    for time_ms in times.medians_ms(reference_ms=reference_ms):
        # The present pace is the median of the last runs: it lags a little behind.
        assert time_ms == pytest.approx(nodes(toy_graph()), rel=0.2)


def test_pace_is_the_median_of_the_last_runs_of_the_reference():
    watch = Stopwatch(CountingEngine())
    assert watch.pace_ms == watch.usual_pace_ms == nodes(reference_graph().model)


def test_each_round_prepares_each_network_anew():
    engine = CountingEngine()
    times = NetworkTimes([toy_graph(), toy_graph()], engine, [INPUTS, INPUTS])
    before = len(engine.graphs)
    times.visit()
    times.visit()
    assert len(engine.graphs) - before == 4
