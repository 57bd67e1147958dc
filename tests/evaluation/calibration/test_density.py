import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from training_fixtures import random_model, write_spots

from saliency.datasets.layouts.registry import read_dataset
from saliency.errors import CheckpointError
from saliency.evaluation.calibration.density import (
    UNCHANGED,
    cross_validated,
    fit_adjustment,
    mean_log_density,
    see,
    store_adjustment,
)
from saliency.model.checkpoint import load_model, read_metadata, save_model
from saliency.model.readout import ADJUSTMENT
from saliency.photo.reading import read_photo

TRUE = (1.5, 0.2, 0.6, -0.4)


def set_numbers(model, numbers):
    for name, number in zip(ADJUSTMENT, numbers, strict=True):
        getattr(model.adjustment, name).fill_(number)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    root = write_spots(tmp_path_factory.mktemp("data") / "spots", count=6)
    return read_dataset(f"folder:{root}").scenes


@pytest.fixture(scope="module")
def model():
    model = random_model()
    torch.nn.init.constant_(model.readout.sharpness.bias, 2.0)  # far from even
    return model


@pytest.fixture(scope="module")
def seen(model, scenes):
    """Return photos whose fixations are drawn from the density with the numbers `TRUE`."""
    random = np.random.default_rng(0)
    set_numbers(model, TRUE)
    drawn = []
    for one in see(model, scenes):
        with torch.inference_mode():
            adjusted = model.adjustment(one.scores, one.bias)
            share = model.density_of(adjusted, one.photo)[0].double().exp().numpy()
        places = random.choice(share.size, size=20_000, p=share.ravel() / share.sum())
        rows, columns = np.divmod(places, share.shape[1])
        drawn.append(dataclasses.replace(one, rows=rows, columns=columns))
    set_numbers(model, UNCHANGED)
    return drawn


def test_fit_finds_the_density_that_the_fixations_came_from(model, seen):
    numbers = fit_adjustment(model, seen)
    reached = mean_log_density(model, seen, numbers).mean()
    true = mean_log_density(model, seen, np.array(TRUE)).mean()
    plain = mean_log_density(model, seen, np.array(UNCHANGED)).mean()
    assert reached >= true - 1e-4
    assert reached - true < 0.02 * (true - plain)
    assert numbers[0] == pytest.approx(TRUE[0], abs=0.2)


def test_mean_log_density_is_that_of_the_model(model, seen):
    set_numbers(model, TRUE)
    with torch.inference_mode():
        log_density = model(seen[0].photo)[0].numpy()
    set_numbers(model, UNCHANGED)
    expected = log_density[seen[0].rows, seen[0].columns].mean()
    (given,) = mean_log_density(model, seen[:1], np.array(TRUE))
    assert given == pytest.approx(float(expected), abs=1e-4)


def test_photo_is_judged_by_a_fit_to_the_others(model, seen):
    numbers = fit_adjustment(model, seen)
    values = cross_validated(model, seen, numbers, folds=6)
    without_first = fit_adjustment(model, seen[1:])
    (expected,) = mean_log_density(model, seen[:1], without_first)
    assert values[0] == pytest.approx(expected, abs=1e-3)
    assert values.mean() < mean_log_density(model, seen, numbers).mean() + 1e-5
    with pytest.raises(ValueError, match="at least 2 photos"):
        cross_validated(model, seen[:1], numbers)


def test_photo_and_its_mirror_image_are_seen_alike(model, scenes, tmp_path):
    scene = scenes[0]
    photo = read_photo(scene.path)
    Image.fromarray(np.ascontiguousarray(photo[:, ::-1])).save(tmp_path / "mirrored.png")
    far = np.nextafter(scene.width, 0)
    points = np.stack([far - scene.fixations[:, 0], scene.fixations[:, 1]], axis=1)
    mirrored = dataclasses.replace(scene, path=tmp_path / "mirrored.png", fixations=points)
    one, other = see(model, [scene, mirrored])
    assert (one.photo.int() - other.photo.int()).abs().max() <= 1  # resizing rounds
    np.testing.assert_array_equal(one.rows, other.rows)
    np.testing.assert_allclose(one.columns, other.columns, atol=1)


def test_numbers_are_stored_beside_unchanged_weights(model, tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(model, path, scores={"nss": 3.0}, half=True)
    before = load_model(path).state_dict()
    store_adjustment(path, np.array(TRUE))
    after = load_model(path).state_dict()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {f"adjustment.{name}" for name in ADJUSTMENT}
    assert [float(after[f"adjustment.{name}"]) for name in ADJUSTMENT] == pytest.approx(TRUE)
    assert read_metadata(path)["scores"] == {}  # those of the density before
    assert path.stat().st_size < 1.05 * size_of_half(model, tmp_path)
    (tmp_path / "other.safetensors").write_bytes(b"no model")
    with pytest.raises(CheckpointError):
        store_adjustment(tmp_path / "other.safetensors", np.array(TRUE))


def size_of_half(model, folder):
    save_model(model, folder / "half.safetensors", half=True)
    return (folder / "half.safetensors").stat().st_size
