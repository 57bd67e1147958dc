import csv
import json
import math
import re

import numpy as np
import pytest
from PIL import Image
from runtime_fixtures import write_model

from saliency.commands import evaluate
from saliency.datasets.layouts.registry import read_dataset
from saliency.datasets.splits import split_folds, split_scenes
from saliency.evaluation.reference import DatasetReference
from saliency.evaluation.report import table
from saliency.evaluation.scoring import METRICS, evaluate_scenes
from saliency.model.loading import load_predict


def write_dataset(root, *, count=6, seed=0):
    """Write a data set of the plain form whose fixations lie on one bright spot of each photo."""
    random = np.random.default_rng(seed)
    (root / "images").mkdir(parents=True)
    rows = [("image", "x", "y", "observer")]
    for number in range(count):
        width, height = (int(side) for side in random.integers(60, 120, size=2))
        middle = random.uniform(0.25, 0.75, size=2) * (width, height)
        columns, rows_ = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        distance = np.hypot(columns - middle[0], rows_ - middle[1])
        pixels = np.where(distance < 12, 250, 120).astype(np.uint8)
        Image.fromarray(pixels).convert("RGB").save(root / "images" / f"{number}.png")
        spots = np.clip(random.normal(middle, 4, size=(15, 2)), 0, (width - 1, height - 1))
        rows += [(f"{number}.png", f"{x:.2f}", f"{y:.2f}", n % 3) for n, (x, y) in enumerate(spots)]
    with (root / "fixations.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return root


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "spots")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "stand-in.onnx")


def run(model, dataset, *options):
    return evaluate.main([str(model), "--data", f"folder:{dataset}", "--split", "all", *options])


def test_table_shows_model_and_center_bias_of_every_data_set(model, dataset, tmp_path, capsys):
    other = write_dataset(tmp_path / "other", count=3, seed=1)
    assert run(model, dataset, "--data", f"folder:{other}") == 0
    header, *lines = capsys.readouterr().out.splitlines()
    labels = ["IG", "AUC", "AUC-Judd", "sAUC", "NSS", "CC", "KL", "SIM"]
    assert header.split() == ["data", "set", "images", "prediction", *labels]
    assert [line.split()[:3] for line in lines] == [
        ["spots", "6", "model"],
        ["spots", "6", "center"],
        ["spots", "6", "uniform"],
        ["other", "3", "model"],
        ["other", "3", "center"],
        ["other", "3", "uniform"],
    ]
    assert lines[1].split()[4:7] == ["0.000", "[0.000,", "0.000]"]  # its gain over itself


def test_table_has_a_column_for_every_metric():
    assert tuple(table.LABELS) == METRICS


def test_model_that_knows_the_spots_beats_the_center_bias(model, dataset, tmp_path):
    assert run(model, dataset, "--json", str(tmp_path / "scores.json")) == 0
    (result,) = json.loads((tmp_path / "scores.json").read_text())["data_sets"]
    predicted, center_bias = result["summary"]["model"], result["summary"]["center_bias"]
    assert predicted["information_gain_bits"]["mean"] > 0.5
    for metric in ("auc", "shuffled_auc", "nss", "cc", "similarity"):
        assert predicted[metric]["mean"] > center_bias[metric]["mean"], metric
    assert predicted["kl_divergence"]["mean"] < center_bias["kl_divergence"]["mean"]


def test_json_holds_the_scores_of_every_image(model, dataset, tmp_path):
    run(model, dataset, "--json", str(tmp_path / "scores.json"))
    report = json.loads((tmp_path / "scores.json").read_text())
    assert (report["models"], report["split"], report["seed"]) == ([str(model)], "all", 0)
    (result,) = report["data_sets"]
    scenes = read_dataset(f"folder:{dataset}").scenes
    models = {"model": load_predict(model)}
    expected = evaluate_scenes(models, scenes, DatasetReference(scenes))
    for image, row in zip(result["images"], expected, strict=True):
        assert image["name"] == row.name
        assert image["predictions"]["model"]["nss"] == row.predictions["model"].nss
        assert image["predictions"]["center_bias"]["auc"] == row.predictions["center bias"].auc
    mean = np.mean([image["predictions"]["model"]["nss"] for image in result["images"]])
    assert result["summary"]["model"]["nss"]["mean"] == pytest.approx(mean)


def test_two_runs_give_the_same_bytes(model, dataset, tmp_path, capsys):
    for name in ("first.json", "second.json"):
        assert run(model, dataset, "--json", str(tmp_path / name)) == 0
    assert (tmp_path / "first.json").read_bytes() == (tmp_path / "second.json").read_bytes()
    lines = capsys.readouterr().out.splitlines()
    assert lines[: len(lines) // 2] == lines[len(lines) // 2 :]


def test_limit_scores_only_the_first_images(model, dataset, tmp_path):
    run(model, dataset, "--limit", "2", "--json", str(tmp_path / "scores.json"))
    (result,) = json.loads((tmp_path / "scores.json").read_text())["data_sets"]
    assert [image["name"] for image in result["images"]] == ["spots/0.png", "spots/1.png"]


def test_single_image_is_shown_without_an_interval(model, dataset, capsys):
    assert run(model, dataset, "--limit", "1") == 0
    assert "[" not in capsys.readouterr().out


def test_images_left_out_of_the_scoring_still_make_the_baseline(model, dataset, tmp_path):
    run(model, dataset, "--json", str(tmp_path / "all.json"))
    run(model, dataset, "--limit", "2", "--json", str(tmp_path / "two.json"))
    all_images, two = (
        json.loads((tmp_path / name).read_text())["data_sets"][0]["images"]
        for name in ("all.json", "two.json")
    )
    assert two == all_images[:2]


def test_validation_part_is_scored_unless_told_otherwise(model, tmp_path):
    dataset = write_dataset(tmp_path / "larger", count=30)
    output = tmp_path / "scores.json"
    assert evaluate.main([str(model), "--data", f"folder:{dataset}", "--json", str(output)]) == 0
    (result,) = json.loads(output.read_text())["data_sets"]
    expected = split_scenes(read_dataset(f"folder:{dataset}").scenes, "validation")
    assert 0 < len(expected) < 30
    assert [image["name"] for image in result["images"]] == [scene.name for scene in expected]


def test_fold_scores_its_images_only(model, tmp_path):
    dataset = write_dataset(tmp_path / "larger", count=12)
    output = tmp_path / "scores.json"
    options = ["--data", f"folder:{dataset}", "--folds", "3", "--fold", "2", "--json", str(output)]
    assert evaluate.main([str(model), *options]) == 0
    (result,) = json.loads(output.read_text())["data_sets"]
    _, expected = split_folds(read_dataset(f"folder:{dataset}").scenes, folds=3, fold=2)
    assert [image["name"] for image in result["images"]] == [scene.name for scene in expected]


def test_second_model_is_compared_with_the_first_image_by_image(model, dataset, tmp_path, capsys):
    (tmp_path / "maps").mkdir()
    for photo in (dataset / "images").iterdir():
        with Image.open(photo) as picture:
            Image.new("L", picture.size, 9).save(tmp_path / "maps" / photo.name)
    assert run(model, dataset, str(tmp_path / "maps"), "--json", str(tmp_path / "s.json")) == 0
    (result,) = json.loads((tmp_path / "s.json").read_text())["data_sets"]
    compared = result["summary"][f"{tmp_path / 'maps'} − {model}"]
    nss = [image["predictions"][str(model)]["nss"] for image in result["images"]]
    assert compared["nss"]["mean"] == pytest.approx(-np.mean(nss))
    assert compared["nss"]["low"] < compared["nss"]["mean"] < compared["nss"]["high"] < 0
    assert compared["information_gain_bits"] is None  # a map that is no density has none
    assert f"{tmp_path / 'maps'} − {model}" in capsys.readouterr().out


def test_ceiling_says_what_share_of_the_information_is_reached(model, dataset, tmp_path, capsys):
    assert run(model, dataset, "--ceiling", "--json", str(tmp_path / "scores.json")) == 0
    (result,) = json.loads((tmp_path / "scores.json").read_text())["data_sets"]
    summary = result["summary"]
    gains = [summary[name]["information_gain_bits"]["mean"] for name in ("model", "ceiling")]
    assert result["explained_share"]["model"]["mean"] == pytest.approx(gains[0] / gains[1])
    assert summary["ceiling"]["cc"] is None
    assert "of the explainable information" in capsys.readouterr().out


def test_report_is_one_page_that_loads_nothing(model, dataset, tmp_path):
    assert run(model, dataset, "--html", str(tmp_path / "report.html")) == 0
    page = (tmp_path / "report.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]{0,40})', page)
    assert len(sources) == 2 + 6  # scatter, calibration, every image once
    assert all(source.startswith("data:image/") for source in sources)
    assert "http" not in page
    assert page.count("<tr>") == 4


def test_part_without_images_is_an_error_that_says_what_to_do(model, tmp_path, capsys):
    dataset = write_dataset(tmp_path / "two", count=2)
    assert evaluate.main([str(model), "--data", f"folder:{dataset}"]) == 1
    assert "score all of them" in capsys.readouterr().err


def test_data_set_of_one_image_is_an_error(model, tmp_path, capsys):
    assert run(model, write_dataset(tmp_path / "one", count=1)) == 1
    assert "expected at least 2 images" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["missing.onnx", "missing.safetensors", "model.pth"])
def test_model_that_cannot_be_loaded_is_one_line_and_status_1(name, dataset, capsys):
    assert run(name, dataset) == 1
    captured = capsys.readouterr()
    assert name in captured.err.splitlines()[-1]
    assert not captured.out


def test_missing_data_set_is_one_line_and_status_1(model, tmp_path, capsys):
    assert run(model, tmp_path / "nowhere") == 1
    assert "nowhere" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--limit", "0"], "argument --limit: expected a whole number above 0, got '0'"),
        (["--seed", "-1"], "argument --seed: expected"),
        (["--split", "test"], "argument --split: invalid choice"),
        (["--folds", "3", "--fold", "1"], "argument --split: not allowed with --folds"),
        (["--maps", "raw"], "argument --maps: invalid choice"),
        (["--html", "nowhere/report.html"], "expected a file in a folder that exists"),
        (["--json", "nowhere/scores.json"], "expected a file in a folder that exists"),
    ],
)
def test_wrong_value_is_refused_with_what_was_expected(options, expected, model, dataset, capsys):
    with pytest.raises(SystemExit, match="2"):
        run(model, dataset, *options)
    assert expected in capsys.readouterr().err


def test_help_describes_every_option(capsys):
    with pytest.raises(SystemExit, match="0"):
        evaluate.main(["--help"])
    text = capsys.readouterr().out
    for option in ("MODEL", "--data", "--fold", "--maps", "--ceiling", "--json", "--html"):
        assert option in text
    assert all(action.help for action in evaluate.build_parser()._actions)


def test_torch_and_onnx_files_of_one_model_predict_the_same(tmp_path):
    import torch

    from saliency.model.checkpoint import save_model
    from saliency.model.config import ModelConfig
    from saliency.model.export import export_onnx
    from saliency.model.network import SaliencyModel

    torch.manual_seed(0)
    model = SaliencyModel(ModelConfig(input_pixels=96 * 128)).eval()
    save_model(model, tmp_path / "model.safetensors")
    export_onnx(model, tmp_path / "model.onnx")
    onnx, safetensors = (load_predict(tmp_path / f"model.{e}") for e in ("onnx", "safetensors"))
    for height, width in ((150, 100), (40, 300)):
        photo = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        np.testing.assert_allclose(onnx(photo), safetensors(photo), atol=1e-4)
        assert np.exp(safetensors(photo)).sum() == pytest.approx(1, abs=1e-5)
        assert math.isclose(np.exp(onnx(photo).astype(np.float64)).sum(), 1, abs_tol=1e-5)
