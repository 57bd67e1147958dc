"""Facts about `saliency adapt`, and about scoring with what it writes."""

import json

import pytest
from runtime_fixtures import write_model
from training_fixtures import write_spots

from saliency.commands import adapt, evaluate


@pytest.fixture(scope="module")
def spots(tmp_path_factory):
    return write_spots(tmp_path_factory.mktemp("data") / "spots")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model that knows the spots, and is far from sure enough of them."""
    return write_model(tmp_path_factory.mktemp("model") / "unsure.onnx", gain=0.005)


@pytest.fixture(scope="module")
def numbers(model, spots, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "spots.json"
    assert adapt.main([str(model), "--data", f"folder:{spots}", "--out", str(out)]) == 0
    return out


def test_numbers_are_written_by_data_set(numbers):
    (own,) = json.loads(numbers.read_text())["sets"].values()
    assert own["sharpness"] > 2
    assert len(own["bias"]) == 8


def test_file_that_exists_is_kept_unless_told(model, spots, numbers, capsys):
    arguments = [str(model), "--data", f"folder:{spots}", "--out", str(numbers)]
    assert adapt.main(arguments) == 1
    assert "exists already; overwrite it" in capsys.readouterr().err


def test_model_is_scored_without_and_with_the_numbers(model, spots, numbers, tmp_path, capsys):
    report = tmp_path / "scores.json"
    arguments = [str(model), "--data", f"folder:{spots}", "--set-bias", str(numbers)]
    assert evaluate.main([*arguments, "--json", str(report)]) == 0
    (result,) = json.loads(report.read_text())["data_sets"]
    gains = {
        name: metrics["information_gain_bits"]["mean"]
        for name, metrics in result["summary"].items()
    }
    assert gains["model, adapted"] > gains["model"] + 0.3
    difference = gains["model, adapted − model"]
    assert difference == pytest.approx(gains["model, adapted"] - gains["model"])
    assert "model, adapted" in capsys.readouterr().out


def test_report_shows_the_adapted_maps_too(model, spots, numbers, tmp_path):
    page = tmp_path / "report.html"
    arguments = [str(model), "--data", f"folder:{spots}", "--set-bias", str(numbers)]
    assert evaluate.main([*arguments, "--limit", "1", "--html", str(page)]) == 0
    assert "density of the fixations, model, model, adapted" in page.read_text()


def test_data_set_without_numbers_is_an_error(model, numbers, tmp_path, capsys):
    other = write_spots(tmp_path / "others", count=12, seed=1)
    arguments = [str(model), "--data", f"folder:{other}", "--set-bias", str(numbers)]
    assert evaluate.main(arguments) == 1
    assert "expected numbers of others, got those of spots" in capsys.readouterr().err


def test_data_set_without_images_for_validation_is_an_error(model, tmp_path, capsys):
    few = write_spots(tmp_path / "few", count=1)
    out = tmp_path / "few.json"
    assert adapt.main([str(model), "--data", f"folder:{few}", "--out", str(out)]) == 1
    assert "few: expected images for training and for validation, got" in capsys.readouterr().err
    assert not out.exists()
