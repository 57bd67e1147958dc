"""Facts about the form of FixaTons: which rows count, what is left out, what is at fault."""

import numpy as np
import pytest
from matlab_fixtures import photo

from saliency.datasets.layouts.registry import read_dataset
from saliency.errors import DatasetError


def write_set(root, viewings, name="street"):
    root.mkdir(parents=True, exist_ok=True)
    photo(root / "STIMULI" / f"{name}.jpeg")
    folder = root / "SCANPATHS" / name
    folder.mkdir(parents=True)
    for observer, text in viewings.items():
        (folder / observer).write_text(text)
    return root


def test_first_row_and_fixations_outside_are_left_out(tmp_path):
    root = write_set(
        tmp_path / "MIT1003",
        {"ajs": "5 5 0.0 0.3\n7.5 3.2 0.4 0.5\n9999 3 0.6 0.7\n", "CNG": "1 1 0 1\n"},
    )
    dataset = read_dataset(f"fixatons:{root}")
    (scene,) = dataset.scenes
    assert scene.name == "mit1003/street.jpeg"
    np.testing.assert_allclose(scene.fixations, [(7.5, 3.2)])
    assert dataset.excluded_count == 1


def test_observers_keep_their_number_on_every_image(tmp_path):
    root = write_set(tmp_path / "set", {"a": "1 1 0 1\n2 2 1 2\n", "b": "1 1 0 1\n3 3 1 2\n"})
    write_set(root, {"b": "1 1 0 1\n4 4 1 2\n"}, name="beach")
    of_name = {
        scene.name: scene.observers.tolist() for scene in read_dataset(f"fixatons:{root}").scenes
    }
    assert of_name == {"set/beach.jpeg": [1], "set/street.jpeg": [0, 1]}


def test_damaged_viewing_and_missing_image_are_named(tmp_path):
    root = write_set(tmp_path / "set", {"a": "1 1 0 1\n2 2 1 2\n", "b": "1 1\n"})
    (root / "SCANPATHS" / "gone").mkdir()
    kinds = [fault.kind for fault in read_dataset(f"fixatons:{root}", refuse_faults=False).faults]
    assert kinds == ["viewings that are not a table", "listed images that are not there"]


def test_folder_above_the_sets_is_explained(tmp_path):
    write_set(tmp_path / "SIENA12", {"a": "1 1 0 1\n2 2 1 2\n"})
    with pytest.raises(DatasetError, match=r"name one of its data sets, such as .*SIENA12"):
        read_dataset(f"fixatons:{tmp_path}")
