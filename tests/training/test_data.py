import dataclasses

import numpy as np
import pytest
from PIL import Image
from runtime_fixtures import dark_photo, write_model
from training_fixtures import read_training_data, write_spots

from saliency.datasets.dataset import MappedPhoto
from saliency.training import data as training_data
from saliency.training.data import gather_sources


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return read_training_data(write_spots(tmp_path_factory.mktemp("data") / "spots", count=8))


@pytest.fixture
def taught(data, tmp_path):
    """The same scenes, and a photo without fixations, with a teacher for both."""
    dark_photo(90, 60, bright=(0, 0, 9, 9)).save(tmp_path / "photo.png")
    model = write_model(tmp_path / "teacher.onnx")
    return dataclasses.replace(data, photos=(tmp_path / "photo.png",), teachers=(model,))


def test_scenes_for_validation_are_not_learned(data, tmp_path):
    learned = {source.path for source in gather_sources(data, cache=tmp_path / "teacher.npz")}
    assert learned == {scene.path for scene in data.train}
    assert learned.isdisjoint(scene.path for scene in data.validation)


def test_without_teachers_scenes_have_their_fixations_only(data, tmp_path):
    sources = gather_sources(data, cache=tmp_path / "teacher.npz")
    for source, scene in zip(sources, data.train, strict=True):
        assert np.array_equal(source.fixations, scene.fixations)
        assert (source.width, source.height) == (scene.width, scene.height)
        assert source.teacher is None


def test_photo_with_a_map_is_learned_from_the_map(data, tmp_path):
    dark_photo(90, 60, bright=(0, 0, 9, 9)).save(tmp_path / "photo.png")
    levels = np.zeros((60, 90), np.uint8)
    levels[:, 45:] = 100
    Image.fromarray(levels).save(tmp_path / "map.png")
    mapped = MappedPhoto("set/photo.png", tmp_path / "photo.png", tmp_path / "map.png")
    sources = gather_sources(
        dataclasses.replace(data, mapped=(mapped,)), cache=tmp_path / "teacher.npz"
    )
    assert len(sources) == len(data.train) + 1
    assert sources[-1].path == mapped.path
    assert len(sources[-1].fixations) == 0
    assert sources[-1].teacher[:, :44].sum() == 0
    assert sources[-1].teacher.sum() == pytest.approx(1, abs=1e-5)


def test_teachers_see_scenes_and_photos(taught, tmp_path):
    *of_scenes, of_photo = gather_sources(taught, cache=tmp_path / "teacher.npz")
    assert [source.path for source in of_scenes] == [scene.path for scene in taught.train]
    assert of_photo.path == taught.photos[0]
    assert len(of_photo.fixations) == 0
    for source in (*of_scenes, of_photo):
        assert source.teacher.sum() == pytest.approx(1, abs=1e-5)


def test_a_guide_is_asked_about_variants_later_and_not_about_photos_now(taught, tmp_path):
    distilled = dataclasses.replace(taught, teachers=(tmp_path / "teacher_model.safetensors",))
    assert distilled.teacher_model == tmp_path / "teacher_model.safetensors"
    *of_scenes, of_photo = gather_sources(distilled, cache=tmp_path / "teacher.npz")
    assert [source.path for source in of_scenes] == [scene.path for scene in taught.train]
    assert of_photo.path == taught.photos[0]
    assert len(of_photo.fixations) == 0
    assert all(source.teacher is None for source in (*of_scenes, of_photo))
    assert taught.teacher_model is None


def test_a_guide_beside_other_teachers_is_refused(taught, tmp_path):
    with pytest.raises(ValueError, match="as the only teacher, got 2"):
        dataclasses.replace(
            taught, teachers=(*taught.teachers, tmp_path / "teacher_model.safetensors")
        )


def test_photos_without_teachers_are_refused(taught):
    with pytest.raises(ValueError, match="expected teachers for the 1 photos"):
        dataclasses.replace(taught, teachers=())


def test_teachers_are_asked_once_for_a_run_and_its_resumption(taught, tmp_path, monkeypatch):
    first = gather_sources(taught, cache=tmp_path / "teacher.npz")
    monkeypatch.setattr(training_data, "mean_densities", lambda *_: pytest.fail("asked again"))
    again = gather_sources(taught, cache=tmp_path / "teacher.npz")
    for source, other in zip(first, again, strict=True):
        assert np.array_equal(source.teacher, other.teacher)
