import json
import os
import signal
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from training_fixtures import COMMAND_LINE, random_model, write_spots

from saliency.commands.train import main
from saliency.model.checkpoint import save_model
from saliency.model.dataset_bias_file import read_numbers
from saliency.training import run as training
from saliency.training import session
from saliency.training.run_folder import RunFolder

EPOCHS = 3
STEPS_PER_EPOCH = 4
"""24 images, of which the rule keeps 18 for training, in batches of 4."""

KILLED = """
import os, signal, sys
import torch
torch.set_num_threads(1)
from saliency.training import session
from saliency.commands.train import main

steps, loss = 0, session.cross_entropy
def killing_loss(*arguments):
    global steps
    steps += 1
    if steps == {step}:
        os.kill(os.getpid(), signal.SIGKILL)
    return loss(*arguments)
session.cross_entropy = killing_loss
raise SystemExit(main(sys.argv[1:]))
"""
"""A run that kills itself in the middle of a step, as `kill -9` would."""


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_spots(tmp_path_factory.mktemp("data") / "spots")


def arguments(dataset, path, **changes):
    options = {"epochs": EPOCHS, "save-steps": 2, "strength": 1.0, **changes}
    given = [f"--{name}={value}" for name, value in options.items()]
    return ["--data", f"folder:{dataset}", "--out", str(path), *COMMAND_LINE, *given]


@pytest.fixture(scope="module")
def uninterrupted(dataset, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "whole"
    assert main(arguments(dataset, path)) == 0
    assert RunFolder(path).load_state()["step"] == EPOCHS * STEPS_PER_EPOCH
    return path


def flattened(value, name=""):
    """Yield every number and tensor of a state with its place in it."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flattened(item, f"{name}/{key}")
    elif isinstance(value, list | tuple):
        for key, item in enumerate(value):
            yield from flattened(item, f"{name}/{key}")
    else:
        yield name, value


def assert_same_run(path, other):
    """Compare all that two runs have come to, bit by bit."""
    state, expected = (dict(flattened(RunFolder(run).load_state())) for run in (path, other))
    assert state.keys() == expected.keys()
    for name, value in state.items():
        is_same = (
            torch.equal(value, expected[name])
            if isinstance(value, torch.Tensor)
            else value == expected[name] or callable(value)
        )
        assert is_same, name
    model, expected_model = (load_file(run / "model.safetensors") for run in (path, other))
    assert all(torch.equal(model[name], value) for name, value in expected_model.items())
    for file in ("history.jsonl", "model.onnx"):
        assert (path / file).read_bytes() == (other / file).read_bytes(), file


def interrupt(monkeypatch, name, *, call):
    """Make the `call`-th call of a function of training end the run, as Ctrl-C would."""
    module = session if hasattr(session, name) else training
    calls, function = 0, getattr(module, name)

    def interrupting(*given, **keywords):
        nonlocal calls
        calls += 1
        if calls == call:
            raise KeyboardInterrupt
        return function(*given, **keywords)

    monkeypatch.setattr(module, name, interrupting)


def test_run_killed_in_the_middle_of_a_step_ends_as_the_uninterrupted_one(
    dataset, uninterrupted, tmp_path
):
    path = tmp_path / "killed"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED.format(step=7), *arguments(dataset, path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert RunFolder(path).load_state()["step"] == 6  # the second of the four of the second epoch
    assert main(["--out", str(path), "--resume"]) == 0
    assert_same_run(path, uninterrupted)


@pytest.mark.parametrize(
    ("stop", "step"),
    [
        (("cross_entropy", 1), None),
        (("validate", 1), 2),
        (("save_model", 1), 2),
        (("cross_entropy", STEPS_PER_EPOCH + 1), STEPS_PER_EPOCH),
        (("export_onnx", 1), EPOCHS * STEPS_PER_EPOCH),
    ],
    ids=["first step", "end of an epoch", "best model", "first of an epoch", "export"],
)
def test_run_stopped_anywhere_ends_as_the_uninterrupted_one(
    dataset, uninterrupted, tmp_path, stop, step
):
    path = tmp_path / "stopped"
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, stop[0], call=stop[1])
        assert main(arguments(dataset, path)) == 130
    state = RunFolder(path).load_state()
    assert (state["step"] if state else None) == step
    assert main(["--out", str(path), "--resume"]) == 0
    assert_same_run(path, uninterrupted)


def test_run_that_has_ended_is_not_trained_further(uninterrupted):
    state, model = (uninterrupted / name for name in ("state.pt", "model.safetensors"))
    before = state.read_bytes(), model.read_bytes()
    assert main(["--out", str(uninterrupted), "--resume"]) == 0
    assert (state.read_bytes(), model.read_bytes()) == before


def test_run_that_was_stopped_early_is_not_trained_further(dataset, tmp_path, monkeypatch):
    path = tmp_path / "early"

    def validate(*_, **__):
        return {"information_gain_bits": 1.0, "nss": 0.0, "auc": 0.5}

    monkeypatch.setattr(training, "validate", validate)
    with monkeypatch.context() as patch:
        interrupt(patch, "export_onnx", call=1)
        assert main(arguments(dataset, path, patience=1)) == 130
    assert main(["--out", str(path), "--resume"]) == 0
    assert len((path / "history.jsonl").read_text().splitlines()) == 2


def test_processes_that_load_images_change_nothing(dataset, uninterrupted, tmp_path):
    path = tmp_path / "workers"
    assert main(arguments(dataset, path, workers=1)) == 0
    assert json.loads((path / "options.json").read_text())["training"]["workers"] == 1
    assert_same_run(path, uninterrupted)


def test_save_steps_change_nothing(dataset, uninterrupted, tmp_path):
    assert main(arguments(dataset, tmp_path / "seldom", **{"save-steps": 100})) == 0
    assert_same_run(tmp_path / "seldom", uninterrupted)


def test_numbers_of_data_sets_learned_from_kept_variants_survive_a_stop(dataset, tmp_path):
    other = write_spots(tmp_path / "others", count=12, seed=1)
    save_model(random_model(), tmp_path / "teacher_model.safetensors")
    given = {"variants": 1, "set-bias": "own", "feature-weight": 0}
    given["teacher"] = tmp_path / "teacher_model.safetensors"
    paths = tmp_path / "whole", tmp_path / "stopped"
    whole, stopped = (
        [*arguments(dataset, path, **given, epochs=2), "--data", f"folder:{other}"]
        for path in paths
    )
    assert main(whole) == 0
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, "cross_entropy", call=10)  # the third step of the second epoch
        assert main(stopped) == 130
    assert main(["--out", str(paths[1]), "--resume"]) == 0
    assert_same_run(*paths)
    first, second = read_numbers(paths[1] / "set-bias.json").values()
    assert first.bias[0] == pytest.approx(-second.bias[0], rel=1e-4)
    assert first.bias[0] != 0
