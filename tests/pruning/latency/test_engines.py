import importlib.util

import numpy as np
import onnxruntime
import pytest
import torch
from latency_fixtures import toy_graph

from saliency.errors import LatencyTableError
from saliency.pruning.latency.engines import ENGINES, Engine, OpenVinoEngine, TorchEngine
from saliency.pruning.latency.measuring import conditions_of, measure_table
from saliency.pruning.latency.onnx_graph import find_operations, simplify

SHAPE = (1, 3, 16, 24)
INPUTS = {"input": np.random.default_rng(0).random(SHAPE).astype(np.float32)}

needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="openvino is not installed"
)
installed = pytest.mark.parametrize(
    "name",
    [
        "onnxruntime",
        "onnxruntime-int8",
        "torch",
        pytest.param("openvino", marks=needs_openvino),
    ],
)


@installed
def test_engine_runs_a_network_and_its_clock_goes_on(name):
    engine = ENGINES[name](threads=1)
    assert isinstance(engine, Engine)
    run = engine.prepare(simplify(toy_graph(), input_shape=SHAPE), INPUTS)
    start = engine.clock_ns()
    run()
    assert engine.clock_ns() > start


@installed
def test_engine_measures_a_table(name):
    engine = ENGINES[name](threads=1)
    table = measure_table(
        toy_graph(), engine, input_shape=SHAPE, input_size=SHAPE[2:], rounds=1, budget_seconds=0.1
    )
    assert table.conditions.engine == name
    operations = find_operations(toy_graph(), input_shape=SHAPE)
    assert table.network_latency_ms(operations) > 0


@needs_openvino
def test_openvino_computes_what_onnxruntime_does():
    graph = simplify(toy_graph(), input_shape=SHAPE)
    given = OpenVinoEngine().prepare(graph, INPUTS)()
    (expected,) = onnxruntime.InferenceSession(graph.SerializeToString()).run(None, INPUTS)
    assert given[0] == pytest.approx(expected, abs=1e-5)


@needs_openvino
def test_openvino_computes_in_bfloat16_and_a_table_says_so():
    try:
        engine = ENGINES["openvino-bfloat16"]()
    except LatencyTableError as error:
        pytest.skip(str(error))
    graph = simplify(toy_graph(), input_shape=SHAPE)
    given = engine.prepare(graph, INPUTS)()[0]
    (expected,) = onnxruntime.InferenceSession(graph.SerializeToString()).run(None, INPUTS)
    assert given == pytest.approx(expected, abs=2e-2)
    assert not np.allclose(given, expected, atol=1e-5)
    conditions = conditions_of(engine, input_size=SHAPE[2:])
    assert (conditions.engine, conditions.dtype) == ("openvino-bfloat16", "bfloat16")


@needs_openvino
def test_processor_without_bfloat16_is_named(monkeypatch):
    monkeypatch.setattr("openvino.Core.get_property", lambda *_: ["FP32", "INT8"])
    assert OpenVinoEngine().dtype == "float32"
    with pytest.raises(LatencyTableError, match="does not compute in bfloat16; use openvino"):
        OpenVinoEngine(dtype="bfloat16")


def test_torch_computes_what_onnxruntime_does(monkeypatch):
    graph = simplify(toy_graph(), input_shape=SHAPE)
    seen = []
    monkeypatch.setattr(
        TorchEngine, "_run", lambda _, module, tensors: seen.append(module(*tensors))
    )
    TorchEngine().prepare(graph, INPUTS)()
    (expected,) = onnxruntime.InferenceSession(graph.SerializeToString()).run(None, INPUTS)
    assert seen[0].detach().numpy() == pytest.approx(expected, abs=1e-5)


def test_torch_runs_with_its_threads_and_gives_back_those_of_the_program():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        used = []

        class Spy(torch.nn.Module):
            def forward(self, images):
                used.append(torch.get_num_threads())
                return images

        TorchEngine(threads=1)._run(Spy(), [torch.zeros(1)])
        assert used == [1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_missing_device_is_named():
    with pytest.raises(LatencyTableError, match="no device cuda"):
        TorchEngine(device="cuda")
