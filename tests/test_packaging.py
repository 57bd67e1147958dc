"""What `pip install` brings: the content of the wheel, and how it does where nothing else is."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

import saliency
from saliency.model.checkpoint import load_model, read_metadata
from saliency.prediction.predictor import Predictor
from saliency.prediction.shipped_models import SHIPPED_MODELS, fisher_path, model_path
from saliency.pruning.penalties.ewc import check_fits, read_fisher

ROOT = Path(__file__).parents[1]


def run(*command, **options):
    """Run a program away from this checkout's environment; return its outcome."""
    kept = {name: os.environ[name] for name in os.environ if not name.startswith("PYTHON")}
    return subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        env=kept,
        **options,
    )


def checked(*command, **options):
    done = run(*command, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of this checkout, made by the hatchling of the environment, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    source = ("-m", "pip", "wheel", ROOT, "--no-deps", "--no-build-isolation", "--no-index")
    checked(sys.executable, *source, "--wheel-dir", folder)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of programs of a new environment that has the base installation and no more."""
    home = tmp_path_factory.mktemp("environment")
    checked(sys.executable, "-m", "venv", home)
    programs = home / ("Scripts" if os.name == "nt" else "bin")
    pip = (programs / "python", "-m", "pip", "install", "--quiet")
    if run(*pip, "--dry-run", "--no-deps", "tqdm").returncode != 0:
        pytest.skip("needs a package index for the libraries of the base installation")
    checked(*pip, wheel)
    yield programs
    shutil.rmtree(home)


def names_in(wheel) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheel_holds_the_modules_and_nothing_beside_the_package(wheel):
    names = {name for name in names_in(wheel) if ".dist-info/" not in name}
    modules = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("saliency/**/*.py")}
    assert modules <= names
    assert {name.partition("/")[0] for name in names} == {"saliency"}


@pytest.mark.parametrize("name", ["py.typed", "__init__.pyi", "weights/NOTICE"])
def test_wheel_holds_what_is_no_module(wheel, name):
    assert f"saliency/{name}" in names_in(wheel)


def test_wheel_holds_the_shipped_models_with_their_checksums(wheel):
    weights = {Path(name).name for name in names_in(wheel) if "/weights/" in name}
    suffixes = (".onnx", ".onnx.sha256", ".safetensors", ".fisher.safetensors")
    expected = {f"{name}{suffix}" for name in SHIPPED_MODELS for suffix in suffixes}
    found = {name for name in weights if ".onnx" in name or name.endswith(".safetensors")}
    assert found == expected | {"face_detection_yunet_2023mar.onnx"}


@pytest.mark.parametrize("name", SHIPPED_MODELS)
def test_shipped_model_is_loaded_by_its_name_and_can_be_trained_on_from(name):
    metadata = Predictor(name).metadata
    stored = read_metadata(model_path(name, ".safetensors"))
    assert stored["channels"] == metadata["channels"]
    assert stored["input_pixels"] == metadata["input_pixels"]
    assert Predictor(name).calibration is not None


@pytest.mark.parametrize("name", SHIPPED_MODELS)
def test_shipped_model_carries_the_fisher_values_of_its_own_weights(name):
    path = model_path(name, ".safetensors")
    fisher = read_fisher(fisher_path(path))
    check_fits(load_model(path), fisher)
    assert sum(float(value.sum()) for value in fisher.values()) > 1
    assert all((value >= 0).all() for value in fisher.values())


@pytest.mark.parametrize(("name", "most_mb"), [("fast", 1), ("default", 3), ("best", 14)])
def test_shipped_model_is_small(name, most_mb):
    for suffix in (".onnx", ".safetensors"):
        assert model_path(name, suffix).stat().st_size <= most_mb * 1_000_000


def test_metadata_of_the_wheel_is_what_pyproject_says(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    assert metadata["Version"] == saliency.__version__
    assert metadata["License-Expression"] == "MIT AND Apache-2.0"
    base = {line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line}
    assert base == set(project()["dependencies"])
    extras = {"train", "dev", "heic", "lossless", "ray", "serve"}
    assert set(metadata.get_all("Provides-Extra")) == extras


def test_requirements_pin_no_exact_version():
    extras = project()["optional-dependencies"]
    lines = [*project()["dependencies"], *extras["train"], *extras["dev"]]
    assert [line for line in lines if "==" in line or "@" in line] == []


def test_installed_command_tells_version_and_help(installed, tmp_path):
    version = checked(installed / "saliency", "--version", cwd=tmp_path)
    assert version == f"saliency {saliency.__version__}\n"
    assert "--aspect" in checked(installed / "saliency", "crop", "--help", cwd=tmp_path)


def test_base_installation_brings_no_library_of_training(installed):
    brought = checked(installed / "python", "-m", "pip", "list", "--format", "freeze").lower()
    assert "onnxruntime" in brought
    assert [name for name in ("torch", "timm", "scipy", "albumentations") if name in brought] == []


@pytest.mark.parametrize("verb", ["train", "evaluate", "export", "calibrate"])
def test_verb_of_training_says_what_the_base_installation_lacks(installed, verb, tmp_path):
    arguments = {
        "train": ["--data", "osie:none", "--out", "run"],
        "evaluate": ["model.onnx", "--data", "osie:none"],
        "export": ["model.safetensors"],
        "calibrate": ["model.onnx", "--data", "osie:none"],
    }
    done = run(installed / "saliency", verb, *arguments[verb], cwd=tmp_path)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith(f"saliency {verb}: error: ")
    assert 'pip install "saliency-crop[train]"' in line


@pytest.mark.parametrize("verb", ["export", "calibrate", "train", "evaluate"])
def test_verb_of_training_explains_itself_without_what_it_lacks(installed, verb, tmp_path):
    assert f"usage: saliency {verb}" in checked(
        installed / "saliency", verb, "--help", cwd=tmp_path
    )


def test_installed_command_crops_a_photo_with_the_shipped_model(installed, tmp_path):
    photo = ROOT / "data" / "photos" / "rocket.jpg"
    arguments = ("crop", photo, "--aspect", "16:9", "1:1", "--output-dir", "crops")
    checked(installed / "saliency", *arguments, cwd=tmp_path)
    crops = sorted(file.name for file in (tmp_path / "crops").iterdir())
    assert crops == ["rocket-16x9.jpg", "rocket-1x1.jpg"]
