"""Facts about pysaliency's files, against pysaliency itself."""

import numpy as np
import pytest
from matlab_fixtures import photo

from saliency.datasets.layouts.pysaliency_hdf5 import write_pysaliency
from saliency.datasets.layouts.registry import read_dataset
from saliency.errors import DatasetError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


@pytest.fixture
def pysaliency(monkeypatch):
    # Its release writes text by a name that NumPy 2 took away.
    monkeypatch.setattr(np, "string_", np.bytes_, raising=False)
    return pytest.importorskip("pysaliency")


@pytest.fixture
def root(tmp_path, pysaliency):
    """Two images and three scanpaths, as pysaliency writes them."""
    for name in ("a.png", "b.png"):
        photo(tmp_path / "stimuli" / name)
    files = [str(tmp_path / "stimuli" / name) for name in ("a.png", "b.png")]
    pysaliency.FileStimuli(files).to_hdf5(str(tmp_path / "stimuli.hdf5"))
    trains = pysaliency.FixationTrains.from_fixation_trains(
        [[1.5, 70], [3], [5, 6]],
        [[2, 50.25], [4], [7, 8]],
        [[0, 1], [0], [0, 1]],
        [0, 0, 1],
        [4, 5, 4],
    )
    trains.to_hdf5(str(tmp_path / "fixations.hdf5"))
    return tmp_path


def test_scanpaths_that_pysaliency_wrote_are_read(root):
    first, second = read_dataset(f"pysaliency:{root}").scenes
    np.testing.assert_array_equal(first.fixations, [(1.5, 2), (70, 50.25), (3, 4)])
    np.testing.assert_array_equal(first.observers, [4, 4, 5])
    np.testing.assert_array_equal(second.fixations, [(5, 7), (6, 8)])
    assert first.path == root / "stimuli" / "a.png"


def test_fixations_without_history_and_images_as_pixels_are_read(tmp_path, pysaliency, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pixels = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    grey = np.full((30, 20), 9, np.uint8)
    pysaliency.Stimuli([pixels, grey]).to_hdf5(str(tmp_path / "stimuli_train.hdf5"))
    fixations = pysaliency.Fixations.create_without_history([70, 3], [50, 4], [0, 1])
    fixations.to_hdf5(str(tmp_path / "fixations_train.hdf5"))
    first, second = read_dataset(f"pysaliency:{tmp_path}").scenes
    assert (first.width, first.height, second.width, second.height) == (80, 60, 20, 30)
    from saliency.photo.reading import read_photo

    assert np.array_equal(read_photo(first.path), pixels)


def test_what_is_written_pysaliency_reads_back(root, tmp_path, pysaliency):
    scenes = read_dataset(f"pysaliency:{root}").scenes
    stimuli_path, fixations_path = write_pysaliency(scenes, tmp_path / "out")
    stimuli = pysaliency.read_hdf5(str(stimuli_path))
    fixations = pysaliency.read_hdf5(str(fixations_path))
    assert [tuple(shape) for shape in stimuli.shapes] == [(60, 80, 3)] * 2
    assert stimuli.stimuli[0].shape == (60, 80, 3)
    np.testing.assert_array_equal(fixations.n, [0, 0, 0, 1, 1])
    np.testing.assert_array_equal(fixations.x, [1.5, 70, 3, 5, 6])
    np.testing.assert_array_equal(fixations.subjects, [4, 4, 5, 4, 4])


def test_what_is_written_is_read_back_the_same(root, tmp_path):
    scenes = read_dataset(f"pysaliency:{root}").scenes
    write_pysaliency(scenes, tmp_path / "out")
    for scene, other in zip(scenes, read_dataset(f"pysaliency:{tmp_path}/out").scenes, strict=True):
        np.testing.assert_array_equal(scene.fixations, other.fixations)
        np.testing.assert_array_equal(scene.observers, other.observers)


def test_image_that_was_moved_is_named(root):
    (root / "stimuli" / "b.png").unlink()
    with pytest.raises(DatasetError, match=r"b\.png: expected this image, listed in"):
        read_dataset(f"pysaliency:{root}")


def test_damaged_file_is_refused(root):
    (root / "fixations.hdf5").write_bytes(b"nothing")
    with pytest.raises(DatasetError, match=r"fixations\.hdf5 as pysaliency writes them"):
        read_dataset(f"pysaliency:{root}")


def test_folder_without_files_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"expected stimuli\.hdf5 and fixations\.hdf5"):
        read_dataset(f"pysaliency:{tmp_path}")
