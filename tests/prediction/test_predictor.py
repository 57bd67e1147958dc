import hashlib
from pathlib import Path

import numpy as np
import pytest
from runtime_fixtures import METADATA, dark_photo, write_model

from saliency.crop_windows.confidence import Calibration
from saliency.errors import CheckpointError
from saliency.prediction import shipped_models
from saliency.prediction.predictor import Predictor
from saliency.prediction.processing import predict_alike, resize_photo, working_size


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "stand-in.onnx")


@pytest.fixture(scope="module")
def predictor(model):
    return Predictor(model, threads=1)


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 3), (120, 160), (701, 333)])
@pytest.mark.parametrize("size", [None, (160, 90), (7, 400), (1, 1)])
def test_density_is_positive_and_sums_to_one(predictor, shape, size):
    photo = np.random.default_rng(0).integers(0, 256, size=(*shape, 3), dtype=np.uint8)
    density = predictor.density(photo, size=size)
    assert density.dtype == np.float32
    assert density.min() > 0
    assert density.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)  # float32 cells
    assert size is None or density.shape == size[::-1]


def test_density_is_where_the_model_says(predictor):
    photo = np.asarray(dark_photo(320, 240, bright=(240, 0, 320, 60)))
    density = predictor.density(photo)
    rows, columns = density.shape
    assert density[: rows // 4, columns * 3 // 4 :].sum() > 0.99


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("width", [1, 8, 9])
def test_mirrored_photo_gets_the_mirrored_map_of_any_network(seed, width):
    rng = np.random.default_rng(seed)
    photo = rng.integers(0, 256, size=(6, width, 3), dtype=np.uint8)
    weights = rng.random((6, width))  # of a network that is not symmetric

    def network(seen):
        return weights * seen.mean(axis=2)

    mirrored = predict_alike(network, np.ascontiguousarray(photo[:, ::-1]))
    assert mirrored.flags.c_contiguous  # torch takes no other
    np.testing.assert_array_equal(mirrored, predict_alike(network, photo)[:, ::-1])


def test_photo_with_the_brighter_left_half_is_shown_as_it_is():
    photo = np.asarray(dark_photo(32, 16, bright=(0, 0, 10, 16)))
    shown = predict_alike(lambda seen: seen[..., 0] / 2, photo)
    np.testing.assert_array_equal(shown, photo[..., 0] / 2)


def test_mirrored_photo_gets_the_mirrored_density_of_the_shipped_model():
    photo = np.random.default_rng(0).integers(0, 256, size=(96, 128, 3), dtype=np.uint8)
    photo[20:60, 90:120] = (200, 160, 140)
    shipped = Predictor(threads=1)
    mirrored = shipped.density(np.ascontiguousarray(photo[:, ::-1]))
    # Resizing rounds each pixel to whole values, not quite the same from both sides, and 8-bit
    # integers make more of such a difference. A photo seen the wrong way round differs by 0.14.
    assert np.abs(mirrored[:, ::-1] - shipped.density(photo)).sum() < 0.03


def test_calibration_is_the_one_that_the_model_carries(tmp_path):
    numbers = {"intercept": 1.5, "log_gain": 0.5, "given_up": -2.0}
    path = write_model(tmp_path / "sure.onnx", METADATA | {"calibration": numbers})
    assert Predictor(path).calibration == Calibration(**numbers)


def test_model_without_a_calibration_has_none(predictor):
    assert predictor.calibration is None


def test_damaged_calibration_is_refused(tmp_path):
    path = write_model(tmp_path / "odd.onnx", METADATA | {"calibration": {"intercept": "high"}})
    with pytest.raises(CheckpointError, match="damaged calibration; run `saliency calibrate`"):
        Predictor(path)


def test_density_too_small_for_float32_is_above_zero(tmp_path):
    photo = np.zeros((120, 160, 3), dtype=np.uint8)
    photo[:60] = 255
    steep = Predictor(write_model(tmp_path / "steep.onnx", gain=1.0))  # e^-255 beside the peak
    assert steep.density(photo).min() > 0


def test_merging_cells_adds_their_mass(predictor):
    photo = np.random.default_rng(0).integers(0, 256, size=(120, 160, 3), dtype=np.uint8)
    fine = predictor.density(photo).astype(np.float64)
    rows, columns = fine.shape
    merged = fine.reshape(rows // 8, 8, columns // 8, 8).sum(axis=(1, 3))
    coarse = predictor.density(photo, size=(columns // 8, rows // 8))
    np.testing.assert_allclose(coarse, merged, rtol=1e-5)


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 4), (0, 8, 3)])
def test_photo_of_another_shape_is_refused(predictor, shape):
    with pytest.raises(ValueError, match="expected a photo of shape"):
        predictor.density(np.zeros(shape, dtype=np.uint8))


@pytest.mark.parametrize("photo", [np.zeros((8, 8, 3), dtype=np.float32), [[[0, 0, 0]]]])
def test_photo_of_another_type_is_refused(predictor, photo):
    # TypeError comes from the types checked at run time, where they are switched on.
    with pytest.raises((ValueError, TypeError), match="photo"):
        predictor.density(photo)


@pytest.mark.parametrize("size", [(0, 4), (4, -1)])
def test_grid_without_cells_is_refused(predictor, size):
    with pytest.raises(ValueError, match="expected a size"):
        predictor.density(np.zeros((8, 8, 3), dtype=np.uint8), size=size)


def test_threads_are_not_bound_to_cores(model):
    # ONNX Runtime binds them when it is left to choose how many there are (0).
    assert Predictor(model)._session.get_session_options().intra_op_num_threads >= 1


def test_no_threads_are_refused(model):
    with pytest.raises(ValueError, match="at least 1 thread"):
        Predictor(model, threads=0)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "no saliency metadata"),
        ([], "no saliency metadata"),
        (METADATA | {"format_version": 2}, "format_version 1 .* got 2"),
        (METADATA | {"input_pixels": "many"}, "input_pixels"),
        ({"format_version": 1, "input_pixels": 100}, "size_multiple"),
    ],
)
def test_model_of_another_kind_is_refused(tmp_path, metadata, message):
    with pytest.raises(CheckpointError, match=message):
        Predictor(write_model(tmp_path / "other.onnx", metadata))


def test_file_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "model.onnx").write_text("hello")
    with pytest.raises(CheckpointError, match="expected an ONNX model"):
        Predictor(tmp_path / "model.onnx")


def test_missing_model_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no model at"):
        Predictor(str(tmp_path / "model.onnx"))


def test_folder_as_model_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="cannot read the model"):
        Predictor(tmp_path)


def test_default_model_is_loaded_when_its_checksum_agrees(tmp_path, monkeypatch):
    path = write_model(tmp_path / "default.onnx")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "default.onnx.sha256").write_text(f"{digest}  default.onnx\n")
    monkeypatch.setattr(shipped_models, "_FOLDER", tmp_path)
    assert Predictor().metadata == METADATA


def test_default_model_is_refused_when_its_checksum_differs(tmp_path, monkeypatch):
    write_model(tmp_path / "default.onnx")
    (tmp_path / "default.onnx.sha256").write_text(f"{'0' * 64}  default.onnx\n")
    monkeypatch.setattr(shipped_models, "_FOLDER", tmp_path)
    with pytest.raises(CheckpointError, match="is damaged"):
        Predictor()


PHOTO_SIZES = [(4000, 3000), (3000, 4000), (640, 427), (500, 500), (1920, 1080), (2000, 1000)]


@pytest.mark.parametrize("photo_size", PHOTO_SIZES)
@pytest.mark.parametrize("input_pixels", [76_800, 153_600])
def test_working_size_has_the_area_and_nearly_the_proportions(photo_size, input_pixels):
    width, height = working_size(photo_size, input_pixels=input_pixels, size_multiple=32)
    assert width % 32 == height % 32 == 0
    assert abs(width * height / input_pixels - 1) <= 0.15
    assert width / height == pytest.approx(photo_size[0] / photo_size[1], rel=0.07)


@pytest.mark.parametrize("photo_size", [(30_000, 20), (20, 30_000), (1, 100_000)])
def test_working_size_of_a_strip_is_one_multiple_thin_and_bounded(photo_size):
    size = working_size(photo_size, input_pixels=76_800, size_multiple=32)
    assert min(size) == 32
    assert max(size) * 32 <= 76_800 * 1.15


def test_working_size_below_one_multiple_is_one_multiple():
    assert working_size((9, 5), input_pixels=100, size_multiple=32) == (32, 32)


def test_working_size_of_a_turned_photo_is_turned():
    wide = working_size((640, 427), input_pixels=76_800, size_multiple=32)
    tall = working_size((427, 640), input_pixels=76_800, size_multiple=32)
    assert wide == tall[::-1]


def test_shrinking_a_photo_averages_areas():
    photo = np.random.default_rng(0).integers(0, 256, size=(64, 96, 3), dtype=np.uint8)
    means = photo.reshape(16, 4, 24, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(resize_photo(photo, (24, 16)), means, atol=1)  # rounded twice


@pytest.mark.parametrize("size", [(12, 200), (200, 12), (200, 200), (12, 12), (40, 30)])
def test_resized_photo_has_the_size_and_an_even_colour_stays(size):
    photo = np.full((30, 40, 3), 77, dtype=np.uint8)
    resized = resize_photo(photo, size)
    assert resized.shape == (*size[::-1], 3)
    assert (resized == 77).all()


def test_name_of_a_shipped_model_means_its_file_and_any_other_a_path(tmp_path):
    assert shipped_models.model_path(None) == shipped_models.model_path("default")
    assert shipped_models.model_path("best", ".safetensors").name == "best.safetensors"
    assert shipped_models.model_path("my.onnx") == Path("my.onnx")
    assert shipped_models.is_shipped(shipped_models.model_path("fast"))
    assert not shipped_models.is_shipped(tmp_path / "fast.onnx")
