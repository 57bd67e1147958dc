"""What runs of pruning are given: photos, a small model, and an engine that takes no time."""

from functools import partial

import pytest
from latency_fixtures import SizeEngine
from training_fixtures import random_model, write_spots

from saliency.commands.prune import main
from saliency.model.checkpoint import save_model
from saliency.pruning.latency import engines, table_file
from saliency.pruning.latency.measuring import measure_table


@pytest.fixture(autouse=True)
def size_engine(monkeypatch):
    """Times that follow from the number of weights, so that a run takes seconds."""
    monkeypatch.setitem(engines.ENGINES, "onnxruntime", SizeEngine)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    return write_spots(tmp_path_factory.mktemp("data") / "spots")


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "unpruned.safetensors"
    save_model(random_model(), path)
    return path


@pytest.fixture(scope="session")
def table(model):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(engines.ENGINES, "onnxruntime", SizeEngine)
        patch.setattr(table_file, "measure_table", partial(measure_table, rounds=1))
        path = model.parent / "latency.json"
        assert main(["measure", str(model), "--size=64x64", f"--out={path}"]) == 0
    return path


@pytest.fixture(scope="session")
def given(model, dataset, table):
    """What every run is given, where a test does not say otherwise."""
    return model, dataset, table
