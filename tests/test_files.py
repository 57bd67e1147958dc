import os
import stat
from pathlib import Path

import pytest

from saliency import files
from saliency.errors import OutputError
from saliency.files import check_writable, write_whole


def test_file_holds_the_bytes_and_nothing_lies_beside_it(tmp_path):
    write_whole(b"crop", tmp_path / "crop.jpg")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [
        ("crop.jpg", b"crop")
    ]


def test_file_may_be_read_by_those_the_umask_lets(tmp_path):
    write_whole(b"crop", tmp_path / "crop.jpg")
    (tmp_path / "other").touch()
    assert (tmp_path / "crop.jpg").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_file_that_exists_is_left_alone(tmp_path):
    (tmp_path / "crop.jpg").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already; overwrite it"):
        write_whole(b"crop", tmp_path / "crop.jpg")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [
        ("crop.jpg", b"mine")
    ]


def test_file_that_exists_is_replaced_when_told(tmp_path):
    (tmp_path / "crop.jpg").write_bytes(b"mine")
    write_whole(b"crop", tmp_path / "crop.jpg", overwrite=True)
    assert (tmp_path / "crop.jpg").read_bytes() == b"crop"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_file_that_is_replaced_passes_its_permissions_on(tmp_path, mode):
    path = tmp_path / "crop.jpg"
    path.write_bytes(b"mine")
    path.chmod(mode)
    write_whole(b"crop", path, overwrite=True)
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize("stopped", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("step", ["fsync", "naming"])
def test_nothing_is_left_when_the_program_is_stopped(tmp_path, monkeypatch, stopped, step):
    def stop(*_):
        raise stopped

    if step == "fsync":
        monkeypatch.setattr(os, "fsync", stop)
    else:
        monkeypatch.setattr(files, "_name_unless_taken", stop)
    with pytest.raises(stopped):
        write_whole(b"crop", tmp_path / "crop.jpg")
    assert list(tmp_path.iterdir()) == []


def test_disk_is_waited_for_unless_told_not_to(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    write_whole(b"crop", tmp_path / "crop.jpg", is_durable=False)
    assert synced == []
    write_whole(b"model", tmp_path / "model.onnx")
    assert len(synced) == 1


def test_full_disk_is_reported_and_leaves_nothing(tmp_path, monkeypatch):
    def fail(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match=r"cannot write .*No space left"):
        write_whole(b"crop", tmp_path / "crop.jpg")
    assert list(tmp_path.iterdir()) == []


def no_links(*_):
    raise PermissionError(1, "Operation not permitted")


def test_file_is_written_where_the_file_system_has_no_links(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "hardlink_to", no_links)
    write_whole(b"crop", tmp_path / "crop.jpg")
    with pytest.raises(OutputError, match="exists already"):
        write_whole(b"other", tmp_path / "crop.jpg")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [
        ("crop.jpg", b"crop")
    ]


def test_missing_folder_is_reported(tmp_path):
    with pytest.raises(OutputError, match="cannot write"):
        write_whole(b"crop", tmp_path / "none" / "crop.jpg")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "it is a folder"),
        ("nowhere/list.txt", "there is no folder"),
        ("present.txt", "exists already"),
    ],
)
def test_file_that_could_not_be_written_is_refused_beforehand(tmp_path, name, message):
    (tmp_path / "present.txt").write_text("kept")
    with pytest.raises(OutputError, match=message):
        check_writable(tmp_path / name)
    check_writable(tmp_path / "present.txt", overwrite=True)
    check_writable(tmp_path / "new.txt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["present.txt"]
