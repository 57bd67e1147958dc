"""Facts about `saliency data`."""

import dataclasses

import numpy as np
import pytest
from PIL import Image
from training_fixtures import write_spots

from saliency.commands import data
from saliency.datasets.dataset import Dataset
from saliency.datasets.inspection import contact_sheet, find_problems, statistics
from saliency.datasets.layouts.registry import read_dataset
from saliency.datasets.published_counts import Expected


@pytest.fixture
def spots(tmp_path):
    return write_spots(tmp_path / "spots", count=5)


def test_check_prints_what_there_is_and_writes_the_sheet(spots, tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    assert data.main(["check", f"folder:{spots}", "--sheet", str(sheet)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["images", "5"] in lines
    assert ["fixations", "75"] in lines
    assert ["problem", "none"] in lines
    with Image.open(sheet) as picture:
        assert picture.size == (6 * 280, 200)


def test_sheet_that_exists_is_kept_unless_told(spots, tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    sheet.write_text("mine")
    assert data.main(["check", f"folder:{spots}", "--sheet", str(sheet)]) == 1
    assert "exists already; overwrite it" in capsys.readouterr().err
    assert sheet.read_text() == "mine"
    assert data.main(["check", f"folder:{spots}", "--sheet", str(sheet), "--overwrite"]) == 0


def test_photos_that_are_cut_off_are_a_counted_problem_and_status_1(spots, tmp_path, capsys):
    for name in ("03.png", "04.png"):
        photo = spots / "images" / name
        Image.open(photo).save(photo, format="JPEG")  # of which the header tells the size
        photo.write_bytes(photo.read_bytes()[:-200])
    sheet = tmp_path / "sheet.png"
    assert data.main(["check", f"folder:{spots}", "--sheet", str(sheet)]) == 1
    (damaged,) = [line for line in capsys.readouterr().out.splitlines() if "problem" in line]
    assert "2 images that are damaged, the first: " in damaged
    assert "03.png" in damaged
    assert "download it again" in damaged
    with Image.open(sheet) as picture:
        assert picture.getpixel((3 * 280 + 1, 1)) != (150, 0, 0)  # what can be seen is shown


def test_faults_are_counted_by_kind_with_the_first_place_and_a_remedy(spots, tmp_path, capsys):
    with (spots / "fixations.csv").open("a") as table:
        table.write("01.png,nan,4\n01.png,,4\n09.png,1,1\n" + 6 * "02.png,5000,4\n")
    (spots / "images" / "04.png").write_text("no image")
    sheet = tmp_path / "sheet.png"
    assert data.main(["check", f"folder:{spots}", "--sheet", str(sheet)]) == 1
    printed = capsys.readouterr().out
    lines = [line.split(maxsplit=1)[1] for line in printed.splitlines() if "problem" in line]
    numbers, missing, unread, outside = lines
    assert numbers.startswith("2 rows with a value that is no number, the first: ")
    assert "line 77: expected a number in the column x, got 'nan'; correct the value" in numbers
    assert missing.startswith("1 rows of images that are not there, the first: ")
    assert outside.startswith("6 fixations far outside their images, the first: ")
    assert unread.startswith("1 images that cannot be read, the first: ")
    assert sheet.exists()


def test_set_of_nothing_but_faults_is_checked_too(tmp_path, capsys):
    root = write_spots(tmp_path / "spots", count=2)
    (root / "fixations.csv").write_text("image,x,y\n00.png,nan,1\n01.png,1,nan\n")
    assert data.main(["check", f"folder:{root}"]) == 1
    assert "2 rows with a value that is no number" in capsys.readouterr().out


def test_counts_stand_beside_the_expected_ones(spots):
    rows = dict(statistics(read_dataset(f"folder:{spots}"), Expected(images=7, observers=1)))
    assert rows["images"] == "5 of 7"
    assert rows["observers"] == "1 of 1"
    assert rows["fixations on an image"] == "15"


def test_missing_images_are_a_problem_with_a_remedy(spots):
    dataset = read_dataset(f"folder:{spots}")
    (problem,) = find_problems(dataset, dataset.scenes, Expected(images=7))
    assert problem.startswith("2 of 7 published images with fixations are not there or cannot")
    assert find_problems(dataset, dataset.scenes, Expected(images=5)) == []


def test_more_images_than_published_hint_at_another_set(spots):
    dataset = read_dataset(f"folder:{spots}")
    (problem,) = find_problems(dataset, (), Expected(images=4))
    assert problem.startswith("5 images with fixations are more than the 4 published ones; check")


def test_fixations_outside_by_the_score_hint_at_photos_of_another_size(spots):
    dataset = dataclasses.replace(read_dataset(f"folder:{spots}"), excluded_count=20)
    (problem,) = find_problems(dataset, (), Expected())
    assert problem.startswith("20 of 95 fixations lie outside their photos or are no numbers;")


def test_fixations_in_one_corner_hint_at_photos_of_another_size(spots):
    scene = read_dataset(f"folder:{spots}").scenes[0]
    corner = np.random.default_rng(0).uniform(0, 0.5, (600, 2)) * (scene.width, scene.height)
    squeezed = dataclasses.replace(
        scene, fixations=corner, observers=np.zeros(len(corner), np.int64)
    )
    (problem,) = find_problems(Dataset("a", (squeezed,), 0), (), Expected())
    assert problem.startswith("no fixation lies further than 50% to the right and 50% down;")


@pytest.fixture
def mapped(tmp_path):
    """A data set of maps only, bright in one quarter."""
    root = tmp_path / "mapped"
    for folder in ("images", "maps"):
        (root / folder).mkdir(parents=True)
    for name in ("a", "b"):
        Image.new("RGB", (64, 48), (90, 90, 90)).save(root / "images" / f"{name}.jpg")
        pixels = np.zeros((48, 64), np.uint8)
        pixels[:24, :32] = 200
        Image.fromarray(pixels).save(root / "maps" / f"{name}.png")
    return root


def test_set_of_maps_only_is_looked_over(mapped, tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    assert data.main(["check", f"folder:{mapped}", "--sheet", str(sheet)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "images 2 images with fixations 0 images with maps only 2" in printed
    assert "sizes of photos with maps 1, most often 64x48 (2 images)" in printed
    assert "area of half of a map's mass 12.5% to 12.5%, 12.5%" in printed
    with Image.open(sheet) as picture:
        bright, dark = (picture.getpixel((x, y))[0] for x, y in ((40, 40), (200, 150)))
    assert bright > dark + 60


def test_maps_of_another_size_are_a_counted_problem(mapped, tmp_path, capsys):
    for path in (mapped / "maps").iterdir():
        Image.new("L", (32, 24), 9).save(path)
    sheet = tmp_path / "sheet.png"
    assert data.main(["check", f"folder:{mapped}", "--sheet", str(sheet)]) == 1
    printed = capsys.readouterr().out
    assert "2 maps that cannot be used, the first: " in printed
    assert "expected a map of 64x48 like its photo, got 32x24" in printed


def test_sheet_shows_a_fixation_where_it_is(spots):
    scene = read_dataset(f"folder:{spots}").scenes[0]
    sheet = contact_sheet([scene])[:, :280].astype(int)
    strongest = np.unravel_index((sheet.max(axis=2) - sheet.min(axis=2)).argmax(), sheet.shape[:2])
    factor = min(272 / scene.width, 192 / scene.height)
    corner = (280 - scene.width * factor) / 2, (200 - scene.height * factor) / 2
    places = scene.fixations * factor + corner
    assert np.hypot(*(places - strongest[::-1]).T).min() < 4


def test_data_that_cannot_be_read_is_one_line_and_status_1(tmp_path, capsys):
    assert data.main(["check", f"osie:{tmp_path / 'nowhere'}"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("saliency data: error: ")


def test_export_writes_what_is_read_back(spots, tmp_path, capsys):
    out = tmp_path / "out"
    assert data.main(["export", f"folder:{spots}", "--out", str(out)]) == 0
    first = read_dataset(f"folder:{spots}").scenes
    again = read_dataset(f"pysaliency:{out}").scenes
    for scene, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(scene.fixations, other.fixations)
    assert data.main(["export", f"folder:{spots}", "--out", str(out)]) == 1
    assert "exists already; overwrite it" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["check"], ["check", "x:y", "--sheet=a.doc"]])
def test_wrong_command_line_is_status_2(arguments):
    with pytest.raises(SystemExit) as caught:
        data.main(arguments)
    assert caught.value.code == 2
