"""Facts about `saliency inspect`: what it shows of a model, and the files that it writes."""

import copy
import json
import shutil

import cv2
import numpy as np
import pytest
import torch
from training_fixtures import random_model, write_spots

from saliency.commands import inspect
from saliency.compression.inspection import inspect_model
from saliency.datasets.layouts.registry import read_dataset
from saliency.model.checkpoint import load_model, save_model
from saliency.pruning.penalties.ewc import check_fits, read_fisher
from saliency.pruning.penalties.fisher_rao import fisher_rao_norm
from saliency.training.fisher import drawn_fixations, fisher_of_scenes, fixation_losses
from saliency.training.validation import working_photo

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_spots(tmp_path_factory.mktemp("data") / "spots")


@pytest.fixture(scope="module")
def scenes(dataset):
    return read_dataset(f"folder:{dataset}").scenes[:3]


@pytest.fixture
def path(tmp_path):
    save_model(random_model(), tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


@pytest.fixture(scope="module")
def rows(scenes):
    model = random_model().eval()
    return inspect_model(model, scenes, fisher_of_scenes(model, scenes))


def test_layers_add_up_to_the_whole(rows):
    *layers, whole = rows
    assert whole.name == "all"
    for column in ("parameters", "macs"):
        assert sum(getattr(row, column) for row in layers) == getattr(whole, column)
    assert sum(row.fisher_sum for row in layers) == pytest.approx(whole.fisher_sum)
    squares = sum(row.fisher_rao_diagonal**2 for row in layers)
    assert squares == pytest.approx(whole.fisher_rao_diagonal**2)
    assert whole.parameters == sum(value.numel() for value in random_model().parameters())


def test_norm_of_all_is_the_one_by_forward_derivatives(rows, scenes):
    model = random_model().eval()
    examples = [
        ((torch.tensor(working_photo(scene, model))[None],), (scene, one))
        for scene, drawn in drawn_fixations(scenes)
        for one in drawn
    ]

    def loss(output, example):
        scene, one = example
        return fixation_losses(output[0], scene)[one]

    expected = fisher_rao_norm(model, examples, loss)
    assert rows[-1].fisher_rao == pytest.approx(expected, rel=1e-3)


def test_convolutions_have_their_time(rows):
    timed = {row.name for row in rows if row.ms}
    convolutions = {row.name for row in rows[:-1] if row.macs and row.parameters > row.channels}
    assert len(convolutions & timed) > 0.8 * len(convolutions)
    assert rows[-1].ms > 0


def test_command_prints_a_table_and_writes_json_picture_and_fisher_values(path, dataset, capsys):
    json_file, plot = path.with_name("layers.json"), path.with_name("layers.png")
    options = ["--images", "4", "--json", str(json_file), "--plot", str(plot), "--save-fisher"]
    assert inspect.main([str(path), "--data", f"folder:{dataset}", *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[0] == "layer"
    stored = json.loads(json_file.read_text())
    assert stored["images"] == 4
    assert stored["layers"][-1]["name"] == "all"
    assert np.ptp(cv2.imread(str(plot))) > 100
    check_fits(load_model(path), read_fisher(path.with_name("model.fisher.safetensors")))


def test_fisher_values_stand_for_the_curvature_of_the_loss(scenes):
    """The true ones of the center bias's weight: the variance of the bias under the density."""
    model = random_model().eval()
    values = fisher_of_scenes(model, 40 * scenes, is_true=True)["center_bias_weight"]
    expected = []
    for scene in scenes:
        photo = torch.tensor(working_photo(scene, model))[None]
        moved = [copy.deepcopy(model) for _ in range(2)]
        moved[1].center_bias_weight.data += 1e-2
        first, second = (each(photo)[0].double().detach() for each in moved)
        slope = (second - first) / 1e-2  # of the log density: the bias less its mean
        expected.append(float((first.exp() * slope.square()).sum()))
    assert values.item() == pytest.approx(np.mean(expected), rel=0.3)


def test_true_fisher_values_differ_from_empirical_ones(scenes):
    model = random_model().eval()
    true, empirical = (fisher_of_scenes(model, scenes, is_true=way) for way in (True, False))
    assert not torch.allclose(true["readout.score.weight"], empirical["readout.score.weight"])


def test_onnx_file_is_refused_with_the_remedy(path, dataset, capsys):
    shutil.copy(path, path.with_suffix(".onnx"))
    arguments = [str(path.with_suffix(".onnx")), "--data", f"folder:{dataset}"]
    assert inspect.main(arguments) == 1
    assert "expected a .safetensors file" in capsys.readouterr().err
