"""Facts about pruning any network in one call, with an engine that takes no time."""

import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from latency_fixtures import SizeEngine
from torch import nn

from saliency import pruning
from saliency.commands.prune import main
from saliency.errors import CheckpointError, PruningError
from saliency.pruning.latency import engines
from saliency.pruning.loop.comparison import NetworkComparison
from saliency.pruning.surgery import channel_counts

pytestmark = pytest.mark.usefixtures("one_thread")

EXAMPLE = torch.zeros(1, 3, 8, 8)
SMALL = {"steps": 2, "time_share": 0.2, "tuning_steps": 6, "budget_seconds": 1e-3}


@pytest.fixture(autouse=True)
def size_engine(monkeypatch):
    monkeypatch.setitem(engines.ENGINES, "onnxruntime", SizeEngine)


class Classifier(nn.Module):
    """Batch norm and dropout, and a head that is frozen."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(nn.Conv2d(3, 24, 3), nn.BatchNorm2d(24), nn.ReLU())
        self.body = nn.Sequential(nn.Conv2d(24, 24, 3), nn.ReLU(), nn.Dropout(0.1))
        self.frozen = nn.Conv2d(3, 8, 1).requires_grad_(requires_grad=False)
        self.reader = nn.Conv2d(8, 4, 1).requires_grad_(requires_grad=False)
        self.head = nn.Linear(28, 2)

    def forward(self, photo):
        seen = self.body(self.stem(photo)).mean((2, 3))
        fixed = self.reader(self.frozen(photo)).mean((2, 3))
        return self.head(torch.cat((seen, fixed), 1))


def make_data():
    generator = torch.Generator().manual_seed(1)
    photos = torch.randn(64, 3, 8, 8, generator=generator)
    labels = (photos.mean((1, 2, 3)) > 0).long()
    return torch.utils.data.TensorDataset(photos, labels)


def make_loader():
    return torch.utils.data.DataLoader(make_data(), batch_size=8, shuffle=True)


def loss(model, batch):
    return nn.functional.cross_entropy(model(photo=batch[0]), batch[1])


@torch.no_grad()
def accuracy(model):
    photos, labels = make_data().tensors
    assert not model.training
    return float((model(photos).argmax(1) == labels).float().mean())


def pruned(loss=loss, batches=None, **options):
    given = {"validate": accuracy, "speedup": 1.5} | SMALL | options
    return pruning.prune(Classifier(), EXAMPLE, batches or make_loader(), loss, **given)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that was not interrupted, and its folder."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(engines.ENGINES, "onnxruntime", SizeEngine)
        return pruned(folder=folder), folder


def test_network_is_as_fast_as_asked_and_no_faster(whole):
    result, _ = whole
    assert result.points[0]["speedup"] == 1.0
    assert 1.5 <= result.points[-1]["speedup"] < 2.0
    assert result.points[-1]["score"] == accuracy(result.model)
    assert result.after == channel_counts(result.model)
    assert result.after["stem.0"][1] + result.after["body.0"][1] < 48


def test_what_is_kept_whole_is_named_with_its_reason(whole):
    result, _ = whole
    assert result.after["frozen"] == result.before["frozen"]
    assert "frozen" in result.kept_whole["frozen"]
    assert "returns it" in result.kept_whole["head"]


def test_file_rebuilds_the_network_from_its_class(whole, tmp_path):
    result, folder = whole
    result.save(tmp_path / "small.safetensors")
    photos = make_data().tensors[0]
    with torch.no_grad():
        expected = result.model(photos)
        for path in (tmp_path / "small.safetensors", folder / "pruned.safetensors"):
            assert torch.equal(pruning.load(path, Classifier())(photos), expected)
    assert channel_counts(pruning.resize(Classifier(), result.after)) == result.after


def test_graph_gives_what_the_network_gives(whole, tmp_path):
    result, _ = whole
    result.export_onnx(tmp_path / "small.onnx")
    photo = make_data().tensors[0][:1]
    (made,) = onnxruntime.InferenceSession(tmp_path / "small.onnx").run(
        None, {"input": photo.numpy()}
    )
    with torch.no_grad():
        np.testing.assert_allclose(made, result.model(photo).numpy(), atol=1e-5)


def test_graph_in_integers_gives_nearly_what_the_network_gives(whole, tmp_path):
    result, _ = whole
    photos = make_data().tensors[0]
    result.export_onnx(tmp_path / "small.onnx", int8=[photo[None] for photo in photos[:20]])
    session = onnxruntime.InferenceSession(tmp_path / "small.onnx")
    made = [session.run(None, {"input": photo[None].numpy()})[0][0] for photo in photos[:20]]
    with torch.no_grad():
        expected = result.model(photos[:20]).numpy()
    assert np.abs(made - expected).max() < 0.1 * np.ptp(expected)
    assert not np.allclose(made, expected, atol=1e-5)


def test_report_has_times_scores_and_widths(whole):
    result, folder = whole
    stored = json.loads((folder / "report.json").read_text())
    assert stored["points"] == result.points
    text = (folder / "report.md").read_text()
    assert "| unpruned | " in text
    assert "| body.0 | 24 | " in text
    assert (folder / "report.png").stat().st_size > 10_000


@pytest.mark.parametrize("call", [3, 9, 14], ids=["early", "late", "fine-tuning"])
def test_run_goes_on_as_if_it_had_not_stopped(whole, tmp_path, monkeypatch, call):
    monkeypatch.setattr("saliency.pruning.loop.tuning.SAVE_STEPS", 2)
    calls = []

    def stopping(model, batch):
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return loss(model, batch)

    with pytest.raises(KeyboardInterrupt):
        pruned(stopping, folder=tmp_path)
    again = pruned(folder=tmp_path, resume=True)
    expected = whole[0].model.state_dict()
    assert again.points == whole[0].points
    assert all(
        torch.equal(value, expected[name]) for name, value in again.model.state_dict().items()
    )


KILLED = """
import os, signal, sys
sys.path[:0] = {paths!r}
import torch
torch.set_num_threads(1)
import test_prune
from latency_fixtures import SizeEngine
test_prune.engines.ENGINES["onnxruntime"] = SizeEngine
calls = []
def killing(model, batch):
    calls.append(1)
    if len(calls) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return test_prune.loss(model, batch)
test_prune.pruned(killing, folder=sys.argv[1])
"""


def test_run_that_was_killed_goes_on(whole, tmp_path):
    tests = Path(__file__).parents[2]
    script = KILLED.format(paths=[str(tests), str(Path(__file__).parent), str(tests.parent)])
    killed = subprocess.run([sys.executable, "-c", script, tmp_path], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert pruned(folder=tmp_path, resume=True).points == whole[0].points


def test_network_that_was_given_is_not_changed():
    model, before = Classifier(), Classifier().state_dict()
    pruning.prune(model, EXAMPLE, make_loader(), loss, speedup=1.2, **SMALL | {"tuning_steps": 0})
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training


class Named(Classifier):
    """Takes its input by keyword only."""

    def forward(self, *, photo):
        return super().forward(photo)


def named_loss(model, batch):
    return nn.functional.cross_entropy(model(photo=batch[0]), batch[1])


def test_network_of_keywords_is_pruned_and_exported(tmp_path):
    result = pruning.prune(
        Named(), {"photo": EXAMPLE}, make_loader(), named_loss, speedup=1.5, **SMALL
    )
    result.export_onnx(tmp_path / "small.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "small.onnx")
    photo = torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        np.testing.assert_allclose(
            session.run(None, {"input": photo.numpy()})[0],
            result.model(photo=photo),
            atol=1e-5,
        )
    assert result.points[-1]["speedup"] >= 1.5


def vectors(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1], reduction="none")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"loss": vectors}, "a scalar tensor, got shape"),
        ({"loss": lambda model, batch: (loss(model, batch), 0)}, "a scalar tensor, got tuple"),
        ({"loss": lambda model, batch: loss(model, batch).detach()}, "a loss with a gradient"),
        ({"validate": lambda _: None}, "validate to return a number, got NoneType"),
        ({"validate": lambda _: float("nan")}, "validate to return a number, got nan"),
        ({"loss": lambda model, batch: loss(model, batch) * torch.nan}, "became nan at step 0"),
        ({"batches": iter(list(make_loader())[:3])}, "give a DataLoader or a list"),
        ({"speedup": 1000.0}, "expected a target of at least"),
        ({"table": Path("nowhere.json")}, "no latency table at nowhere.json"),
    ],
)
def test_what_cannot_be_is_one_line(wrong, message):
    with pytest.raises(PruningError, match=message) as raised:
        pruned(**wrong)
    assert "\n" not in str(raised.value)


def test_folder_of_another_run_is_refused(whole, tmp_path):
    _, folder = whole
    with pytest.raises(CheckpointError, match="holds a run already"):
        pruned(folder=folder)
    with pytest.raises(CheckpointError, match=r"begun with speedup 1\.5, got 1\.7"):
        pruned(folder=folder, resume=True, speedup=1.7)
    with pytest.raises(CheckpointError, match=r"cannot load .* into Linear"):
        pruning.load(folder / "pruned.safetensors", nn.Linear(3, 4))
    with pytest.raises(CheckpointError, match=r"cannot load .*nothing"):
        pruning.load(tmp_path / "nothing.safetensors", Classifier())


class Wider(Classifier):
    """Has weights of the same shapes, and looks at more of the photo."""

    def __init__(self):
        super().__init__()
        self.body[0].dilation = (2, 2)


def test_run_of_another_network_is_not_gone_on_with(whole):
    _, folder = whole
    given = {"validate": accuracy, "speedup": 1.5, "folder": folder, "resume": True} | SMALL
    with pytest.raises(CheckpointError, match="begun with another network, other weights"):
        pruning.prune(Wider(), EXAMPLE, make_loader(), loss, **given)
    other = Classifier()
    nn.init.ones_(other.head.bias)
    with pytest.raises(CheckpointError, match="begun with another network, other weights"):
        pruning.prune(other, EXAMPLE, make_loader(), loss, **given)


def test_run_that_has_ended_says_the_same_when_it_is_resumed(whole):
    result, folder = whole
    assert pruned(folder=folder, resume=True).kept_whole == result.kept_whole


def test_network_that_is_fast_enough_has_no_false_reasons():
    result = pruned(speedup=None, target_ms=1e6)
    assert set(result.kept_whole) == {"head"}
    assert result.missed is None


def test_folder_without_a_run_is_not_resumed_and_other_files_are_not_replaced(tmp_path):
    with pytest.raises(CheckpointError, match="holds no run to go on with"):
        pruned(folder=tmp_path / "nowhere", resume=True)
    (tmp_path / "report.md").write_text("mine")
    with pytest.raises(CheckpointError, match=r"holds report\.md, which the run would replace"):
        pruned(folder=tmp_path)
    assert (tmp_path / "report.md").read_text() == "mine"


def test_run_goes_on_where_the_table_alone_says_that_it_has_arrived(monkeypatch):
    measure, arrived = NetworkComparison.measure, []

    def slow_at_the_goal(comparison, model):
        point = measure(comparison, model)
        arrived.append(point["speedup"] >= 1.5)
        factor = 0.8 if sum(arrived) == 1 else 1.0
        return point | {
            "measured_ms": point["measured_ms"] / factor,
            "speedup": point["speedup"] * factor,
        }

    monkeypatch.setattr(NetworkComparison, "measure", slow_at_the_goal)
    result = pruned(steps=1, time_share=0.1)
    assert result.points[-2]["measured_ms"] <= result.goal_ms
    assert result.missed is None


def test_goal_that_was_missed_is_said(whole):
    result, _ = whole
    far = dataclasses.replace(result, goal_ms=0.5 * result.points[-1]["measured_ms"])
    assert far.missed is not None
    assert "were asked for" in far.markdown()
    assert "were asked for" not in result.markdown()


def test_run_that_could_not_begin_leaves_its_folder_to_another(tmp_path):
    with pytest.raises(PruningError, match="expected a target of at least"):
        pruned(folder=tmp_path, speedup=1000.0)
    assert pruned(folder=tmp_path, speedup=1.2).points[-1]["speedup"] >= 1.2


def test_caller_draws_as_if_nothing_had_been_drawn():
    torch.manual_seed(5)
    expected = torch.rand(3)
    model = Classifier()
    torch.manual_seed(5)
    pruning.prune(model, EXAMPLE, make_loader(), loss, speedup=1.2, **SMALL)
    assert torch.equal(torch.rand(3), expected)


MODULE = """
import test_prune

def network():
    return test_prune.Classifier()

def task():
    return {"batches": test_prune.make_loader(), "loss": test_prune.loss}

def no_task():
    return [1]

number = 3
"""


def run_command(*words):
    return main(["mine:network", "--example=1x3x8x8", "--steps=2", "--tuning-steps=2", *words])


def test_command_prunes_a_network_of_a_module(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    Path("mine.py").write_text(MODULE)
    wanted = ["--train=mine:task", "--out=run", "--speedup=1.2", "--budget=0.001"]
    assert run_command(*wanted) == 0
    assert "times faster" in capsys.readouterr().out
    assert Path("run/pruned.onnx").stat().st_size > 0
    assert pruning.load("run/pruned.safetensors", Classifier())
    assert run_command(*wanted) == 1
    assert "run holds a run already" in capsys.readouterr().err
    assert run_command("--train=mine:no_task", "--out=other", "--speedup=2") == 1
    assert "a dictionary with batches and loss" in capsys.readouterr().err
    assert run_command("--train=mine:nothing", "--out=other", "--speedup=2") == 1
    assert "cannot find mine:nothing" in capsys.readouterr().err
    assert run_command("--train=mine:number", "--out=other", "--speedup=2") == 1
    assert "expected mine:number to be a function without arguments" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["mine", "--example=1x3x8x8", *wanted])
    assert "expected MODULE:FUNCTION, got 'mine'" in capsys.readouterr().err
    assert main(["--resume", "--out=run"]) == 1
    assert "by saliency prune MODULE:FUNCTION" in capsys.readouterr().err
