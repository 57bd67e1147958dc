"""Facts about `saliency train --keep` and `--rehearse`: what a model knew is kept."""

import pytest
import torch
from training_fixtures import COMMAND_LINE, GOING_ON, write_spots

from saliency.commands import inspect, train
from saliency.errors import DatasetError
from saliency.model.checkpoint import load_model
from saliency.prediction.shipped_models import fisher_path
from saliency.pruning.penalties.ewc import read_fisher, write_fisher
from saliency.training.data import read_training_data

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_spots(tmp_path_factory.mktemp("data") / "spots")


@pytest.fixture(scope="module")
def finished(dataset, tmp_path_factory):
    """The folder of a run that has ended."""
    path = tmp_path_factory.mktemp("runs") / "first"
    assert run(dataset, path, "--epochs=1") == 0
    return path


def run(dataset, path, *options):
    usual = GOING_ON if "--start" in options else COMMAND_LINE
    return train.main(["--data", f"folder:{dataset}", "--out", str(path), *usual, *options])


def last_line(capsys):
    return capsys.readouterr().err.splitlines()[-1]


@pytest.fixture(scope="module")
def started(finished, dataset, tmp_path_factory):
    """A trained model with its Fisher values beside it."""
    path = tmp_path_factory.mktemp("start") / "model.safetensors"
    path.write_bytes((finished / "model.safetensors").read_bytes())
    assert inspect.main([str(path), "--data", f"folder:{dataset}", "--save-fisher"]) == 0
    return path


def distance(one, other, weights):
    """Return how far the weights of two models lie apart, each difference with its weight."""
    second = dict(load_model(other).named_parameters())
    return sum(
        float((weights[name] * (value - second[name]).square()).detach().sum())
        for name, value in load_model(one).named_parameters()
    )


@pytest.mark.parametrize("keep", ["ewc", "l2"])
def test_model_that_is_kept_moves_less_from_where_it_starts(started, dataset, tmp_path, keep):
    common = ("--start", str(started), "--epochs=1")
    assert run(dataset, tmp_path / "free", *common) == 0
    held = (*common, "--keep", keep, "--keep-strength=1e6")
    assert run(dataset, tmp_path / keep, *held) == 0
    free, kept = (tmp_path / name / "model.safetensors" for name in ("free", keep))
    fisher = read_fisher(fisher_path(started))
    weights = fisher if keep == "ewc" else dict.fromkeys(fisher, 1.0)
    assert distance(started, kept, weights) < 0.8 * distance(started, free, weights)


def test_fisher_values_of_several_tasks_add_up(started, dataset, tmp_path):
    options = ("--start", str(started), "--epochs=1", "--keep=ewc", "--save-fisher")
    assert run(dataset, tmp_path / "run", *options) == 0
    old = read_fisher(fisher_path(started))
    both = read_fisher(tmp_path / "run" / "model.fisher.safetensors")
    for name, value in old.items():
        assert (both[name] >= 0.85 * value).all()
    assert sum(map(torch.sum, both.values())) > 1.2 * sum(map(torch.sum, old.values()))


def test_keeping_needs_a_start_and_its_fisher_values(finished, dataset, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(dataset, tmp_path / "a", "--keep=ewc")
    assert "needs --start" in last_line(capsys)
    options = ("--start", str(finished / "model.safetensors"), "--keep=ewc")
    assert run(dataset, tmp_path / "b", *options) == 1
    assert "saliency inspect --save-fisher" in last_line(capsys)
    with pytest.raises(SystemExit):
        run(dataset, tmp_path / "c", "--keep-strength=-1")
    assert "keep_strength at least 0" in last_line(capsys)


def test_fisher_values_of_another_model_are_refused(finished, dataset, tmp_path, capsys):
    start = tmp_path / "model.safetensors"
    start.write_bytes((finished / "model.safetensors").read_bytes())
    write_fisher({"one": torch.ones(1)}, fisher_path(start))
    assert run(dataset, tmp_path / "run", "--start", str(start), "--keep=ewc") == 1
    assert "of another model" in last_line(capsys)


def test_share_of_an_old_data_set_is_rehearsed(dataset, tmp_path):
    old = write_spots(tmp_path / "old", count=20)
    specs = [f"folder:{dataset}"]
    alone = read_training_data(specs, photos=None, teachers=())
    both = [
        read_training_data(specs, photos=None, teachers=(), rehearse=[f"folder:{old}:0.25"])
        for _ in range(2)
    ]
    first, second = ([scene.name for scene in each.train] for each in both)
    assert first == second
    more = [scene.name for scene in both[0].train[len(alone.train) :]]
    count = len(read_training_data([f"folder:{old}"], photos=None, teachers=()).train)
    assert len(more) == round(0.25 * count)
    assert len(both[0].validation) == len(alone.validation)
    with pytest.raises(DatasetError, match="LAYOUT:PATH:SHARE"):
        read_training_data(specs, photos=None, teachers=(), rehearse=[f"folder:{old}"])
