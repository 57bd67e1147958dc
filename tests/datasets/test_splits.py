"""Facts about the names of data sets and the rule that splits them."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from saliency.datasets.layouts.registry import read_dataset
from saliency.datasets.splits import select, split, split_folds, split_scenes
from saliency.errors import DatasetError
from saliency.fixations.scene import Scene


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


def test_eyecrowd_is_parted_as_it_was_when_the_shipped_models_learned_from_it(scenes):
    renamed = {
        name: [replace(scene, name=f"{name}/{scene.name.split('/')[-1]}") for scene in scenes]
        for name in ("eyecrowd", "osie")
    }
    parts = [
        {scene.name.split("/")[-1] for scene in split_scenes(renamed[name], "validation")}
        for name in ("eyecrowd", "osie")
    ]
    assert parts[0] == parts[1] != set()


def test_part_of_an_image_does_not_depend_on_the_others(scenes):
    validation = set(split_scenes(scenes, "validation"))
    assert set(split_scenes(scenes[::3], "validation")) == validation & set(scenes[::3])


def test_all_is_every_scene_in_order(scenes):
    assert split_scenes(scenes, "all") == scenes


def test_unknown_part_is_refused(scenes):
    # Where types are checked at run time, that check comes first.
    with pytest.raises((ValueError, TypeCheckError), match="'test'"):
        split_scenes(scenes[:1], "test")


def test_each_scene_is_tested_on_in_one_fold_and_learned_from_in_the_others(scenes):
    parts = [split_folds(scenes, folds=5, fold=fold) for fold in range(1, 6)]
    tested = [scene.name for _, test in parts for scene in test]
    assert sorted(tested) == sorted(scene.name for scene in scenes)
    for train, test in parts:
        assert {scene.name for scene in train}.isdisjoint(scene.name for scene in test)
        assert len(train) + len(test) == len(scenes)


def test_folds_are_about_equal(scenes):
    # Binomial with p = 0.2: four deviations are 72 of 2000.
    for fold in range(1, 6):
        assert len(split_folds(scenes, folds=5, fold=fold)[1]) == pytest.approx(400, abs=72)


def test_fold_of_an_image_does_not_depend_on_the_others(scenes):
    _, tested = split_folds(scenes, folds=5, fold=2)
    _, of_some = split_folds(scenes[::3], folds=5, fold=2)
    assert set(of_some) == set(tested) & set(scenes[::3])


def test_every_fold_leaves_images_for_validation(scenes):
    for fold in range(1, 11):
        train, _ = split_folds(scenes, folds=10, fold=fold)
        assert len(split_scenes(train, "validation")) == pytest.approx(270, abs=60)


@pytest.mark.parametrize(("folds", "fold"), [(1, 1), (5, 0), (5, 6)])
def test_fold_that_is_not_there_is_refused(scenes, folds, fold):
    with pytest.raises(ValueError, match=f"got {folds}, {fold}"):
        split_folds(scenes, folds=folds, fold=fold)


@pytest.mark.parametrize("spec", ["osie", "osie:", "films:somewhere", ":somewhere", ""])
def test_spec_that_names_no_layout_and_path_is_refused_with_those_there_are(spec):
    with pytest.raises(DatasetError, match=r"LAYOUT one of cat2000, .*toronto, got"):
        read_dataset(spec)


def test_path_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DatasetError, match="nowhere: expected the folder of the data set 'osie'"):
        read_dataset(f"osie:{tmp_path / 'nowhere'}")


def published(number, part):
    nothing = (np.empty((0, 2)), np.empty(0, np.int64))
    name = f"toy/{number}.jpg"
    return Scene(name, Path(name), 8, 6, *nothing, published_part=part)


def test_published_parts_are_those_of_the_data_set():
    scenes = [published(1, "validation"), published(2, "train"), published(3, "train")]
    parts = split(scenes, parts="published")
    assert [scene.name for scene in parts.train] == ["toy/2.jpg", "toy/3.jpg"]
    assert [scene.name for scene in parts.validation] == ["toy/1.jpg"]
    assert parts.test == ()
    assert select(scenes, "validation", parts="published") == parts.validation


def test_data_set_without_published_parts_is_refused(scenes):
    with pytest.raises(DatasetError, match=r"toy/0.jpg: .* leave out --parts"):
        split(scenes, parts="published")


@pytest.fixture
def judd():
    """Return 1,003 scenes whose natural order is that of their numbers."""
    nothing = (np.empty((0, 2)), np.empty(0, np.int64))
    names = [f"mit1003/i{number}.jpeg" for number in range(1003)]
    return tuple(Scene(name, Path(name), 8, 6, *nothing) for name in sorted(names))


def test_published_folds_cover_mit1003_once(judd):
    tested = []
    for fold in range(1, 11):
        parts = split(judd, parts="published", fold=(10, fold))
        assert set(parts.train) | set(parts.validation) | set(parts.test) == set(judd)
        assert len(parts.train) + len(parts.validation) + len(parts.test) == len(judd)
        tested += parts.test
    assert sorted(scene.name for scene in tested) == [scene.name for scene in judd]
    assert parts.validation == split(judd, parts="published", fold=(10, 9)).test


def test_published_folds_are_runs_of_the_shuffled_natural_order(judd):
    order = list(range(1003))
    np.random.RandomState(42).shuffle(order)
    expected = {f"mit1003/i{number}.jpeg" for number in order[101:202]}
    test = split(judd, parts="published", fold=(10, 2)).test
    assert {scene.name for scene in test} == expected


@pytest.mark.parametrize(("count", "folds"), [(1003, 5), (1002, 10)])
def test_folds_that_nobody_published_are_refused(judd, count, folds):
    with pytest.raises(DatasetError, match="leave out --parts published"):
        split(judd[:count], parts="published", fold=(folds, 1))
