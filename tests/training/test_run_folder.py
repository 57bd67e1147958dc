import dataclasses
import json

import pytest
import torch

from saliency.errors import CheckpointError, OutputError
from saliency.training.run_folder import RunFolder


@dataclasses.dataclass(frozen=True)
class Options:
    """Stands for what a run is asked for."""

    data: tuple[str, ...] = ("folder:spots",)
    rate: float = 0.1


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "runs" / "first")
    folder.start(Options())
    return folder


def test_naming_a_folder_writes_nothing(tmp_path):
    RunFolder(tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_options_are_kept(folder):
    assert folder.read_options() == {"data": ["folder:spots"], "rate": 0.1}


def test_state_survives_the_disk(folder):
    state = {"step": 7, "model": {"weight": torch.randn(3, generator=torch.manual_seed(0))}}
    folder.save_state(state)
    loaded = RunFolder(folder.path).load_state()
    assert loaded["step"] == 7
    assert torch.equal(loaded["model"]["weight"], state["model"]["weight"])


def test_state_is_replaced(folder):
    for step in range(3):
        folder.save_state({"step": step})
    assert folder.load_state() == {"step": 2}
    assert not list(folder.path.glob("*.tmp"))


def test_run_without_a_state_starts_from_the_beginning(folder):
    assert folder.load_state() is None


def test_folder_of_a_run_is_not_taken_for_another(folder):
    folder.save_state({"step": 1})
    with pytest.raises(CheckpointError, match="holds a run already; resume it"):
        RunFolder(folder.path).start(Options(rate=0.2))
    assert folder.read_options()["rate"] == 0.1


def test_run_that_ended_before_its_first_state_is_replaced(folder):
    RunFolder(folder.path).start(Options(rate=0.2))
    assert folder.read_options()["rate"] == 0.2


def test_folder_without_a_run_is_named_with_a_remedy(tmp_path):
    with pytest.raises(CheckpointError, match=r"holds no run to resume; start one"):
        RunFolder(tmp_path).read_options()


def test_path_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot create"):
        RunFolder(tmp_path / "file").start(Options())


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe"], ids=range(3))
def test_damaged_options_are_named(folder, content):
    (folder.path / "options.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"cannot read .*options\.json"):
        folder.read_options()


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04", b"\x80\x02}q\x00."])
def test_damaged_state_is_named(folder, content):
    (folder.path / "state.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"cannot read .*state\.pt: .+; start the run anew"):
        folder.load_state()


def test_state_that_was_cut_short_is_named(folder):
    folder.save_state({"weight": torch.zeros(1000)})
    content = (folder.path / "state.pt").read_bytes()
    (folder.path / "state.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match=r"cannot read .*state\.pt"):
        folder.load_state()


def test_history_has_a_line_for_each_epoch(folder):
    history = [{"nss": 1.0}, {"nss": 2.5}]
    for count in (1, 2):
        folder.write_history(history[:count])
    lines = (folder.path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == history
