import numpy as np
import pytest
from training_fixtures import random_model, read_training_data, write_spots

from saliency.compression.report import PruningResult, alternation
from saliency.evaluation.crop_quality import compare_windows
from saliency.model.export import export_onnx
from saliency.pruning.loop.pruned_network import kept_widths
from saliency.pruning.methods.options import PruningOptions


def outcome(shares):
    """Return an outcome whose layers of 100 channels keep these shares, in order."""
    before = {f"layer{number}": (100, 100) for number in range(len(shares))}
    after = {name: (100, round(100 * share)) for name, share in zip(before, shares, strict=True)}
    return PruningResult(
        before, after, points=[], options=PruningOptions(speedup=2.0), size=(64, 64)
    )


def test_layers_that_take_turns_alternate():
    assert alternation(outcome([0.2, 0.8] * 5)) == pytest.approx(-1)


def test_layers_that_grow_thicker_go_together():
    assert alternation(outcome(np.linspace(0.1, 0.9, 10))) == pytest.approx(1, abs=1e-3)


def test_layers_that_are_all_alike_do_neither():
    assert alternation(outcome([0.5] * 6)) == 0


def test_widths_are_those_that_layers_write():
    given = outcome([0.25, 1.0])
    assert list(kept_widths(given.before, given.after)) == [
        ("layer0", 100, 25, 0.25),
        ("layer1", 100, 100, 1.0),
    ]


@pytest.fixture(scope="module")
def validation(tmp_path_factory):
    root = write_spots(tmp_path_factory.mktemp("data") / "spots")
    return read_training_data(root).validation


@pytest.fixture(scope="module")
def onnx_models(tmp_path_factory):
    """Two models that look at opposite sides of every photo."""
    folder, model = tmp_path_factory.mktemp("models"), random_model()
    paths = []
    for sign in (1, -1):
        rows, columns = model.center_bias.shape
        slope = np.tile(np.linspace(-4, 4, columns), (rows, 1))
        model.set_center_bias(sign * slope)
        paths.append(folder / f"{sign}.onnx")
        export_onnx(model, paths[-1])
    return paths


def test_windows_of_one_model_do_not_move(onnx_models, validation):
    for figures in compare_windows(onnx_models[0], onnx_models[0], validation).values():
        assert figures["moved"] == 0
        assert figures["unmoved"] == 1
        assert figures["kept_before"] == figures["kept_after"]


def test_windows_of_models_that_look_elsewhere_move(onnx_models, validation):
    figures = compare_windows(*onnx_models, validation)["9:16"]
    assert figures["moved"] > 0.2
    assert figures["unmoved"] < 0.5
