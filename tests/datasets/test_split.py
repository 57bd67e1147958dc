"""Facts about the names of data sets and the rule that splits them."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from saliency.datasets import read_dataset, split_scenes
from saliency.errors import DatasetError
from saliency.fixations import Scene


@pytest.fixture
def scenes():
    nothing = (np.empty((0, 2)), np.empty(0, np.int64))
    names = [f"toy/{number}.jpg" for number in range(2000)]
    return tuple(Scene(name, Path(name), 8, 6, *nothing) for name in names)


def test_parts_are_disjoint_and_make_up_the_whole(scenes):
    train = {scene.name for scene in split_scenes(scenes, "train")}
    validation = {scene.name for scene in split_scenes(scenes, "validation")}
    assert not train & validation
    assert train | validation == {scene.name for scene in scenes}


def test_about_fifteen_percent_are_for_validation(scenes):
    # Binomial with p = 0.15: three deviations are 48 of 2000.
    assert len(split_scenes(scenes, "validation")) == pytest.approx(300, abs=48)


def test_part_of_an_image_follows_from_the_hash_of_its_name(scenes):
    def is_validation(name):
        return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % 100 < 15

    validation = [scene.name for scene in split_scenes(scenes, "validation")]
    assert validation == [scene.name for scene in scenes if is_validation(scene.name)]


def test_part_of_an_image_does_not_depend_on_the_others(scenes):
    validation = set(split_scenes(scenes, "validation"))
    assert set(split_scenes(scenes[::3], "validation")) == validation & set(scenes[::3])


def test_all_is_every_scene_in_order(scenes):
    assert split_scenes(scenes, "all") == scenes


def test_unknown_part_is_refused(scenes):
    # Where types are checked at run time, that check comes first.
    with pytest.raises((ValueError, TypeCheckError), match="'test'"):
        split_scenes(scenes[:1], "test")


@pytest.mark.parametrize("spec", ["osie", "osie:", "salicon:somewhere", ":somewhere", ""])
def test_spec_that_names_no_layout_and_path_is_refused_with_those_there_are(spec):
    with pytest.raises(DatasetError, match="LAYOUT one of eyecrowd, folder, osie, got"):
        read_dataset(spec)


def test_path_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DatasetError, match="nowhere: expected the folder of the data set 'osie'"):
        read_dataset(f"osie:{tmp_path / 'nowhere'}")
