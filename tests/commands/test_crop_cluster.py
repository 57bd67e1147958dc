"""`saliency crop --cluster` with the cluster's place taken by this process."""

import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from runtime_fixtures import dark_photo, write_model

from saliency.batch.cropper import Cropper
from saliency.batch.results import read_results
from saliency.batch.workers import crop_all
from saliency.commands import crop as crop_command
from saliency.commands.jobs import crop_cluster
from saliency.cropping.report import brief_json
from saliency.prediction.predictor import Predictor


@pytest.fixture
def crop(tmp_path, monkeypatch):
    """Run the command in a folder with two photos and a file that is none."""
    for name in ("a", "b"):
        dark_photo(64, 48, bright=(50, 20, 60, 30)).save(tmp_path / f"{name}.jpg")
    (tmp_path / "no.jpg").write_bytes(b"no photo")
    model = write_model(tmp_path / "stand-in.onnx")

    def crop_here(ds, crops, options, *, photos, model, decisions, **_):
        assert ds is photos
        cropper = Cropper(Predictor(model, threads=1), crops, options, photos, decisions=decisions)
        yield from crop_all(cropper, photos, worker_count=1)

    addresses = []
    monkeypatch.setattr(crop_cluster, "crop_dataset", crop_here)
    monkeypatch.setattr(crop_cluster, "list_dataset", lambda photos, **_: photos)
    monkeypatch.setattr(crop_cluster, "count_cores", lambda: 1)
    monkeypatch.setattr(crop_cluster, "connect", addresses.append)
    monkeypatch.setattr(crop_cluster, "quiet_libraries", nullcontext)
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        status = crop_command.main([*arguments, "--model", str(model)])
        return status, addresses[-1] if addresses else None

    return run


def test_outputs_are_those_of_one_machine(crop, capsys, tmp_path):
    assert crop(".", "--output-dir", "one", "--json", "--rejects", "one.txt")[0] == 1
    alone = capsys.readouterr()
    assert crop(".", "--output-dir", "many", "--json", "--rejects", "many.txt", "--cluster")[0] == 1
    together = capsys.readouterr()
    assert together.out.replace("many/", "one/") == alone.out
    assert together.err == alone.err
    assert (tmp_path / "many.txt").read_bytes() == (tmp_path / "one.txt").read_bytes()


def test_results_are_resumed(crop, tmp_path):
    wanted = (".", "--output-dir", "out", "--cluster", "h:1", "--results", "done.jsonl", "--resume")
    assert crop(*wanted) == (1, "h:1")
    (tmp_path / "out" / "b-1x1.jpg").unlink()
    (tmp_path / "no.jpg").unlink()
    assert crop(*wanted)[0] == 0
    rows = {row["photo"]: row["status"] for row in read_results(tmp_path / "done.jsonl")}
    assert rows == {"a.jpg": "cropped", "b.jpg": "cropped"}


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        (["a.jpg", "--cluster"], "auto"),
        (["--cluster", "a.jpg"], "auto"),
        (["--cluster", "local", "a.jpg"], "local"),
        (["a.jpg", "--cluster", "head:6379"], "head:6379"),
    ],
)
def test_address_is_told_from_photos(crop, arguments, address):
    assert crop(*arguments, "--dry-run") == (0, address)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.jpg", "--cluster", "ray://head:10001"], "Ray Data does not run through Ray's client"),
        (["a.jpg", "--cluster", "head"], "expected HOST:PORT, as `ray start` prints it, or local"),
        (["a.jpg", "--cluster", "--results", "done.csv"], "expected .jsonl or .parquet, got 'done"),
        (["a.jpg", "--results", "done.jsonl"], "only with --cluster; otherwise take --json"),
        (["-", "--cluster"], "argument --cluster: not allowed with PHOTO -"),
    ],
)
def test_wrong_command_line_is_refused(crop, arguments, message, capsys):
    with pytest.raises(SystemExit):
        crop(*arguments)
    assert message in capsys.readouterr().err


def test_parquet_beside_photos_is_refused(crop, capsys):
    assert crop("a.jpg", "x.parquet", "--cluster")[0] == 1
    assert "expected Parquet files alone" in capsys.readouterr().err


def test_without_ray_one_line_names_the_extra(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert crop_command.main([str(tmp_path), "--cluster"]) == 1
    assert 'pip install "saliency-crop[ray]"' in capsys.readouterr().err


def test_json_of_a_url_names_it_whole():
    assert brief_json(Path("s3://bucket/a.jpg"), "present")["photo"] == "s3://bucket/a.jpg"
