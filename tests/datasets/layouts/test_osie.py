"""Facts about the layout of OSIE and EyeCrowd, on files in the exact published structure."""

from collections import Counter

import numpy as np
import pytest
import scipy.io
from conftest import SHARED, needs_shared
from PIL import Image

from saliency.datasets.layouts.registry import read_dataset
from saliency.datasets.splits import split_scenes
from saliency.errors import DatasetError

TWO_VIEWINGS = [[(1, 1), (80, 60)], [(40.5, 30.25)]]


def row_vector(values):
    return np.array(values, np.float64).reshape(1, -1)


def viewing(points):
    """One observer's struct; MATLAB writes an empty viewing as three 0x0 arrays."""
    if not points:
        empty = np.zeros((0, 0))
        return {"fix_x": empty, "fix_y": empty, "fix_duration": empty}
    x, y = zip(*points, strict=True)
    durations = np.full((1, len(points)), 200, np.uint16)
    return {"fix_x": row_vector(x), "fix_y": row_vector(y), "fix_duration": durations}


def cells(items):
    column = np.empty((len(items), 1), object)
    column[:, 0] = items
    return column


def write_dataset(root, viewings_of_image, *, on_disk=None, subjects_of=None):
    """Write photos of 80x60 px and a cell array of structs; `subjects_of` may spoil the structs."""
    (root / "data" / "stimuli").mkdir(parents=True)
    (root / "data" / "eye").mkdir()
    for name in viewings_of_image if on_disk is None else on_disk:
        Image.new("RGB", (80, 60)).save(root / "data" / "stimuli" / name)
    build = subjects_of or (lambda viewings: cells([viewing(points) for points in viewings]))
    images = [{"img": name, "subjects": build(v)} for name, v in viewings_of_image.items()]
    save_structs(root, cells(images))
    return root


def save_structs(root, structs):
    scipy.io.savemat(root / "data" / "eye" / "fixations.mat", {"fixations": structs})


def read(root):
    return read_dataset(f"osie:{root}")


def test_scene_holds_all_observers_fixations_in_corner_coordinates(tmp_path):
    (scene,) = read(write_dataset(tmp_path, {"1.png": TWO_VIEWINGS})).scenes
    assert (scene.name, scene.width, scene.height) == ("osie/1.png", 80, 60)
    np.testing.assert_array_equal(scene.fixations, [(0.5, 0.5), (79.5, 59.5), (40.0, 29.75)])
    np.testing.assert_array_equal(scene.observers, [0, 0, 1])


def test_empty_viewing_keeps_the_numbers_of_the_observers_after_it(tmp_path):
    (scene,) = read(write_dataset(tmp_path, {"1.png": [[(5, 5)], [], [(6, 6)]]})).scenes
    np.testing.assert_array_equal(scene.observers, [0, 2])


def test_viewing_in_an_empty_cell_keeps_the_numbers_too(tmp_path):
    def with_empty_cell(viewings):
        return cells([viewing(points) if points else np.zeros((0, 0)) for points in viewings])

    viewings = {"1.png": [[(5, 5)], [], [(6, 6)]]}
    (scene,) = read(write_dataset(tmp_path, viewings, subjects_of=with_empty_cell)).scenes
    np.testing.assert_array_equal(scene.observers, [0, 2])


def test_single_observer_with_a_single_fixation_is_read_like_many(tmp_path):
    (scene,) = read(write_dataset(tmp_path, {"1.png": [[(5, 6)]]})).scenes
    np.testing.assert_array_equal(scene.fixations, [(4.5, 5.5)])


def test_struct_arrays_read_as_cell_arrays_of_structs_do(tmp_path):
    def struct_array(viewings):
        fields = [("fix_x", object), ("fix_y", object), ("fix_duration", object)]
        array = np.empty((1, len(viewings)), fields)
        for index, points in enumerate(viewings):
            array[0, index] = tuple(viewing(points).values())
        return array

    names = {"1.png": TWO_VIEWINGS, "2.png": [[(3, 3)]]}
    from_cells = read(write_dataset(tmp_path / "cells", names))
    from_array = read(write_dataset(tmp_path / "array", names, subjects_of=struct_array))
    for scene, other in zip(from_cells.scenes, from_array.scenes, strict=True):
        np.testing.assert_array_equal(scene.fixations, other.fixations)
        np.testing.assert_array_equal(scene.observers, other.observers)


def test_scenes_stand_in_the_order_of_the_matlab_file(tmp_path):
    dataset = read(write_dataset(tmp_path, {"b.png": TWO_VIEWINGS, "a.png": TWO_VIEWINGS}))
    assert [scene.path.name for scene in dataset.scenes] == ["b.png", "a.png"]


def test_images_that_nobody_fixated_are_left_out_and_named(tmp_path):
    viewings = {"1.png": TWO_VIEWINGS, "2.png": [[], []]}
    root = write_dataset(tmp_path, viewings, on_disk=["1.png", "2.png", "unlisted.png"])
    dataset = read(root)
    assert [scene.path.name for scene in dataset.scenes] == ["1.png"]
    assert set(dataset.unseen) == {"2.png", "unlisted.png"}
    assert "2 images without fixations left out" in dataset.describe()


def test_coordinates_just_outside_are_clipped_and_counted(tmp_path):
    dataset = read(write_dataset(tmp_path, {"1.png": [[(0, 30), (81, 30), (5, 5)]]}))
    np.testing.assert_array_equal(dataset.scenes[0].fixations[:, 0], [0.5, 79.5, 4.5])
    assert dataset.clipped_count == 2
    assert "2 fixations just outside moved" in dataset.describe()


@pytest.mark.parametrize(("layout", "degree_px"), [("osie", 24.0), ("eyecrowd", 26.0)])
def test_degree_of_visual_angle_is_that_of_the_authors(tmp_path, layout, degree_px):
    root = write_dataset(tmp_path, {"1.png": TWO_VIEWINGS})
    assert read_dataset(f"{layout}:{root}").scenes[0].sigma_px == degree_px


@needs_shared
@pytest.mark.parametrize(
    ("layout", "images", "fixations", "observers", "validation_images"),
    [("osie", 600, 84_232, 15, 87), ("eyecrowd", 400, 101_073, 16, 53)],
)
def test_published_set_is_read_whole(layout, images, fixations, observers, validation_images):
    dataset = read_dataset(f"{layout}:{SHARED / layout}")
    assert len(dataset.scenes) == images
    assert sum(len(scene.fixations) for scene in dataset.scenes) == fixations
    assert max(scene.observers.max() for scene in dataset.scenes) == observers - 1
    assert (dataset.clipped_count, dataset.unseen) == (0, ())
    assert len(split_scenes(dataset.scenes, "validation")) == validation_images


class TestFaults:
    """Each names the file, the place in it and what to do."""

    def test_image_that_is_listed_but_missing(self, tmp_path):
        viewings = {"1.png": TWO_VIEWINGS, "2.png": TWO_VIEWINGS}
        root = write_dataset(tmp_path, viewings, on_disk=["1.png"])
        with pytest.raises(
            DatasetError, match=r"2\.png: expected this image, .*row 2 of .*fixations\.mat.*unpack"
        ):
            read(root)

    def test_image_that_is_not_one(self, tmp_path):
        root = write_dataset(tmp_path, {"1.png": TWO_VIEWINGS})
        (root / "data" / "stimuli" / "1.png").write_text("no image")
        with pytest.raises(DatasetError, match=r"1\.png: expected an image.*download it again"):
            read(root)

    def test_image_that_is_listed_twice(self, tmp_path):
        root = write_dataset(tmp_path, {"1.png": TWO_VIEWINGS, "2.png": TWO_VIEWINGS})
        twin = {"img": "1.png", "subjects": cells([viewing([(1, 1)])])}
        save_structs(root, cells([twin, twin]))
        with pytest.raises(
            DatasetError, match=r"expected each image once, got 1\.png in the rows \[1, 2\]"
        ):
            read(root)

    @pytest.mark.parametrize("value", [85.0, -4.0, float("nan")])
    def test_fixation_far_outside(self, tmp_path, value):
        root = write_dataset(tmp_path, {"1.png": [[(5, 5)], [(5, 5), (value, 30)]]})
        with pytest.raises(
            DatasetError, match=rf"image 1\.png, observer 2, fixation 2: .*got \({value:g}, 30\)"
        ):
            read(root)

    def test_all_are_counted_where_none_is_refused(self, tmp_path):
        nan = float("nan")
        viewings = {"1.png": [[(nan, 5), (5, 5), (5, nan)], [(900, 5)]], "2.png": [[(nan, nan)]]}
        root = write_dataset(tmp_path, {**viewings, "3.png": TWO_VIEWINGS, "4.png": TWO_VIEWINGS})
        records = scipy.io.loadmat(root / "data" / "eye" / "fixations.mat")["fixations"]
        twin = {"img": "3.png", "subjects": cells([viewing([(1, 1)])])}
        save_structs(root, cells([*records.ravel(), twin]))
        (root / "data" / "stimuli" / "4.png").unlink()
        dataset = read_dataset(f"osie:{root}", refuse_faults=False)
        assert Counter(fault.kind for fault in dataset.faults) == {
            "fixations that are no numbers": 3,
            "fixations far outside their images": 1,
            "images listed more than once": 1,
            "listed images that are not there": 1,
        }
        first, third = dataset.scenes
        np.testing.assert_array_equal(first.fixations, [(4.5, 4.5)])
        np.testing.assert_array_equal(first.observers, [0])
        assert len(third.fixations) == 3
        assert dataset.unseen == ("2.png",)
        with pytest.raises(DatasetError, match=r"fixation 1: .*`saliency data check osie:.*all 6"):
            read(root)

    def test_vectors_of_unequal_length(self, tmp_path):
        def unequal(viewings):
            return cells([viewing(viewings[0]) | {"fix_y": row_vector([1.0])}])

        root = write_dataset(tmp_path, {"1.png": TWO_VIEWINGS}, subjects_of=unequal)
        with pytest.raises(
            DatasetError, match=r"image 1\.png, observer 1: expected as many .* got 2 and 1"
        ):
            read(root)

    def test_text_for_numbers(self, tmp_path):
        def text(viewings):
            return cells([viewing(viewings[0]) | {"fix_x": "12"}])

        root = write_dataset(tmp_path, {"1.png": TWO_VIEWINGS}, subjects_of=text)
        with pytest.raises(DatasetError, match=r"observer 1, fix_x: expected a vector of numbers"):
            read(root)

    def test_struct_without_its_fields(self, tmp_path):
        root = write_dataset(tmp_path, {"1.png": TWO_VIEWINGS})
        save_structs(root, cells([{"name": "1.png"}]))
        with pytest.raises(
            DatasetError, match=r"fixations\.mat, row 1: expected a struct with the field `img`"
        ):
            read(root)

    def test_matlab_file_of_something_else(self, tmp_path):
        root = write_dataset(tmp_path, {"1.png": TWO_VIEWINGS})
        scipy.io.savemat(root / "data" / "eye" / "fixations.mat", {"gaze": [1.0]})
        with pytest.raises(DatasetError, match="expected a struct array `fixations`"):
            read(root)

    @pytest.mark.parametrize("kept_share", [0.0, 0.05, 0.5, 0.95])
    def test_matlab_file_that_is_cut_off(self, tmp_path, kept_share):
        root = write_dataset(tmp_path, {"1.png": TWO_VIEWINGS, "2.png": TWO_VIEWINGS})
        mat = root / "data" / "eye" / "fixations.mat"
        content = mat.read_bytes()
        mat.write_bytes(content[: int(len(content) * kept_share)])
        with pytest.raises(DatasetError, match=r"fixations\.mat: expected"):
            read(root)

    @pytest.mark.parametrize("missing", ["eye/fixations.mat", "stimuli/1.png"])
    def test_archive_that_was_unpacked_by_half(self, tmp_path, missing):
        root = write_dataset(tmp_path, {"1.png": TWO_VIEWINGS})
        (root / "data" / missing).unlink()
        with pytest.raises(DatasetError, match="whole archive"):
            read(root)

    def test_folder_of_something_else(self, tmp_path):
        with pytest.raises(
            DatasetError, match=r"stimuli: expected a folder of images, found none; check the path"
        ):
            read(tmp_path)
