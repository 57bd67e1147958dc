import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from training_fixtures import TINY, random_model

from saliency.model.checkpoint import model_metadata
from saliency.model.config import ModelConfig
from saliency.model.export import export_onnx
from saliency.model.network import SaliencyModel
from saliency.prediction.predictor import Predictor


@pytest.fixture(scope="module")
def model():
    return random_model()


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "tiny.onnx"
    export_onnx(model, path, scores={"nss": 3.0})
    return path


@pytest.fixture(scope="module")
def session(exported):
    return onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("shape", [(1, 96, 128), (2, 64, 64), (1, 33, 57), (1, 1, 1), (1, 150, 41)])
def test_onnx_agrees_with_torch(model, session, shape):
    photos = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    (actual,) = session.run(["log_density"], {"photos": photos})
    with torch.inference_mode():
        expected = model(torch.from_numpy(photos)).numpy()
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4)  # what the issue asks for


def test_onnx_agrees_with_torch_for_the_default_network(tmp_path):
    torch.manual_seed(0)
    model = SaliencyModel(ModelConfig()).eval()
    export_onnx(model, tmp_path / "default.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "default.onnx")
    photos = np.random.default_rng(0).integers(0, 256, (1, 70, 100, 3), dtype=np.uint8)
    (actual,) = session.run(["log_density"], {"photos": photos})
    with torch.inference_mode():
        expected = model(torch.from_numpy(photos)).numpy()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4)


def test_graph_takes_bytes_of_any_size(session):
    (photos,), (log_density,) = session.get_inputs(), session.get_outputs()
    assert (photos.name, photos.type) == ("photos", "tensor(uint8)")
    assert photos.shape == ["batch", "height", "width", 3]
    assert (log_density.name, log_density.type) == ("log_density", "tensor(float)")
    assert log_density.shape[0] == "batch"
    assert all(isinstance(side, str) for side in log_density.shape)


def test_metadata_is_that_of_the_model(model, exported):
    (entry,) = onnx.load(exported).metadata_props
    expected = model_metadata(model, name="tiny", scores={"nss": 3.0})
    assert entry.key == "saliency"
    assert json.loads(entry.value) == json.loads(json.dumps(expected))


def test_predictor_runs_the_exported_model(exported):
    predictor = Predictor(exported, threads=1)
    photo = np.random.default_rng(0).integers(0, 256, (90, 60, 3), dtype=np.uint8)
    density = predictor.density(photo, size=(60, 90))
    assert predictor.metadata["name"] == "tiny"
    assert density.shape == (90, 60)
    assert density.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("is_training", [True, False])
def test_export_leaves_the_mode_of_the_model(is_training, tmp_path):
    torch.manual_seed(0)
    model = SaliencyModel(TINY).train(is_training)
    export_onnx(model, tmp_path / "model.onnx")
    assert model.training is is_training


def test_training_mode_does_not_reach_the_graph(model, exported, tmp_path):
    export_onnx(model.train(), tmp_path / "tiny.onnx", scores={"nss": 3.0})
    model.eval()
    assert (tmp_path / "tiny.onnx").read_bytes() == exported.read_bytes()
