import sys

import pytest
import torch
from latency_fixtures import CountingEngine, Toy, toy_graph

from saliency.errors import LatencyTableError
from saliency.pruning.latency.engines import OnnxRuntimeEngine, OpenVinoEngine
from saliency.pruning.latency.exporting import export_copy
from saliency.pruning.latency.measuring import measure_table, visiting_order
from saliency.pruning.latency.onnx_graph import find_operations, simplify

SHAPE = (1, 3, 16, 24)


def measured(engine, **options):
    given = {"input_shape": SHAPE, "input_size": SHAPE[2:], "rounds": 2, **options}
    return measure_table(toy_graph(), engine, **given)


@pytest.fixture(scope="module")
def table():
    return measured(OnnxRuntimeEngine(threads=1))


def test_measured_times_are_positive(table):
    assert table.call_ms > 0
    assert all(row.median_ms > 0 and row.spread_ms >= 0 for row in table.rows)


def test_every_operation_of_the_network_has_its_time(table):
    operations = find_operations(toy_graph(), input_shape=SHAPE)
    assert table.network_latency_ms(operations) > table.call_ms


def test_table_says_where_it_was_measured(table):
    engine = OnnxRuntimeEngine(threads=1)
    conditions = table.conditions
    assert (conditions.engine, conditions.threads, conditions.input_size) == (
        "onnxruntime",
        1,
        (16, 24),
    )
    assert (conditions.device, conditions.engine_version) == (engine.device, engine.version)


def test_bread_ends_and_call_are_subtracted_and_rows_add_up_to_the_network():
    """With a millisecond a node: one for a sum, one for a convolution, two with its activation."""
    table = measured(CountingEngine())
    operations = find_operations(toy_graph(), input_shape=SHAPE)
    times = {one.layer: table.latency_ms(one) for one in operations if one.kind == "convolution"}
    # A sandwich has a slice per end; half of two slices less a call is half a millisecond each.
    alone = {"stem.0": 2 + 2 - 1 - 1, "depthwise": 1 + 2 - 1 - 1, "heads.0": 1 + 2 - 1 - 1}
    nodes = len(simplify(toy_graph(), input_shape=SHAPE).graph.node)
    factor = times["stem.0"] / alone["stem.0"]
    assert times == pytest.approx({name: factor * time for name, time in alone.items()})
    assert table.network_latency_ms(operations) == pytest.approx(nodes)


def test_every_round_visits_every_row_once_in_another_order():
    first, second = visiting_order(50, rounds=2, seed=0)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second


def test_order_follows_from_the_seed():
    assert list(visiting_order(9, rounds=2, seed=3)) == list(visiting_order(9, rounds=2, seed=3))


def test_rounds_are_not_run_row_by_row():
    engine = CountingEngine()
    measured(engine, rounds=2)
    names = [model.graph.SerializeToString() for model, _ in engine.graphs[1:]]  # less the pace's
    half = len(names) // 2
    assert sorted(names[:half]) == sorted(names[half:])


def test_no_round_is_begun_that_would_end_after_the_budget():
    """Without time the coarsest grids are measured once: of 8 channels the first and the last."""
    engine = CountingEngine()
    table = measured(engine, rounds=1000, budget_seconds=0.0)
    graphs = [model.SerializeToString() for model, _ in engine.graphs]
    assert len(graphs) == len(set(graphs))
    depthwise = next(one for one in find_operations(toy_graph(), input_shape=SHAPE) if one.kernel)
    grid = table.grids[depthwise.signature][1, 8]
    assert (grid.in_counts, grid.out_counts) == ((1, 3), (8,))


def test_extent_of_the_table_is_logged(caplog):
    with caplog.at_level("INFO"):
        table = measured(CountingEngine(), most_rows=0)
    (message,) = [one.message for one in caplog.records if "rows measured" in one.message]
    assert message.startswith(f"{len(table.rows)} of ")


def test_progress_ends_at_the_number_of_visits_planned():
    seen = []
    measured(CountingEngine(), progress=lambda done, planned: seen.append((done, planned)))
    assert [done for done, _ in seen] == list(range(1, len(seen) + 1))
    assert seen[-1] == (len(seen), len(seen))


def test_measuring_leaves_weights_mode_and_outputs_untouched():
    torch.manual_seed(0)
    module, images = Toy().train(), torch.rand(SHAPE)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    graph = export_copy(module, torch.zeros(SHAPE))
    written = graph.SerializeToString()
    measure_table(graph, CountingEngine(), input_shape=SHAPE, input_size=SHAPE[2:], rounds=1)
    assert module.training
    assert graph.SerializeToString() == written
    after = module.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    torch.manual_seed(0)
    assert torch.equal(module.eval()(images), Toy().eval()(images))


def test_missing_openvino_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(LatencyTableError, match="pip install openvino"):
        OpenVinoEngine(threads=1)


@pytest.mark.parametrize("threads", [0, -1])
def test_no_thread_is_refused(threads):
    with pytest.raises(ValueError, match="at least 1 thread"):
        OnnxRuntimeEngine(threads=threads)
