import io
import os
import subprocess
import sys

import pytest
from runtime_fixtures import dark_photo, opened, write_model

from saliency import files
from saliency.commands import crop as crop_command
from saliency.prediction.predictor import Predictor


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "stand-in.onnx")


@pytest.fixture
def crop(model):
    """Run the command and return its exit status."""
    return lambda *arguments: crop_command.main(
        [*(str(one) for one in arguments), "--model", str(model), "--threads", "1"]
    )


def save(path):
    path.parent.mkdir(exist_ok=True)
    dark_photo(64, 48, bright=(40, 10, 60, 30)).save(path)
    return path


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def error_lines(capsys):
    return capsys.readouterr().err.splitlines()


def test_bad_photo_among_three_gives_two_crops_one_line_and_status_one(crop, tmp_path, capsys):
    photos = [save(tmp_path / "a.jpg"), tmp_path / "b.jpg", save(tmp_path / "c.png")]
    photos[1].write_text("not a photo")
    assert crop(*photos, "--output-dir", tmp_path / "out") == 1
    assert names(tmp_path / "out") == ["a-1x1.jpg", "c-1x1.png"]
    (line,) = error_lines(capsys)
    assert line.startswith("saliency crop: error: expected a JPEG, PNG, WebP")
    assert str(photos[1]) in line


def test_folder_stands_for_its_photos(crop, tmp_path, capsys):
    for name in ("b.jpg", "a.PNG", ".hidden.jpg"):
        save(tmp_path / "in" / name)
    (tmp_path / "in" / "notes.txt").write_text("no photo")
    (tmp_path / "in" / "deeper.jpg").mkdir()
    assert crop(tmp_path / "in", "--output-dir", tmp_path / "out") == 0
    assert names(tmp_path / "out") == ["a-1x1.PNG", "b-1x1.jpg"]
    assert error_lines(capsys) == []


def test_crops_of_an_earlier_run_are_not_cropped_again(crop, tmp_path):
    save(tmp_path / "in" / "a.jpg")
    for _ in range(2):
        assert crop(tmp_path / "in", "--overlay", "--overwrite") == 0
    assert names(tmp_path / "in") == ["a-1x1.jpg", "a-overlay.png", "a.jpg"]


def test_folder_without_photos_is_an_error(crop, tmp_path, capsys):
    assert crop(tmp_path) == 1
    assert "got the folder" in error_lines(capsys)[0]


def test_crop_that_exists_is_left_alone(crop, tmp_path, capsys):
    photo = save(tmp_path / "a.jpg")
    (tmp_path / "a-1x1.jpg").write_text("mine")
    assert crop(photo, "--aspect", "16:9", "1:1") == 1
    assert "a-1x1.jpg exists already; overwrite it" in error_lines(capsys)[0]
    assert (tmp_path / "a-1x1.jpg").read_text() == "mine"
    assert names(tmp_path) == ["a-1x1.jpg", "a.jpg"]


def test_crop_that_exists_is_replaced_when_told(crop, tmp_path):
    photo = save(tmp_path / "a.jpg")
    (tmp_path / "a-1x1.jpg").write_text("mine")
    assert crop(photo, "--overwrite") == 0
    assert opened(tmp_path / "a-1x1.jpg").size == (48, 48)


@pytest.mark.parametrize("told", [[], ["--overwrite"]])
def test_two_photos_never_share_a_crop(crop, tmp_path, capsys, told):
    first, second = save(tmp_path / "one" / "a.jpg"), save(tmp_path / "two" / "a.jpg")
    assert crop(first, second, "--output-dir", tmp_path / "out", *told) == 1
    (line,) = error_lines(capsys)
    assert f"the crops of {second} and {first} would both be" in line


def test_photo_of_the_run_is_never_replaced_by_a_crop(crop, tmp_path, capsys):
    first, second = save(tmp_path / "a.jpg"), save(tmp_path / "a-1x1.jpg")
    content = second.read_bytes()
    assert crop(first, second, "--overwrite") == 1
    assert second.read_bytes() == content
    assert "would replace the photo" in error_lines(capsys)[0]


def test_each_photo_is_predicted_once_for_all_ratios(crop, tmp_path, monkeypatch):
    calls = []
    density = Predictor.density
    monkeypatch.setattr(
        Predictor, "density", lambda self, photo: calls.append(1) or density(self, photo)
    )
    assert crop(save(tmp_path / "a.jpg"), "--aspect", "16:9", "1:1", "3:4") == 0
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: PHOTO"),
        (["--aspect", "1:1"], "required: PHOTO"),
        (
            ["a.jpg", "--aspect", "16;9"],
            "expected W:H such as 16:9, 1.91:1 or 1200x630, got '16;9'",
        ),
        (["a.jpg", "--aspect", "1:1", "wide"], "got 'wide'"),
        (["a.jpg", "--aspect", "0:1"], "two sides above zero"),
        (["a.jpg", "--quality", "101"], "--quality: expected a whole number from 1 to 100"),
        (["a.jpg", "--max-size", "0"], "--max-size: expected a whole number of at least 1"),
        (["a.jpg", "--max-size", "1.5"], "got '1.5'"),
        (["a.jpg", "--format", "bmp"], "--format: invalid choice"),
        (["a.jpg", "--sise", "3"], "unrecognized arguments"),
    ],
)
def test_wrong_command_line_is_status_two_and_says_what_was_expected(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        crop_command.main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_missing_model_is_one_line(tmp_path, capsys):
    assert crop_command.main([str(save(tmp_path / "a.jpg")), "--model", "none.onnx"]) == 1
    (line,) = error_lines(capsys)
    assert line.startswith("saliency crop: error: no model at none.onnx")


def test_output_folder_that_is_a_file_is_one_line(crop, tmp_path, capsys):
    photo = save(tmp_path / "a.jpg")
    assert crop(photo, "--output-dir", photo) == 1
    (line,) = error_lines(capsys)
    assert "cannot create the folder" in line


def test_interruption_is_status_130_and_leaves_no_half_file(crop, tmp_path, monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "_name_unless_taken", interrupt)
    assert crop(save(tmp_path / "a.jpg"), "--output-dir", tmp_path / "out") == 130
    assert names(tmp_path / "out") == []
    assert error_lines(capsys) == ["saliency crop: error: interrupted"]


def test_bar_is_shown_to_a_person_who_waits_for_several_photos(crop, tmp_path, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    photos = [save(tmp_path / name) for name in ("a.jpg", "b.jpg")]
    assert crop(photos[0], "--overwrite") == 0
    assert terminal.getvalue() == ""
    assert crop(*photos, "--overwrite") == 0
    assert "1/2" in terminal.getvalue()


def test_reader_that_goes_away_causes_no_traceback(model, tmp_path):
    photo = str(save(tmp_path / "a.png"))
    program = "import sys; from saliency.commands.crop import main; sys.exit(main())"
    command = [sys.executable, "-c", program, photo, "--model", str(model)]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
