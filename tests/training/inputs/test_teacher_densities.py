import numpy as np
import pytest
from runtime_fixtures import METADATA, dark_photo, opened, write_model

from saliency.errors import CheckpointError, PhotoError
from saliency.prediction.predictor import Predictor
from saliency.training.inputs.teacher_densities import (
    load_densities,
    mean_densities,
    save_densities,
)


@pytest.fixture
def photos(tmp_path):
    dark_photo(160, 120, bright=(20, 20, 60, 60)).save(tmp_path / "a.png")
    dark_photo(90, 200, bright=(50, 120, 80, 180)).save(tmp_path / "b.png")
    return [tmp_path / "a.png", tmp_path / "b.png"]


@pytest.fixture
def models(tmp_path):
    """Two models that disagree, of different input sizes."""
    larger = {**METADATA, "input_pixels": 4 * METADATA["input_pixels"]}
    return [
        write_model(tmp_path / "bright.onnx"),
        write_model(tmp_path / "dark.onnx", larger, gain=-0.02),
    ]


def test_density_is_the_mean_of_the_models(photos, models):
    densities = mean_densities(photos, models)
    for path, density in zip(photos, densities, strict=True):
        photo = np.asarray(opened(path))
        rows, columns = density.shape
        each = [Predictor(model).density(photo, size=(columns, rows)) for model in models]
        np.testing.assert_allclose(density, (each[0] + each[1]) / 2, rtol=1e-5)


def test_density_sums_to_one_in_single_precision(photos, models):
    for density in mean_densities(photos, models):
        assert density.dtype == np.float32
        assert density.sum() == pytest.approx(1, abs=1e-5)


def test_grid_is_a_quarter_of_the_first_models_input(photos, models):
    predictor = Predictor(models[0])
    for path, density in zip(photos, mean_densities(photos, models), strict=True):
        columns, rows = predictor.input_size(opened(path).size)
        assert density.shape == (rows // 4, columns // 4)


def test_bright_part_is_where_a_teacher_of_brightness_looks(photos, models):
    (density,) = mean_densities(photos[:1], models[:1])
    row, column = np.unravel_index(density.argmax(), density.shape)
    x, y = (column + 0.5) / density.shape[1] * 160, (row + 0.5) / density.shape[0] * 120
    assert 20 < x < 60
    assert 20 < y < 60


def test_photo_that_cannot_be_read_is_named(tmp_path, models):
    (tmp_path / "text.jpg").write_text("no photo")
    with pytest.raises(PhotoError, match=r"text\.jpg"):
        mean_densities([tmp_path / "text.jpg"], models)


def test_teacher_that_is_missing_is_named(photos, tmp_path):
    with pytest.raises(CheckpointError, match=r"none\.onnx"):
        mean_densities(photos, [tmp_path / "none.onnx"])


@pytest.fixture
def densities():
    random = np.random.default_rng(0)
    return [random.random((3 + count, 4)).astype(np.float32) for count in range(12)]


def test_densities_survive_the_disk_in_their_order(densities, tmp_path):
    save_densities(densities, tmp_path / "teacher.npz")
    loaded = load_densities(tmp_path / "teacher.npz", count=12)
    assert all(np.array_equal(a, b) for a, b in zip(loaded, densities, strict=True))


def test_file_of_densities_of_other_photos_is_refused(densities, tmp_path):
    save_densities(densities, tmp_path / "teacher.npz")
    with pytest.raises(CheckpointError, match=r"expected 11 densities .* got 12: the data has"):
        load_densities(tmp_path / "teacher.npz", count=11)


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04", b"\x93NUMPY\x01"])
def test_damaged_file_of_densities_is_named(content, tmp_path):
    (tmp_path / "teacher.npz").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"cannot read .*teacher\.npz"):
        load_densities(tmp_path / "teacher.npz", count=1)


def test_file_of_densities_with_a_flipped_bit_is_named(densities, tmp_path):
    save_densities(densities, tmp_path / "teacher.npz")
    content = bytearray((tmp_path / "teacher.npz").read_bytes())
    content[200] ^= 1
    (tmp_path / "teacher.npz").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"cannot read .*teacher\.npz"):
        load_densities(tmp_path / "teacher.npz", count=12)
