import os
import signal
import socket
import time
from multiprocessing import active_children
from threading import Thread

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from training_fixtures import GOING_ON, random_model, write_spots

from saliency.commands.train import main
from saliency.model.checkpoint import save_model
from saliency.model.dataset_bias_file import read_numbers
from saliency.training.distillation import _error
from saliency.training.processes import launch
from saliency.training.processes.statistics import SharedBatchNorm
from saliency.training.run_folder import RunFolder

pytestmark = [
    pytest.mark.usefixtures("one_thread", "two_cores"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


@pytest.fixture
def two_cores(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.delenv("MASTER_PORT", raising=False)
    yield
    os.environ.pop("MASTER_PORT", None)  # Fabric's choice, for the processes that it starts


@pytest.fixture
def forked(monkeypatch):
    """Start processes that need not import torch, which takes seconds."""
    monkeypatch.setattr(launch, "START_METHOD", "fork")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two data sets and a teacher model."""
    root = tmp_path_factory.mktemp("files")
    write_spots(root / "spots")
    write_spots(root / "others", count=12, seed=1)
    save_model(random_model(), root / "teacher.safetensors")
    return root


def arguments(files, path, *more):
    """Return options of a run with a loss of every kind: of two data sets, distilled, held."""
    data = [f"--data=folder:{files / name}" for name in ("spots", "others")]
    teacher = [f"--teacher={files / 'teacher.safetensors'}", "--feature-weight=1"]
    kept = [f"--start={files / 'teacher.safetensors'}", "--keep=l2", "--keep-strength=0.01"]
    return [*data, *teacher, *kept, f"--out={path}", *GOING_ON, "--epochs=2", *more]


def kill_one_when(path):
    """Kill the second process of the run that is started now, once `path` is written."""

    def kill():
        while not path.exists():
            time.sleep(0.01)
        children = sorted(active_children(), key=lambda child: child.pid)
        os.kill(children[1].pid, signal.SIGKILL)

    thread = Thread(target=kill, daemon=True)
    thread.start()
    return thread


def test_two_processes_one_killed_give_the_model_of_one_process(
    files, tmp_path, capfd, monkeypatch
):
    one, two = tmp_path / "one", tmp_path / "two"
    assert main(arguments(files, one)) == 0
    killing = kill_one_when(two / "state.pt")
    capfd.readouterr()
    assert main(arguments(files, two, "--devices=2")) == 1
    killing.join()
    errors = [line for line in capfd.readouterr().err.splitlines() if "error" in line]
    assert len(errors) == 1
    assert "process 1 of 2 ended by SIGKILL" in errors[0]
    assert "--resume" in errors[0]
    assert not active_children()
    state = RunFolder(two).load_state()
    assert 0 < state["step"] < RunFolder(one).load_state()["step"]

    monkeypatch.setattr(launch, "START_METHOD", "fork")
    assert main([f"--out={two}", "--resume"]) == 0
    assert capfd.readouterr().out.count("best epoch") == 1
    histories = [(path / "history.jsonl").read_text().splitlines() for path in (one, two)]
    assert len(histories[0]) == len(histories[1]) == 2
    models = [load_file(path / "model.safetensors") for path in (one, two)]
    # Adam divides by the gradient's own size, so that the float error of one that should be zero,
    # as of a bias before a batch norm, moves a weight as far as others go.
    for name, value in models[0].items():
        torch.testing.assert_close(models[1][name], value, atol=4e-3, rtol=4e-3, msg=name)
    numbers = [read_numbers(path / "set-bias.json")["spots"] for path in (one, two)]
    assert numbers[1].sharpness == pytest.approx(numbers[0].sharpness, abs=1e-4)
    assert numbers[1].bias == pytest.approx(numbers[0].bias, abs=1e-4)
    # One file of curves for each of the two starts, and none of the second process.
    assert len(list(two.glob("events.*"))) == 2
    assert {path.name for path in two.iterdir()} - {path.name for path in two.glob("events.*")} == {
        *("history.jsonl", "model.onnx", "model.safetensors", "options.json", "pictures"),
        *("set-bias.json", "state.pt"),
    }


def normed(layer, values):
    """Return what training needs of a batch norm: output, gradients, statistics; and an error."""
    values = values.clone().requires_grad_()
    normed = layer(values)
    loss = normed.pow(3).mean() + _error(values, values.detach().flip(1).square())
    loss.backward()
    return normed.detach(), values.grad, layer.weight.grad, layer.bias.grad, loss.detach()


def shared_norm(fabric, values):
    """Do the same in each process with its part of the values, and put the parts together."""
    layer = nn.BatchNorm2d(3)
    part = values[fabric.global_rank :: fabric.world_size]
    with SharedBatchNorm():
        found = normed(layer, part)
    output, gradient = ([torch.empty_like(value) for _ in range(2)] for value in found[:2])
    for parts, own in zip((output, gradient), found[:2], strict=True):
        torch.distributed.all_gather(parts, own)
    means = [fabric.all_reduce(value) for value in found[2:]]
    with SharedBatchNorm():
        is_left = torch.equal(
            layer.eval()(part),
            nn.functional.batch_norm(
                part, layer.running_mean, layer.running_var, layer.weight, layer.bias
            ),
        )
    numbers = [*output, *gradient, *means, layer.running_mean, layer.running_var]
    return [value.numpy() for value in numbers], is_left  # a tensor's memory ends with its process


@pytest.mark.usefixtures("forked")
def test_batch_norm_and_features_are_those_of_the_whole_batch():
    values = torch.randn(8, 3, 5, 4, generator=torch.Generator().manual_seed(0)) * 3 + 1
    fabric = launch.create_fabric(device="cpu", devices=2, precision="32-true")
    found, is_left = launch.launch(fabric, shared_norm, values)
    layer = nn.BatchNorm2d(3)
    output, gradient, *others = normed(layer, values)
    # The loss of all is the mean of the processes' losses, so that each part counts half.
    expected = [output[::2], output[1::2], 2 * gradient[::2], 2 * gradient[1::2], *others]
    expected += [layer.running_mean, layer.running_var]
    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, wanted, atol=1e-5, rtol=1e-5)
    assert is_left


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--devices=3", "--batch-size=6"], "at most the 2 cores of this machine, got 3"),
        pytest.param(
            ["--device=cuda", "--devices=2"],
            "has 0 CUDA GPUs",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU"),
        ),
    ],
)
def test_devices_that_are_not_there_are_named_on_one_line(files, tmp_path, capsys, more, expected):
    assert main(arguments(files, tmp_path / "run", *more)) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("saliency train: error: ")
    assert expected in line


def test_batches_that_processes_cannot_share_evenly_are_refused(files, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(arguments(files, tmp_path / "run", "--devices=2", "--batch-size=5"))
    assert "2 processes can share evenly, such as 4 or 6, got 5" in capsys.readouterr().err


def test_other_number_of_processes_than_torchrun_has_started_is_refused(
    files, tmp_path, capsys, monkeypatch
):
    for name in ("RANK", "LOCAL_RANK", "GROUP_RANK"):
        monkeypatch.setenv(name, "0")
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "4")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert main(arguments(files, tmp_path / "run", "--devices=2")) == 1
    assert "the 4 processes that torchrun has started, got 2" in capsys.readouterr().err


@pytest.mark.usefixtures("forked")
def test_port_in_use_is_named_on_one_line(files, tmp_path, capfd, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("MASTER_PORT", str(port))
        assert main(arguments(files, tmp_path / "run", "--devices=2")) == 1
    errors = [line for line in capfd.readouterr().err.splitlines() if "saliency train" in line]
    assert len(errors) == 1
    assert f"port {port}, at which the processes meet, is in use" in errors[0]


@pytest.mark.usefixtures("forked")
def test_error_of_one_process_ends_all_with_its_line(files, tmp_path, capfd):
    damaged = write_spots(tmp_path / "damaged")
    given = arguments(files, tmp_path / "run", "--devices=2")
    given[0] = f"--data=folder:{damaged}"
    for photo in (damaged / "images").iterdir():
        photo.write_bytes(photo.read_bytes()[:400])
    assert main(given) == 1
    errors = [line for line in capfd.readouterr().err.splitlines() if "error:" in line]
    assert len(errors) == 1
    assert "damaged/images/" in errors[0]
    assert not active_children()
