"""Facts about the plain form: images and one table."""

from collections import Counter

import cv2
import numpy as np
import pytest
from PIL import Image

from saliency.datasets.images import load_map
from saliency.datasets.layouts.registry import read_dataset
from saliency.errors import DatasetError


def write_folder(root, table, images=("a.png", "b.png"), *, encoding="utf-8"):
    for name in images:
        path = root / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (80, 60)).save(path)
    (root / "fixations.csv").write_text(table, encoding=encoding)
    return root


def read(root):
    return read_dataset(f"folder:{root}")


def test_rows_become_scenes_named_after_the_folder(tmp_path):
    root = write_folder(tmp_path / "mine", "image,x,y\nb.png,1,2\na.png,3.5,4\nb.png,5,6\n")
    dataset = read(root)
    assert dataset.name == "mine"
    assert [scene.name for scene in dataset.scenes] == ["mine/a.png", "mine/b.png"]
    np.testing.assert_array_equal(dataset.scenes[0].fixations, [(3.5, 4)])
    np.testing.assert_array_equal(dataset.scenes[1].fixations, [(1, 2), (5, 6)])


def test_same_label_is_the_same_observer_in_every_image(tmp_path):
    table = "image,x,y,observer,duration_ms\na.png,1,1,eve,200\na.png,2,2,bob,\nb.png,3,3,bob,90\n"
    first, second = read(write_folder(tmp_path, table)).scenes
    np.testing.assert_array_equal(first.observers, [0, 1])
    np.testing.assert_array_equal(second.observers, [1])


def test_columns_may_stand_in_any_order(tmp_path):
    (scene,) = read(write_folder(tmp_path, "y,image,x\n2,a.png,1\n")).scenes
    np.testing.assert_array_equal(scene.fixations, [(1, 2)])


def test_table_from_a_spreadsheet_is_read(tmp_path):
    table = "image,x,y\r\na.png,1,2\r\n\r\n"
    dataset = read(write_folder(tmp_path, table, encoding="utf-8-sig"))
    assert len(dataset.scenes) == 1


def test_images_may_lie_in_folders(tmp_path):
    table = "image,x,y\ncats/a.png,1,2\n"
    (scene,) = read(write_folder(tmp_path, table, images=["cats/a.png"])).scenes
    assert scene.name.endswith("/cats/a.png")


def test_image_without_rows_is_left_out_and_named(tmp_path):
    dataset = read(write_folder(tmp_path, "image,x,y\na.png,1,2\n"))
    assert dataset.unseen == ("b.png",)


def test_size_is_that_of_the_upright_photo(tmp_path):
    root = write_folder(tmp_path, "image,x,y\na.jpg,30,75\n", images=[])
    exif = Image.Exif()
    exif[0x0112] = 6
    (root / "images").mkdir()
    Image.new("RGB", (80, 60)).save(root / "images" / "a.jpg", exif=exif)
    (scene,) = read(root).scenes
    assert (scene.width, scene.height) == (60, 80)


def test_first_corner_of_the_image_is_zero_and_its_far_border_is_clipped(tmp_path):
    dataset = read(write_folder(tmp_path, "image,x,y\na.png,0,0\na.png,80,60\n"))
    np.testing.assert_array_equal(dataset.scenes[0].fixations, [(0, 0), (79.5, 59.5)])
    assert dataset.clipped_count == 1


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "image,x,y\na.png,1,2\nc.png,1,2\n",
            r"line 3: expected the path of an image in .*'c.png'",
        ),
        ("image,x,y\n../a.png,1,2\n", r"line 2: expected the path of an image"),
        (
            "image,x,y\na.png,1,2\na.png,900,2\na.png,1,999\n",
            r"line 3 \(a\.png\): .*got \(900, 2\).*`saliency data check folder:.*all 2 faults",
        ),
        ("image,x,y\na.png,left,2\n", r"line 2: expected a number in the column x, got 'left'"),
        ("image,x,y\na.png,1,nan\n", r"line 2: expected a number in the column y, got 'nan'"),
        ("image,x,y\na.png,1,\n", r"line 2: expected a number in the column y, got ''"),
        ("image,x,y\n,1,2\n", r"line 2: expected a value in the column image"),
        ("image,x,y\na.png,1\n", r"line 2: expected the 3 values image,x,y, got 2"),
        ("image,x,y,observer\na.png,1,2,\n", r"line 2: expected a value in the column observer"),
        ("image,x,y,duration_ms\na.png,1,2,long\n", r"line 2: expected a number .* duration_ms"),
        (
            "image;x;y\na.png;1;2\n",
            r"line 1: expected the header image,x,y.*separate them by commas",
        ),
        ("image,x\na.png,1\n", r"line 1: expected the header"),
        ("image,x,y,Observer\na.png,1,2,eve\n", r"line 1: expected the header"),
        ("image,x,y,x\na.png,1,2,3\n", r"line 1: expected the header"),
        ("image,x,y\n", "at least one fixation"),
        ("", r"line 1: expected the header"),
        ('image,x,y\n"a.png,1,2\n', "expected a comma-separated table"),
    ],
)
def test_faulty_table_is_refused_with_its_line(tmp_path, table, message):
    with pytest.raises(DatasetError, match=rf"fixations\.csv.*{message}"):
        read(write_folder(tmp_path, table))


def test_every_faulty_row_is_counted_where_none_is_refused(tmp_path):
    rows = ("a.png,1,nan", "a.png,5,6", "b.png,,2", "c.png,1,2", "a.png,-900,2", "a.png,1", ",1,2")
    root = write_folder(tmp_path, "\n".join(("image,x,y", *rows)) + "\n")
    dataset = read_dataset(f"folder:{root}", refuse_faults=False)
    assert Counter(fault.kind for fault in dataset.faults) == {
        "rows with a value that is no number": 2,
        "rows of images that are not there": 1,
        "fixations far outside their images": 1,
        "rows of another length than the header": 1,
        "rows without a value": 1,
    }
    (scene,) = dataset.scenes
    np.testing.assert_array_equal(scene.fixations, [(5, 6)])
    assert dataset.unseen == ("b.png",)


def test_table_in_another_encoding_is_refused(tmp_path):
    root = write_folder(tmp_path, "image,x,y,observer\na.png,1,2,Zoë\n", encoding="latin-1")
    with pytest.raises(DatasetError, match="save it as CSV UTF-8"):
        read(root)


@pytest.mark.parametrize(
    ("missing", "message"),
    [("fixations.csv", "expected a table of fixations"), ("images", "expected a folder of images")],
)
def test_missing_part_of_the_folder_is_named(tmp_path, missing, message):
    root = write_folder(tmp_path, "image,x,y\na.png,1,2\n")
    (root / missing).rename(root / "elsewhere")
    with pytest.raises(DatasetError, match=f"{missing}: {message}"):
        read(root)


def write_map(root, name, levels):
    path = root / "maps" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), levels)
    return path


BRIGHT_RIGHT = np.repeat([[0] * 40 + [200] * 40], 60, axis=0)


def test_map_stands_for_a_photo_without_rows(tmp_path):
    root = write_folder(tmp_path / "mine", "image,x,y\na.png,1,2\n")
    path = write_map(root, "b.png", BRIGHT_RIGHT.astype(np.uint8))
    dataset = read(root)
    assert [scene.name for scene in dataset.scenes] == ["mine/a.png"]
    (mapped,) = dataset.mapped
    assert (mapped.name, mapped.density) == ("mine/b.png", path)
    assert dataset.unseen == ()
    assert "1 images with density maps only" in dataset.describe()


def test_with_maps_the_table_may_be_missing(tmp_path):
    root = write_folder(tmp_path, "")
    (root / "fixations.csv").unlink()
    write_map(root, "b.png", BRIGHT_RIGHT.astype(np.uint8))
    dataset = read(root)
    assert (len(dataset.scenes), len(dataset.mapped), dataset.unseen) == (0, 1, ("a.png",))


def test_map_of_no_photo_is_refused(tmp_path):
    root = write_folder(tmp_path, "image,x,y\na.png,1,2\n")
    write_map(root, "c.png", BRIGHT_RIGHT.astype(np.uint8))
    with pytest.raises(DatasetError, match=r"c\.png: expected the map of one image .* none"):
        read(root)


def test_map_of_two_photos_of_one_name_is_refused(tmp_path):
    root = write_folder(tmp_path, "image,x,y\na.png,1,2\n", images=["a.png", "b.png", "b.jpg"])
    write_map(root, "b.png", BRIGHT_RIGHT.astype(np.uint8))
    with pytest.raises(DatasetError, match=r"b\.png: expected the map of one .* b\.jpg and b\.png"):
        read(root)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_map_becomes_a_density(tmp_path, dtype):
    path = write_map(tmp_path, "a.png", BRIGHT_RIGHT.astype(dtype))
    density = load_map(path, width=80, height=60)
    assert density.sum() == pytest.approx(1, abs=1e-5)
    assert density[:, : density.shape[1] // 2].sum() == 0


def test_large_map_is_kept_coarse(tmp_path):
    path = write_map(tmp_path, "a.png", np.full((600, 800), 9, np.uint8))
    assert load_map(path, width=800, height=600).shape == (96, 128)


@pytest.mark.parametrize(
    ("levels", "message"),
    [(np.ones((60, 79), np.uint8), "got 79x60"), (np.zeros((60, 80), np.uint8), "black all over")],
)
def test_map_that_is_no_density_of_the_photo_is_refused(tmp_path, levels, message):
    path = write_map(tmp_path, "a.png", levels)
    with pytest.raises(DatasetError, match=rf"a\.png: expected .*{message}"):
        load_map(path, width=80, height=60)


def test_map_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="expected a picture of a density"):
        load_map(tmp_path / "nowhere.png", width=8, height=6)
