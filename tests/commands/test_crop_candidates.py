"""`saliency crop --candidates`: a crop of each window that could be wanted."""

import json
from pathlib import Path

import numpy as np
import pytest
from runtime_fixtures import dark_photo, opened, write_model

from saliency.commands.crop import main


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "stand-in.onnx")


@pytest.fixture
def run(model, capsys):
    def run(*arguments):
        """Run the command in process; return its status and the lines that it prints."""
        status = main([*map(str, arguments), "--model", str(model)])
        return status, capsys.readouterr().out.splitlines()

    return run


@pytest.fixture
def two_spots(tmp_path):
    """A photo with a large bright spot on its left and a smaller one on its right."""
    image = dark_photo(400, 100, bright=(10, 30, 60, 80))
    image.paste((250, 240, 230), (350, 30, 380, 60))
    image.save(tmp_path / "two.png")
    return tmp_path / "two.png"


def test_each_candidate_has_a_crop_where_several_are_asked_for(two_spots, run):
    status, (line,) = run(two_spots, "--candidates", 3, "--json", "--min-confidence", 0)
    (window,) = json.loads(line)["windows"]
    crops = [window["file"], *(one["file"] for one in window["alternatives"])]
    assert (status, len(crops)) == (0, 2)  # there is no third place
    assert [Path(one).name for one in crops] == ["two-1x1-1.png", "two-1x1-2.png"]
    places = [window["x"], window["alternatives"][0]["x"]]
    for file, x in zip(crops, places, strict=True):
        expected = np.asarray(opened(two_spots))[:, x : x + 100]
        np.testing.assert_array_equal(np.asarray(opened(Path(file))), expected)


def test_each_candidate_has_a_line(two_spots, run):
    _, lines = run(two_spots, "--candidates", 2)
    assert [Path(line.split()[0]).name for line in lines] == ["two-1x1-1.png", "two-1x1-2.png"]


def test_pattern_without_candidate_makes_one_crop(two_spots, run):
    _, (line,) = run(two_spots, "--candidates", 2, "--json", "--name", "{stem}-{aspect}.{ext}")
    (window,) = json.loads(line)["windows"]
    assert Path(window["file"]).name == "two-1x1.png"
    assert [one["file"] for one in window["alternatives"]] == [None]


def test_crops_of_candidates_are_not_cropped_again(two_spots, run, tmp_path):
    run(two_spots, "--candidates", 2)
    assert run(tmp_path, "--candidates", 2, "--overwrite")[0] == 0
    assert {file.name for file in tmp_path.iterdir()} == {
        "two.png",
        "two-1x1-1.png",
        "two-1x1-2.png",
    }


def test_dry_run_names_each_candidate_and_writes_none(two_spots, run, tmp_path):
    _, lines = run(two_spots, "--candidates", 2, "--dry-run")
    assert len(lines) == 2
    assert {file.name for file in tmp_path.iterdir()} == {"two.png"}


def test_resume_makes_the_chosen_crop_that_is_missing_and_keeps_the_others(
    two_spots, run, tmp_path
):
    run(two_spots, "--candidates", 2)
    (tmp_path / "two-1x1-1.png").unlink()
    (tmp_path / "two-1x1-2.png").write_bytes(b"mine")
    assert run(two_spots, "--candidates", 2, "--resume")[0] == 0
    assert (tmp_path / "two-1x1-1.png").is_file()
    assert (tmp_path / "two-1x1-2.png").read_bytes() == b"mine"


def test_resume_is_done_with_a_photo_of_fewer_candidates_than_asked_for(two_spots, run, tmp_path):
    run(two_spots, "--candidates", 5)
    assert len(list(tmp_path.iterdir())) == 3  # the photo and two crops: there is no third place
    _, (line,) = run(two_spots, "--candidates", 5, "--resume", "--json")
    assert json.loads(line)["status"] == "present"


def test_chosen_crop_is_not_there_before_the_others_are(two_spots, run, tmp_path):
    (tmp_path / "two-1x1-2.png").mkdir()  # cannot be written
    assert run(two_spots, "--candidates", 2, "--overwrite")[0] == 1
    assert not (tmp_path / "two-1x1-1.png").exists()
