"""Facts about the layouts of published sets, each on files in the exact published structure."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from matlab_fixtures import column_of, photo, struct_array, write_v73
from PIL import Image
from scipy.io import savemat

from saliency.datasets.layouts.cat2000 import inner_box
from saliency.datasets.layouts.registry import read_dataset
from saliency.errors import DatasetError

SALICON_PHOTO = "COCO_train2014_000000000009"


def marks(points, *, width=80, height=60):
    matrix = np.zeros((height, width), np.uint8)
    for x, y in points:
        matrix[y, x] = 1
    return matrix


def only_scene(layout, root):
    (scene,) = read_dataset(f"{layout}:{root}").scenes
    return scene


def salicon_gaze(*viewings):
    viewings = [np.array(points, np.float64).reshape(-1, 2) for points in viewings]
    mouse = {"location": np.ones((9, 2)), "timestamp": np.arange(9.0)[:, None]}
    return struct_array([{**mouse, "fixations": points} for points in viewings]).T


def write_salicon(root, *, contents):
    photo(root / "images" / "train" / f"{SALICON_PHOTO}.jpg")
    photo(root / "images" / "test" / "COCO_test2014_000000000001.jpg")
    (root / "fixations" / "train").mkdir(parents=True)
    savemat(root / "fixations" / "train" / f"{SALICON_PHOTO}.mat", contents)
    return root


def write_cat2000(root):
    """An image of 80x60 of which 10 columns at either side are grey."""
    pixels = np.full((60, 80, 3), 126, np.uint8)
    pixels[:, 10:70] = np.random.default_rng(0).integers(0, 255, (60, 60, 3))
    path = root / "trainSet" / "Stimuli" / "Action" / "001.jpg"
    path.parent.mkdir(parents=True)
    Image.fromarray(pixels).save(path, quality=100, subsampling=0)
    mat = root / "trainSet" / "FIXATIONLOCS" / "Action" / "001.mat"
    mat.parent.mkdir(parents=True)
    savemat(mat, {"fixLocs": marks([(12, 5), (3, 3), (69, 59)])})
    return root


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "saliency"


class TestSalicon:
    def test_fixations_are_read_from_one_struct_for_each_observer(self, tmp_path):
        contents = {
            "image": SALICON_PHOTO,
            "resolution": np.array([[60, 80]], np.uint16),
            "gaze": salicon_gaze([(1, 1), (80, 60)], [], [(40, 30)]),
        }
        root = write_salicon(tmp_path, contents=contents)
        scene = only_scene("salicon", root)
        assert scene.name == f"salicon/{SALICON_PHOTO}.jpg"
        np.testing.assert_array_equal(scene.fixations, [(0.5, 0.5), (79.5, 59.5), (39.5, 29.5)])
        np.testing.assert_array_equal(scene.observers, [0, 0, 2])
        assert read_dataset(f"salicon:{root}").unseen == ("COCO_test2014_000000000001.jpg",)

    def test_older_form_holds_row_and_column(self, tmp_path):
        photo(tmp_path / "images" / "train" / f"{SALICON_PHOTO}.jpg")
        image = {"id": 9, "file_name": f"{SALICON_PHOTO}.jpg", "width": 80, "height": 60}
        annotations = [
            {"id": 1, "image_id": 9, "worker_id": 55, "fixations": [[1, 80], [60, 2]]},
            {"id": 2, "image_id": 9, "worker_id": 7, "fixations": []},
            {"id": 3, "image_id": 9, "worker_id": 55, "fixations": [[5, 5]]},
        ]
        table = {"info": {}, "images": [image], "annotations": annotations}
        (tmp_path / "fixations_train2014.json").write_text(json.dumps(table))
        scene = only_scene("salicon", tmp_path)
        np.testing.assert_array_equal(scene.fixations, [(79.5, 0.5), (1.5, 59.5), (4.5, 4.5)])
        np.testing.assert_array_equal(scene.observers, [0, 0, 0])

    def test_map_stands_for_a_photo_without_fixations(self, tmp_path):
        root = write_salicon(tmp_path, contents={"gaze": salicon_gaze([(1, 1)])})
        photo(root / "images" / "val" / "COCO_val2014_000000000007.jpg")
        photo(root / "maps" / "val" / "COCO_val2014_000000000007.png")
        (mapped,) = read_dataset(f"salicon:{root}").mapped
        assert mapped.name == "salicon/COCO_val2014_000000000007.jpg"
        assert mapped.published_part == "validation"

    @pytest.mark.parametrize(
        ("place", "part"),
        [
            ("train/1.jpg", "train"),
            ("val/1.jpg", "validation"),
            ("COCO_val2014_1.jpg", "validation"),
        ],
    )
    def test_published_part_is_that_of_folder_or_name(self, tmp_path, place, part):
        photo(tmp_path / "images" / place)
        (tmp_path / "fixations").mkdir()
        mat = tmp_path / "fixations" / f"{Path(place).stem}.mat"
        savemat(mat, {"gaze": salicon_gaze([(1, 1)])})
        assert only_scene("salicon", tmp_path).published_part == part

    def test_photo_that_is_missing_is_named(self, tmp_path):
        root = write_salicon(tmp_path, contents={"gaze": salicon_gaze([(1, 1)])})
        (root / "images" / "train" / f"{SALICON_PHOTO}.jpg").unlink()
        with pytest.raises(DatasetError, match=rf"{SALICON_PHOTO}\.jpg: .*unpack the whole"):
            read_dataset(f"salicon:{root}")

    def test_struct_without_gaze_is_refused(self, tmp_path):
        root = write_salicon(tmp_path, contents={"image": "x"})
        with pytest.raises(DatasetError, match="field `gaze`"):
            read_dataset(f"salicon:{root}")

    def test_without_fixations_the_archive_to_unpack_is_named(self, tmp_path):
        photo(tmp_path / "images" / "train" / f"{SALICON_PHOTO}.jpg")
        with pytest.raises(DatasetError, match="unpack the archive of fixations"):
            read_dataset(f"salicon:{tmp_path}")

    def test_older_form_that_is_damaged_is_refused(self, tmp_path):
        photo(tmp_path / "images" / "train" / f"{SALICON_PHOTO}.jpg")
        (tmp_path / "fixations_train2014.json").write_text('{"images": [{"id": 3}')
        with pytest.raises(DatasetError, match="as JSON, got a file that cannot be read"):
            read_dataset(f"salicon:{tmp_path}")


class TestCat2000:
    def test_grey_border_is_cut_off_and_fixations_on_it_are_left_out(self, tmp_path, cache):
        root = write_cat2000(tmp_path)
        dataset = read_dataset(f"cat2000:{root}")
        (scene,) = dataset.scenes
        assert (scene.name, scene.width, scene.height) == ("cat2000/Action/001.jpg", 60, 60)
        np.testing.assert_array_equal(np.sort(scene.fixations[:, 0]), [2.5, 59.5])
        assert dataset.excluded_count == 1
        assert "1 fixations outside the photo" in dataset.describe()
        with (
            Image.open(scene.path) as inner,
            Image.open(root / "trainSet" / "Stimuli" / "Action" / "001.jpg") as whole,
        ):
            assert np.array_equal(np.array(inner), np.array(whole)[:, 10:70])

    def test_cut_out_pictures_are_made_again_when_the_cache_is_gone(self, tmp_path, cache):
        root = write_cat2000(tmp_path)
        first = only_scene("cat2000", root)
        for path in (cache / "cat2000").iterdir():
            path.write_bytes(b"damaged") if path.suffix == ".json" else path.unlink()
        assert only_scene("cat2000", root).path == first.path
        assert first.path.is_file()

    @pytest.mark.parametrize("grey", [118, 134])
    def test_border_of_another_grey_is_cut_off_too(self, grey):
        pixels = np.full((60, 80, 3), grey, np.uint8)
        pixels[20:50, 10:70] = np.random.default_rng(0).integers(0, 255, (30, 60, 3))
        assert inner_box(pixels) == (10, 20, 70, 50)

    def test_dark_picture_has_no_border(self):
        pixels = np.full((60, 80, 3), 20, np.uint8)
        pixels[20:50, 10:70] = 200
        assert inner_box(pixels) == (0, 0, 80, 60)

    @pytest.mark.parametrize("missing", ["Stimuli/Action/001.jpg", "FIXATIONLOCS/Action/001.mat"])
    def test_archive_that_was_unpacked_by_half_is_counted(self, tmp_path, cache, missing):
        root = write_cat2000(tmp_path)
        for folder, ending in (("Stimuli", "jpg"), ("FIXATIONLOCS", "mat")):
            there = root / "trainSet" / folder / "Action" / f"001.{ending}"
            shutil.copy(there, there.with_stem("002"))
        (root / "trainSet" / missing).unlink()
        with pytest.raises(DatasetError, match=rf"1 of them are missing, the first .*{missing};"):
            read_dataset(f"cat2000:{root}")

    def test_matrix_of_another_size_is_refused(self, tmp_path, cache):
        root = write_cat2000(tmp_path)
        mat = root / "trainSet" / "FIXATIONLOCS" / "Action" / "001.mat"
        savemat(mat, {"fixLocs": marks([(1, 1)], width=79)})
        with pytest.raises(
            DatasetError, match=r"001\.mat: expected a matrix of 80x60 .* got 79x60"
        ):
            read_dataset(f"cat2000:{root}")


class TestMatrices:
    def test_toronto_marks_the_pixels_of_all_observers(self, tmp_path):
        folder = tmp_path / "eyetrackingdata" / "fixdens"
        photo(folder / "Original Image Set" / "1.jpg")
        photo(folder / "Original Image Set" / "2.jpg")
        white = column_of([marks([(4, 9)]), marks([(79, 59), (0, 0)])]).T
        savemat(folder / "origfixdata.mat", {"white": white})
        first, second = read_dataset(f"toronto:{tmp_path}").scenes
        np.testing.assert_array_equal(first.fixations, [(4.5, 9.5)])
        np.testing.assert_array_equal(second.fixations, [(0.5, 0.5), (79.5, 59.5)])

    def test_toronto_matrix_of_another_size_is_refused(self, tmp_path):
        photo(tmp_path / "Original Image Set" / "1.jpg")
        white = column_of([marks([(4, 9)], height=59)])
        savemat(tmp_path / "origfixdata.mat", {"white": white})
        with pytest.raises(DatasetError, match=r"image 1: expected a map of 80x60 .* got 80x59"):
            read_dataset(f"toronto:{tmp_path}")

    def test_pascal_s_lists_y_x_observer_in_version_73(self, tmp_path):
        photo(tmp_path / "datasets" / "imgs" / "pascal" / "1.jpg")
        (tmp_path / "datasets" / "fixations").mkdir()
        listed = np.array([[60, 80, 1], [1, 2, 3.0]])
        write_v73(tmp_path / "datasets" / "fixations" / "pascalFix.mat", {"fixCell": [listed]})
        scene = only_scene("pascal-s", tmp_path)
        np.testing.assert_array_equal(scene.fixations, [(79.5, 59.5), (1.5, 0.5)])
        np.testing.assert_array_equal(scene.observers, [0, 2])

    def test_dut_omron_begins_with_the_size_of_the_image(self, tmp_path):
        photo(tmp_path / "DUT-OMRON-image" / "im005.jpg")
        mats = tmp_path / "DUT-OMRON-eye-fixations" / "mat"
        mats.mkdir(parents=True)
        listed = np.array([[80, 60, 0], [0, 59, 1], [79, 0, 2]], np.uint16)
        savemat(mats / "im005.mat", {"s": listed})
        scene = only_scene("dut-omron", tmp_path)
        np.testing.assert_array_equal(scene.fixations, [(0.5, 59.5), (79.5, 0.5)])
        np.testing.assert_array_equal(scene.observers, [0, 1])

    def test_figrim_gives_first_viewings_of_those_who_saw_the_photo(self, tmp_path):
        def user(trial, first, later):
            fixations = {"enc": np.array(first), "rec": np.array(later), "rec2": np.zeros((0, 0))}
            return {"trial": trial, "fixations": fixations, "SDT": np.array([[1, 4, 4]])}

        absent = user(np.zeros((0, 0)), np.zeros((0, 0)), np.zeros((0, 0)))
        users = [absent, user(np.array([[3]]), [(5.0, 6.0)], [(7.0, 8.0)])]
        for kind, mat in (("Targets", "release"), ("Fillers", "fillers")):
            photo(tmp_path / kind / "kitchen" / f"{mat}.jpg")
            image = {"filename": f"{mat}.jpg", "category": "kitchen"}
            images = struct_array([{**image, "userdata": struct_array(users)}])
            savemat(tmp_path / f"allImages_{mat}.mat", {"allImages": images})
        scenes = read_dataset(f"figrim:{tmp_path}").scenes
        assert [scene.name for scene in scenes] == ["figrim/release.jpg", "figrim/fillers.jpg"]
        for scene in scenes:
            np.testing.assert_array_equal(scene.fixations, [(5, 6)])
            np.testing.assert_array_equal(scene.observers, [1])


class TestScanpaths:
    def scanpath(self, name, subject, xs, ys):
        common = {"condition": "freeview", "split": "train", "length": len(xs)}
        return {"name": name, "subject": subject, "X": xs, "Y": ys, "T": [200] * len(xs), **common}

    def test_all_observers_of_a_photo_are_taken_together(self, tmp_path):
        photo(tmp_path / "images" / "bottle" / "a.jpg")
        table = [self.scanpath("a.jpg", 3, [1.5, 2.0], [3, 4]), self.scanpath("a.jpg", 5, [9], [8])]
        (tmp_path / "COCOFreeView_fixations_trainval.json").write_text(json.dumps(table))
        scene = only_scene("coco-freeview", tmp_path)
        np.testing.assert_array_equal(scene.fixations, [(1.5, 3), (2, 4), (9, 8)])
        np.testing.assert_array_equal(scene.observers, [3, 3, 5])

    def test_search18_joins_its_tables_and_the_tasks_on_a_photo(self, tmp_path):
        photo(tmp_path / "images" / "bottle" / "a.jpg")
        photo(tmp_path / "coco_search18_images_TA" / "car" / "a.jpg")
        for part, x in (("TP_train_split1", 10), ("TA_trainval", 20)):
            table = [{**self.scanpath("a.jpg", 1, [x], [5]), "task": "bottle", "correct": 1}]
            path = tmp_path / f"coco_search18_fixations_{part}.json"
            path.write_text(json.dumps(table))
        scene = only_scene("coco-search18", tmp_path)
        np.testing.assert_array_equal(np.sort(scene.fixations[:, 0]), [10, 20])

    @pytest.mark.parametrize(
        ("splits", "part"),
        [(["train"], "train"), (["valid"], "validation"), (["train", "valid"], "validation")],
    )
    def test_published_part_is_that_of_the_scanpaths(self, tmp_path, splits, part):
        photo(tmp_path / "a.jpg")
        table = [{**self.scanpath("a.jpg", 1, [5], [5]), "split": each} for each in splits]
        (tmp_path / "COCOFreeView_fixations_trainval.json").write_text(json.dumps(table))
        assert only_scene("coco-freeview", tmp_path).published_part == part

    def test_fixations_outside_and_not_a_number_are_left_out_and_counted(self, tmp_path):
        photo(tmp_path / "a.jpg")
        table = [self.scanpath("a.jpg", 1, [float("nan"), -3, 900, 7], [1, 1, 1, 7])]
        (tmp_path / "COCOFreeView_fixations_trainval.json").write_text(json.dumps(table))
        dataset = read_dataset(f"coco-freeview:{tmp_path}")
        np.testing.assert_array_equal(dataset.scenes[0].fixations, [(7, 7)])
        assert dataset.excluded_count == 3

    def test_pictures_of_one_name_and_missing_ones_are_refused_or_counted(self, tmp_path):
        for name in ("a.jpg", "b.jpg"):
            photo(tmp_path / "images" / "bottle" / name)
            photo(tmp_path / "images" / "car" / name, colour=(0, 0, 0))
        names = ("a.jpg", "b.jpg", "c.jpg", "c.jpg", "d.jpg")
        table = [self.scanpath(name, 1, [2], [3]) for name in names]
        (tmp_path / "COCOFreeView_fixations_trainval.json").write_text(json.dumps(table))
        with pytest.raises(DatasetError, match=r"expected one picture of this name, got another"):
            read_dataset(f"coco-freeview:{tmp_path}")
        dataset = read_dataset(f"coco-freeview:{tmp_path}", refuse_faults=False)
        kinds = [fault.kind for fault in dataset.faults]
        assert kinds == 2 * ["different images of one name"] + 2 * [
            "listed images that are not there"
        ]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("[", "as JSON"),
            ("{}", "a list of scanpaths, got dict"),
            ('[{"name": "a.jpg", "subject": 1, "X": [1], "Y": [1, 2]}]', "scanpath 1: expected"),
            ('[{"name": "b.jpg", "subject": 1, "X": [1], "Y": [1]}]', r"b\.jpg: expected this"),
        ],
    )
    def test_faulty_table_is_refused(self, tmp_path, content, message):
        photo(tmp_path / "a.jpg")
        (tmp_path / "COCOFreeView_fixations_trainval.json").write_text(content)
        with pytest.raises(DatasetError, match=message):
            read_dataset(f"coco-freeview:{tmp_path}")
