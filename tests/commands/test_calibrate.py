import re

import numpy as np
import pytest
from runtime_fixtures import opened, write_model
from training_fixtures import random_model, write_spots

from saliency.commands import calibrate
from saliency.evaluation.calibration import density, fit
from saliency.model.checkpoint import save_model
from saliency.prediction.predictor import Predictor


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_spots(tmp_path_factory.mktemp("data") / "spots", count=5)


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "model.onnx")


def run(model, dataset, *options):
    return calibrate.main(
        [str(model), "--data", f"folder:{dataset}", "--split", "all", *map(str, options)]
    )


def test_model_is_calibrated_and_the_figures_are_printed(model, dataset, capsys):
    assert run(model, dataset) == 0
    output = capsys.readouterr().out
    assert re.match(r"5 photos, \d+ windows beside the middle\nBrier score 0\.\d{4}", output)
    assert output.endswith(f"written: {model}\n")
    assert Predictor(model).metadata["calibration"]["photos"] == 5
    assert Predictor(model).calibration is not None


def test_dry_run_writes_nothing(model, dataset, capsys):
    before = model.read_bytes()
    assert run(model, dataset, "--dry-run") == 0
    assert "Brier score" in capsys.readouterr().out
    assert model.read_bytes() == before


def test_plot_is_drawn_and_the_same_every_time(model, dataset, tmp_path, capsys):
    file = tmp_path / "reliability.png"
    drawn = []
    for _ in range(2):
        assert run(model, dataset, "--dry-run", "--plot", file) == 0
        drawn.append(file.read_bytes())
    assert drawn[0] == drawn[1]
    assert opened(file).size == (500, 540)
    assert f"written: {file}" in capsys.readouterr().out


def test_folder_of_the_plot_that_is_missing_is_one_line(model, dataset, tmp_path, capsys):
    assert run(model, dataset, "--dry-run", "--plot", str(tmp_path / "none" / "plot.png")) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("saliency calibrate: error: cannot write")


def test_data_of_one_photo_is_refused_on_one_line(model, tmp_path, capsys):
    assert run(model, write_spots(tmp_path / "one", count=1)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("saliency calibrate: error: expected at least 2 photos")


def test_confidence_that_says_no_more_than_the_base_rate_is_not_written(
    model, dataset, capsys, monkeypatch
):
    before = model.read_bytes()
    monkeypatch.setattr(fit, "cross_validate", lambda cases: np.full(len(cases), 0.001))
    assert run(model, dataset) == 1
    assert "stays as it is: its confidence would be no better" in capsys.readouterr().err
    assert model.read_bytes() == before


def test_data_given_twice_are_refused(model, dataset, capsys):
    assert run(model, dataset, "--data", f"folder:{dataset.parent}/./{dataset.name}/") == 1
    assert "a set given twice counts no more" in capsys.readouterr().err


def test_plot_that_is_no_png_is_refused(model, dataset, tmp_path, capsys):
    assert run(model, dataset, "--plot", tmp_path / "plot.txt") == 1
    assert "expected a file with the ending .png" in capsys.readouterr().err


def test_link_to_a_model_goes_on_to_name_it(model, dataset, tmp_path):
    link = tmp_path / "link.onnx"
    link.symlink_to(model)
    assert run(link, dataset) == 0
    assert link.is_symlink()
    assert Predictor(model).metadata["calibration"]["photos"] == 5


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return write_spots(tmp_path_factory.mktemp("many") / "spots", count=12)


@pytest.fixture
def weights(tmp_path):
    save_model(random_model(), tmp_path / "model.safetensors", scores={"nss": 3.0})
    return tmp_path / "model.safetensors"


def test_density_of_weights_is_fitted_once(weights, many, capsys):
    before = weights.read_bytes()
    assert run(weights, many, "--dry-run") == 0
    assert weights.read_bytes() == before
    assert "bit per fixation on 12 photos, each by a fit to others" in capsys.readouterr().out
    assert run(weights, many) == 0
    after = weights.read_bytes()
    assert after != before
    assert run(weights, many) == 1  # no better than the numbers that it has now
    assert "its density is not surely better on others" in capsys.readouterr().err
    assert weights.read_bytes() == after


def test_density_that_others_do_not_confirm_is_not_written(weights, many, capsys, monkeypatch):
    before = weights.read_bytes()
    monkeypatch.setattr(density, "cross_validated", lambda _, seen, __: np.full(len(seen), -99.0))
    monkeypatch.setattr(density, "fit_adjustment", lambda *_: np.array([1.0, 0.0, 0.1, 0.0]))
    for options in ((), ("--dry-run",)):
        assert run(weights, many, *options) == 1
        assert "its density is not surely better on others" in capsys.readouterr().err
    assert weights.read_bytes() == before
    monkeypatch.setattr(density, "cross_validated", lambda _, seen, __: np.full(len(seen), 0.0))
    assert run(weights, many) == 0
    assert weights.read_bytes() != before


def test_density_has_no_plot_and_needs_ten_photos(weights, dataset, tmp_path, capsys):
    assert run(weights, dataset, "--plot", tmp_path / "plot.png") == 1
    assert "--plot draws the confidence" in capsys.readouterr().err
    assert run(weights, write_spots(tmp_path / "nine", count=9)) == 1
    assert "at least 10 photos with fixations in this part (--split all), got 9" in (
        capsys.readouterr().err
    )


def test_missing_model_is_refused_on_one_line(tmp_path, dataset, capsys):
    assert run(tmp_path / "none.onnx", dataset) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("saliency calibrate: error: no model at")
