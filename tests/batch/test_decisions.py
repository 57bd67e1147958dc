"""The file of decisions, and crops that follow it."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from runtime_fixtures import METADATA, dark_photo, write_model

from saliency.batch.decisions import Decisions, digest_of
from saliency.commands.crop import main
from saliency.errors import DecisionsError
from saliency.geometry import Window

LEFT = Window(0, 10, 100, 100)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    metadata = METADATA | {"input_pixels": 1024}
    return write_model(tmp_path_factory.mktemp("model") / "stand-in.onnx", metadata)


@pytest.fixture
def folder(tmp_path):
    """A folder of two photos, with a decision on each: a window, and no crop."""
    decisions = Decisions(tmp_path / "decisions.json")
    for name, window in (("a.jpg", LEFT), ("b.jpg", None)):
        bright = (140, 20, 190, 90) if name == "a.jpg" else (10, 20, 60, 90)
        dark_photo(200, 120, bright=bright).save(tmp_path / name)
        digest = digest_of((tmp_path / name).read_bytes())
        decisions.propose(digest, name, (200, 120), [], [])
        decisions.decide(digest, "1:1", window)
    decisions.save()
    return tmp_path


def crop(folder, model, *options):
    arguments = [
        str(folder),
        "--aspect",
        "1:1",
        "--json",
        "--model",
        str(model),
        "--faces",
        "ignore",
    ]
    return main([*arguments, "--decisions", str(folder / "decisions.json"), *options])


def test_what_is_written_is_read(folder):
    decisions = Decisions.read(folder / "decisions.json")
    assert dict(decisions.persons_windows()) == {"a.jpg": [LEFT]}
    assert decisions.names == {"a.jpg", "b.jpg"}


def test_crops_follow_the_person(folder, model, capsys):
    assert crop(folder, model) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    (window,) = first["windows"]
    assert [window[key] for key in ("x", "y", "width", "height")] == [0, 10, 100, 100]
    assert window["reason"] == "a person decided"
    assert window["share"] < 0.1
    with Image.open(folder / "a-1x1.jpg") as image:
        assert image.size == (100, 100)
    assert second["windows"][0]["outcome"] == "skipped"
    assert not (folder / "b-1x1.jpg").exists()


def test_photo_without_a_decision_is_cropped_by_the_model(folder, model, capsys):
    dark_photo(220, 120, bright=(160, 20, 210, 90)).save(folder / "c.jpg")
    assert crop(folder, model, "--dry-run") == 0
    third = json.loads(capsys.readouterr().out.splitlines()[2])
    assert third["windows"][0]["outcome"] == "moved"
    assert third["windows"][0]["x"] == 100


def test_renamed_photo_keeps_its_decision(folder, model, capsys):
    (folder / "a.jpg").rename(folder / "z.jpg")
    assert crop(folder, model, "--dry-run") == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["windows"][0]["reason"] == "a person decided"


def test_changed_photo_is_named_and_the_others_are_cropped(folder, model, capsys):
    dark_photo(200, 120, bright=(1, 1, 40, 40)).save(folder / "a.jpg")
    assert crop(folder, model, "--dry-run") == 1
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert "a.jpg has changed since" in line
    assert len(captured.out.splitlines()) == 2


def test_changed_photo_that_the_model_has_seen_anew_is_named_too(folder, model, capsys):
    dark_photo(200, 120, bright=(1, 1, 40, 40)).save(folder / "a.jpg")
    decisions = Decisions.read(folder / "decisions.json")
    digest = digest_of((folder / "a.jpg").read_bytes())
    decisions.propose(digest, "a.jpg", (200, 120), [], [])
    decisions.save()
    assert crop(folder, model, "--dry-run") == 1
    assert "a.jpg has changed since" in capsys.readouterr().err


def test_photo_of_the_same_name_in_another_folder_is_another_photo(folder, model, capsys):
    (folder / "sub").mkdir()
    dark_photo(220, 120, bright=(160, 20, 210, 90)).save(folder / "sub" / "a.jpg")
    assert crop(folder, model, "--dry-run", "--recursive") == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


KEEP_DECIDING = """
import sys
from pathlib import Path
from saliency.batch.decisions import Decisions
from saliency.geometry import Window
decisions = Decisions.read(Path(sys.argv[1]))
print("ready", flush=True)
for number in range(10**6):
    for digest in decisions.photos:
        decisions.decide(digest, "1:1", Window(number % 90, 0, 100, 100))
    decisions.save()
"""


def test_file_is_whole_whenever_the_process_is_killed(folder):
    for wait in (0.02, 0.05, 0.11):
        process = subprocess.Popen(
            [sys.executable, "-c", KEEP_DECIDING, folder / "decisions.json"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        with process:
            assert process.stdout.readline() == "ready\n"
            time.sleep(wait)
            process.kill()
        assert len(Decisions.read(folder / "decisions.json").photos) == 2


def test_decisions_on_other_photos_are_refused(folder, model, capsys, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    dark_photo(90, 60, bright=(1, 1, 9, 9)).save(other / "x.jpg")
    options = ["--decisions", str(folder / "decisions.json"), "--model", str(model)]
    assert main([str(other), *options]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "none of these photos" in line
    assert not list(other.glob("*-1x1*"))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "no file of decisions"),
        ("[]", "no file of decisions"),
        ('{"format": "saliency decisions", "version": 9, "photos": {}}', "version 1"),
        ('{"format": "saliency decisions", "version": 1}', "damaged"),
        (
            '{"format": "saliency decisions", "version": 1, "photos": {"ab": {}}}',
            "photo ab is damaged",
        ),
    ],
)
def test_unusable_file_is_one_line(folder, model, capsys, text, named):
    (folder / "decisions.json").write_text(text)
    assert crop(folder, model) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert named in line
    assert "decisions.json" in line


def test_window_outside_of_the_photo_is_refused(folder):
    decisions = Decisions.read(folder / "decisions.json")
    digest = next(iter(decisions.photos))
    with pytest.raises(DecisionsError, match="inside the 200x120 photo"):
        decisions.decide(digest, "1:1", Window(150, 0, 100, 100))


def test_standard_input_has_no_decisions(folder):
    with pytest.raises(SystemExit, match="2"):
        main(["-", "--decisions", str(folder / "decisions.json")])
