"""What is made of coordinates and sizes that are not what they should be, in any layout."""

import json

import h5py
import numpy as np
import pytest
from matlab_fixtures import photo
from PIL import Image

from saliency.datasets.images import load_map
from saliency.datasets.layouts.registry import read_dataset
from saliency.errors import DatasetError
from saliency.photo.reading import read_photo


def write_folder(root, points):
    photo(root / "images" / "a.png")
    rows = "".join(f"a.png,{x},{y}\n" for x, y in points)
    (root / "fixations.csv").write_text("image,x,y\n" + rows)
    return root


def test_fractions_in_place_of_pixels_are_refused_with_a_remedy(tmp_path):
    points = np.random.default_rng(0).random((24, 2))
    with pytest.raises(DatasetError, match="fractions; multiply them by the width and height"):
        read_dataset(f"folder:{write_folder(tmp_path / 'many', points)}")
    (scene,) = read_dataset(f"folder:{write_folder(tmp_path / 'few', points[:23])}").scenes
    assert len(scene.fixations) == 23
    (scene,) = read_dataset(f"folder:{write_folder(tmp_path / 'one', [*points, (9, 9)])}").scenes
    assert len(scene.fixations) == 25


def test_few_fixations_off_the_image_are_left_out_and_counted_and_many_are_refused(tmp_path):
    inside = [(x, 20) for x in range(10, 49)]
    dataset = read_dataset(f"folder:{write_folder(tmp_path / 'few', [*inside, (500, 20)])}")
    assert (len(dataset.scenes[0].fixations), dataset.excluded_count) == (39, 1)
    assert "1 fixations outside the photo" in dataset.describe()
    outside = [(500, 20)] * 3
    with pytest.raises(DatasetError, match=r"line 41 .*got \(500, 20\)"):
        read_dataset(f"folder:{write_folder(tmp_path / 'many', [*inside, *outside])}")


@pytest.mark.parametrize("stated", [(80, 60), (60, 80)])
def test_size_that_the_set_states_beats_the_orientation(tmp_path, monkeypatch, stated):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    exif = Image.Exif()
    exif[0x0112] = 6
    values = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    (tmp_path / "images").mkdir()
    Image.fromarray(values).save(tmp_path / "images" / "a.jpg", exif=exif)
    width, height = stated
    images = [{"id": 0, "file_name": "a.jpg", "width": width, "height": height}]
    table = {
        "images": images,
        "annotations": [{"image_id": 0, "worker_id": 0, "fixations": [[5, 50]]}],
    }
    (tmp_path / "fixations_train2014.json").write_text(json.dumps(table))
    (scene,) = read_dataset(f"salicon:{tmp_path}").scenes
    assert (scene.width, scene.height) == stated
    np.testing.assert_array_equal(scene.fixations, [(49.5, 4.5)])
    assert read_photo(scene.path).shape == (height, width, 3)


def test_map_in_colours_is_refused_and_one_of_three_equal_channels_is_read(tmp_path):
    levels = np.random.default_rng(0).integers(1, 255, (20, 30), np.uint8)
    Image.fromarray(levels).save(tmp_path / "grey.png")
    Image.fromarray(levels).convert("RGB").save(tmp_path / "rgb.png")
    expected = load_map(tmp_path / "grey.png", width=30, height=20)
    np.testing.assert_array_equal(load_map(tmp_path / "rgb.png", width=30, height=20), expected)
    colours = np.random.default_rng(0).integers(1, 255, (20, 30, 3), np.uint8)
    Image.fromarray(colours).save(tmp_path / "heat.png")
    with pytest.raises(DatasetError, match="one channel, without a colour map"):
        load_map(tmp_path / "heat.png", width=30, height=20)


def write_present_pysaliency(root):
    """Write one image, and two scanpaths as pysaliency writes them since 2024."""
    photo(root / "a.png")
    with h5py.File(root / "stimuli.hdf5", "w") as file:
        file["filenames"] = np.array(["a.png"], dtype=h5py.string_dtype())
        file.attrs.update(type=np.bytes_("FileStimuli"), version=np.bytes_("2.1"), size=1)
    with h5py.File(root / "fixations.hdf5", "w") as file:
        file.attrs.update(type=np.bytes_("ScanpathFixations"), version=np.bytes_("1.0"))
        paths = file.create_group("scanpaths")
        paths["xs"], paths["ys"] = [[1.5, 70], [3, np.nan]], [[2, 50], [4, np.nan]]
        paths["n"], paths["scanpath_attributes/subject"] = [0, 0], [7, 9]
    return root


def test_scanpath_fixations_of_pysaliency_are_read(tmp_path):
    (scene,) = read_dataset(f"pysaliency:{write_present_pysaliency(tmp_path)}").scenes
    np.testing.assert_array_equal(scene.fixations, [(1.5, 2), (70, 50), (3, 4)])
    np.testing.assert_array_equal(scene.observers, [7, 7, 9])


def test_fixations_of_pysaliency_name_their_observers_in_either_way(tmp_path):
    root = write_present_pysaliency(tmp_path)
    with h5py.File(root / "fixations.hdf5", "w") as file:
        file.attrs.update(type=np.bytes_("Fixations"), version=np.bytes_("1.2"))
        file["x"], file["y"], file["n"] = [1.5, 3], [2.0, 4], [0, 0]
        file["subject"] = np.array(["eve", "adam"], dtype=h5py.string_dtype())
    (scene,) = read_dataset(f"pysaliency:{root}").scenes
    np.testing.assert_array_equal(scene.fixations, [(1.5, 2), (3, 4)])
    np.testing.assert_array_equal(scene.observers, [1, 0])
