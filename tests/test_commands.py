import os
import subprocess
import sys

import pytest
from runtime_fixtures import dark_photo, write_model

import saliency
from saliency import commands
from saliency.commands.jobs import reporting


def run_python(program, *arguments):
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [["--help"], ["-h"]])
def test_help_lists_every_verb_with_a_line(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        commands.main(arguments)
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for verb, summary in commands.VERBS.items():
        assert f"{verb:<10}{summary}" in text


def test_version_is_told(capsys):
    with pytest.raises(SystemExit) as caught:
        commands.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"saliency {saliency.__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["crpo"], ["--json", "crop"]])
def test_unknown_verb_is_status_two(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        commands.main(arguments)
    assert caught.value.code == 2
    assert "saliency: error:" in capsys.readouterr().err


def test_verb_gets_the_arguments_after_it(tmp_path, monkeypatch):
    model = write_model(tmp_path / "stand-in.onnx")
    dark_photo(64, 48, bright=(0, 0, 9, 9)).save(tmp_path / "photo.png")
    monkeypatch.setattr(
        sys, "argv", ["saliency", "crop", str(tmp_path / "photo.png"), "--model", str(model)]
    )
    assert commands.main() == 0
    assert (tmp_path / "photo-1x1.png").is_file()


@pytest.mark.parametrize("verb", ["data", "train", "evaluate", "export", "calibrate", "prune"])
def test_training_verb_without_its_libraries_names_the_remedy(verb, monkeypatch, capsys):
    def fail(_):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(commands, "import_module", fail)
    assert commands.main([verb]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"saliency {verb}: error: torch is not installed")
    assert line.endswith('pip install "saliency-crop[train]"')


def test_missing_module_of_the_package_itself_is_not_hidden(monkeypatch):
    def fail(_):
        raise ModuleNotFoundError("No module named 'saliency.none'", name="saliency.none")

    monkeypatch.setattr(commands, "import_module", fail)
    with pytest.raises(ModuleNotFoundError):
        commands.main(["train"])


HEAVY = ("torch", "timm", "scipy", "matplotlib", "albumentations", "sklearn", "pandas", "onnx")


def test_cropping_a_photo_imports_nothing_of_training(tmp_path):
    model = write_model(tmp_path / "stand-in.onnx")
    dark_photo(64, 48, bright=(0, 0, 9, 9)).save(tmp_path / "photo.png")
    program = (
        "import sys; from saliency.commands import main; status = main();"
        f"sys.exit(status or [name for name in {HEAVY} if name in sys.modules] or 0)"
    )
    done = run_python(
        program, "crop", str(tmp_path / "photo.png"), "--overlay", "--model", str(model)
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "photo-overlay.png").is_file()


@pytest.mark.parametrize("program", ["import saliency", "import saliency.commands.crop"])
def test_import_of_package_and_command_loads_no_library(program):
    libraries = ("numpy", "cv2", "PIL", "onnxruntime", "tqdm")
    done = run_python(f"import sys; {program}; print([n for n in {libraries} if n in sys.modules])")
    assert done.stdout == "[]\n"


def test_public_names_come_from_the_package():
    from saliency import Predictor, Window, best_windows
    from saliency.crop_windows.best_windows import best_windows as its_best_windows
    from saliency.geometry import Window as ItsWindow
    from saliency.prediction.predictor import Predictor as ItsPredictor

    assert (Predictor, Window, best_windows) == (ItsPredictor, ItsWindow, its_best_windows)
    assert set(saliency.__all__) <= set(dir(saliency))


def test_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'predictor_of_all'"):
        _ = saliency.predictor_of_all


def test_stub_for_type_checkers_names_what_the_package_exports():
    from pathlib import Path

    stub = Path(saliency.__file__).with_suffix(".pyi").read_text()
    for name in saliency.__all__:
        assert f"import {name} as {name}\n" in stub


@pytest.mark.parametrize(
    ("load", "threads", "warns"), [(3.0, None, True), (3.0, 1, False), (0.1, None, False)]
)
def test_busy_machine_is_told_before_training(load, threads, warns, monkeypatch, capsys):
    monkeypatch.setattr(reporting.os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(reporting.os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    reporting.wait_passively("train", threads)
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert ("--torch-threads 1" in capsys.readouterr().err) is warns
