"""The examples run as they stand."""

import json
import runpy
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from latency_fixtures import SizeEngine
from PIL import Image
from service_fixtures import running_service
from training_fixtures import write_spots

from saliency import crop

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


def test_windows_are_written_for_a_site_and_for_proxies(tmp_path):
    run("focal_points.py", ROOT / "data" / "photos", "site", cwd=tmp_path)
    crops = json.loads((tmp_path / "site" / "crops.json").read_text())
    page = (tmp_path / "site" / "index.html").read_text()
    with Image.open(ROOT / "data" / "photos" / "rocket.jpg") as photo:
        window = crop(photo, "1:1").choice.window
        share = 100 * window.x / (photo.width - window.width)
    assert 'src="rocket.jpg" alt="" style="object-fit:cover; ' in page
    assert f"object-position: {share:.4g}% 50%" in page
    assert len(crops) == page.count("<img ")
    spec = spec_from_file_location("focal_points", ROOT / "examples" / "focal_points.py")
    example = module_from_spec(spec)
    spec.loader.exec_module(example)
    values = crops["rocket.jpg"]
    left, top, right, bottom = window.box
    assert example.thumbor_address("http://t", "a.jpg", values, 90, 90) == (
        f"http://t/unsafe/{left}x{top}:{right}x{bottom}/90x90/a.jpg"
    )
    point = f"{round((left + right) / 2 / 640, 4):g}:{round((top + bottom) / 2 / 427, 4):g}"
    assert example.imgproxy_address("http://i", "http://h/a.jpg", values, 90, 60) == (
        f"http://i/insecure/rs:fill:90:60/gravity:fp:{point}/plain/http://h/a.jpg"
    )


def test_sharp_cuts_the_window(tmp_path):
    has_sharp = (
        shutil.which("node")
        and not subprocess.run(
            ["node", "-e", "import('sharp')"], capture_output=True, check=False
        ).returncode
    )
    if not has_sharp:
        pytest.skip("node with sharp is not installed")
    with running_service() as address:
        photo = ROOT / "data" / "photos" / "rocket.jpg"
        command = ["node", ROOT / "examples" / "sharp.mjs", photo, tmp_path / "crop.png", address]
        subprocess.run(command, check=True)
    with Image.open(tmp_path / "crop.png") as cut:
        assert cut.size == (400, 400)


def test_model_is_trained_on_own_data(tmp_path):
    write_spots(tmp_path / "mine", count=40)
    small = ("--weights", "none", "--epochs", "1", "--batch-size", "4", "--input-pixels", "4096")
    printed = run("train_own_data.py", "mine", "run", *small, cwd=tmp_path)
    assert "problem" in printed
    assert "center bias" in printed
    assert printed.splitlines()[-1].endswith("--model run/model.onnx")
    assert (tmp_path / "run" / "model.onnx").is_file()


def test_network_of_torchvision_is_pruned(tmp_path, monkeypatch, capsys):
    """Times follow from the number of weights, as a real table takes minutes."""
    pytest.importorskip("sklearn")
    from saliency.pruning.latency import engines

    monkeypatch.setitem(engines.ENGINES, "onnxruntime", SizeEngine)
    monkeypatch.chdir(tmp_path)
    small = ("--speedup=1.05", "--epochs=0", "--steps=1", "--tuning=5", "--budget=0.001")
    monkeypatch.setattr(sys, "argv", ["prune_your_network.py", *small])
    runpy.run_path(str(ROOT / "examples" / "prune_your_network.py"), run_name="__main__")
    printed = capsys.readouterr().out.splitlines()
    before, after = (float(line.split()[1]) for line in printed)
    assert 1.04 <= before / after < 1.3
    assert all("accuracy 0." in line for line in printed)
    assert (tmp_path / "digits.safetensors").is_file()
