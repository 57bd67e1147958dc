"""Facts about the methods that close channels: they reach the time, and go on after a stop."""

import pytest
import torch
from compression_fixtures import arguments, assert_same, report_of
from torch import nn

from saliency.commands.prune import main
from saliency.errors import PruningError
from saliency.pruning.groups import find_groups
from saliency.pruning.methods import gates, sparsity
from saliency.pruning.methods.create import create_method
from saliency.pruning.methods.options import HELD_SHARE, PruningOptions
from saliency.training.session import LearningSession

PHOTO = torch.zeros(1, 3, 16, 16)

pytestmark = pytest.mark.usefixtures("one_thread")


def chain():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 2, 3))


@pytest.fixture
def impatient(monkeypatch):
    """Methods that close channels in a few steps, however well that is for the model."""
    monkeypatch.setattr(gates, "_RATE", 0.7)
    monkeypatch.setattr(gates, "_FIRST_MULTIPLIER", 30.0)
    monkeypatch.setattr(sparsity, "_FIRST_SHARE", 0.8)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "method",
    [
        "--method=slimming",
        pytest.param("--method=l0 --estimator=relax", marks=pytest.mark.thorough),
    ],
)
def test_methods_close_channels_until_the_time_is_reached(given, tmp_path, method):
    options = ("--speedup=1.2", "--steps=4", "--time-share=0.2", *method.split())
    assert main(arguments(*given, tmp_path / "run", *options)) == 0
    report = report_of(tmp_path / "run")
    assert 1.2 <= report["result"]["speedup"] < 1.5
    for layer, (_, width) in report["before"].items():
        assert report["after"][layer][1] >= HELD_SHARE * width, layer


@pytest.mark.parametrize(("share", "held"), [(None, 1), (0.5, 4), (0.0, 1)])
def test_gates_that_a_group_keeps_stay_open(share, held):
    groups = find_groups(chain(), PHOTO)
    method = gates.L0Gates(groups, PruningOptions(speedup=2.0, method="l0", least=share), seed=0)
    state = method.state()
    method.restore(groups, {**state, "log_alpha": torch.linspace(-9, -8, 8)})
    method._hold()
    assert (method.state()["log_alpha"] > 0).tolist() == [False] * (8 - held) + [True] * held


def test_groups_keep_whole_blocks_where_they_have_several():
    options = PruningOptions(speedup=2.0, method="lasso")
    sizes = {"narrow": 8, "small": 24, "middle": 40, "wide": 112}
    assert list(options.least_of(sizes).values()) == [1, 8, 8, 16]


def test_slimming_of_a_network_without_batch_norms_is_refused():
    options = PruningOptions(speedup=2.0, method="slimming")
    with pytest.raises(PruningError, match="found none; use --method lasso"):
        create_method(chain(), find_groups(chain(), PHOTO), options, seed=0)


@pytest.mark.usefixtures("impatient")
@pytest.mark.thorough
@pytest.mark.parametrize("method", ["lasso", "l0"])
def test_run_of_a_method_goes_on_as_if_it_had_not_stopped(given, tmp_path, monkeypatch, method):
    options = ("--speedup=1.2", "--steps=4", "--time-share=0.2", f"--method={method}")
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert main(arguments(*given, whole, *options)) == 0
    assert 1.2 <= report_of(whole)["result"]["speedup"] < 1.5
    taken, take_step = [], LearningSession.take_step

    def stopping_step(*arguments, **keywords):
        taken.append(1)
        if len(taken) == 9:
            raise KeyboardInterrupt
        return take_step(*arguments, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(LearningSession, "take_step", stopping_step)
        assert main(arguments(*given, stopped, *options)) == 130
    assert main([f"--out={stopped}", "--resume"]) == 0
    assert_same(whole, stopped)
