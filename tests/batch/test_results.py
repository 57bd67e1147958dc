import json
from pathlib import Path

import pytest

from saliency.batch.results import Results, read_results, result_key
from saliency.errors import OutputError

A, B, C = Path("a.jpg"), Path("b.jpg"), Path("c.jpg")
CROPPED = {"status": "cropped", "width": 4, "height": 3, "windows": [{"file": "a-1x1.jpg"}]}
FAILED = {"status": "failed", "error": "it is damaged"}
PRESENT = {"status": "present"}


def row(photo, report):
    return {"photo": str(photo)} | report


def write(path, rows, **options):
    results = Results(path, **options)
    for photo, report in rows.items():
        results.add(photo, row(photo, report))
    results.close()
    return {line["photo"]: line["status"] for line in read_results(path)}


@pytest.fixture(params=["done.jsonl", "done.parquet"])
def path(request, tmp_path):
    if request.param.endswith("parquet"):
        pytest.importorskip("pyarrow", reason="needs the extra ray")
    return tmp_path / request.param


def test_each_photo_has_its_row_under_a_stable_key(path):
    assert write(path, {A: CROPPED, B: FAILED}) == {"a.jpg": "cropped", "b.jpg": "failed"}
    assert {one["key"] for one in read_results(path)} == {result_key(A), result_key(B)}
    assert result_key(A) == "509b0d4641a7c3ba088ffa28559d1f57"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_resumed_run_keeps_rows_of_what_is_done_and_has_each_photo_once(path):
    write(path, {A: CROPPED, B: FAILED, C: CROPPED})
    found = write(path, {A: PRESENT, B: CROPPED}, resume=True)
    assert found == {"a.jpg": "cropped", "b.jpg": "cropped"}  # and C is no longer asked for
    assert next(one for one in read_results(path) if one["photo"] == "a.jpg")["width"] == 4


def test_rows_of_a_run_that_was_killed_are_kept(path):
    killed = Results(path)
    killed.add(A, row(A, CROPPED))
    killed._file.write(b'{"key": "half a')
    killed._file.close()
    with pytest.raises(OutputError, match="of a run that was stopped; go on with --resume"):
        Results(path)
    assert write(path, {A: PRESENT, B: CROPPED}, resume=True) == {
        "a.jpg": "cropped",
        "b.jpg": "cropped",
    }


def test_file_that_exists_is_replaced_only_if_told(path):
    write(path, {A: CROPPED})
    with pytest.raises(OutputError, match="exists already"):
        Results(path)
    assert write(path, {B: FAILED}, overwrite=True) == {"b.jpg": "failed"}


def test_name_that_is_no_unicode_has_a_row(path):
    odd = Path("caf\udce9.jpg")
    assert write(path, {odd: CROPPED}) == {"caf\udce9.jpg": "cropped"}


def test_full_disk_names_the_remedy_and_loses_no_row(tmp_path, monkeypatch):
    results = Results(tmp_path / "done.jsonl")
    results.add(A, row(A, CROPPED))
    results._file.close()

    class Full:
        def write(self, data):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(results, "_file", Full())
    with pytest.raises(OutputError, match="No space left on device; make room, then go on with"):
        results.add(B, row(B, CROPPED))
    kept = (tmp_path / "done.jsonl.part").read_text().splitlines()
    assert [json.loads(line)["photo"] for line in kept] == ["a.jpg"]
