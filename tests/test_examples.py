"""The examples run as they stand."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from training_fixtures import write_spots

ROOT = Path(__file__).parents[1]


def run(name, *arguments, cwd):
    """Run an example as a person does; return what it prints."""
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / name, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_folder_is_cropped(tmp_path):
    lines = run("crop_folder.py", ROOT / "data" / "photos", "crops", cwd=tmp_path).splitlines()
    crops = sorted((tmp_path / "crops").iterdir())
    assert len(lines) == len(crops) == 2 * len(list((ROOT / "data" / "photos").glob("*.jpg")))
    with Image.open(tmp_path / "crops" / "rocket-16x9.png") as crop:
        assert crop.size == (640, 360)


def test_model_is_trained_on_own_data(tmp_path):
    write_spots(tmp_path / "mine", count=40)
    small = ("--weights", "none", "--epochs", "1", "--batch-size", "4", "--input-pixels", "4096")
    printed = run("train_own_data.py", "mine", "run", *small, cwd=tmp_path)
    assert "problem" in printed
    assert "center bias" in printed
    assert printed.splitlines()[-1].endswith("--model run/model.onnx")
    assert (tmp_path / "run" / "model.onnx").is_file()


def test_network_of_torchvision_is_pruned(tmp_path):
    pytest.importorskip("torchvision")
    printed = run("prune_your_network.py", "--side", 64, "--seconds", 5, cwd=tmp_path)
    before, after = (float(words.split()[0]) for words in printed.splitlines()[0].split(",")[:2])
    assert 0 < after < 0.8 * before
    assert "(8, 10)" in printed
