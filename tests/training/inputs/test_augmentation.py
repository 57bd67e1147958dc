"""Facts about augmentation: what is drawn into a photo is found again where its fixation went."""

import random

import albumentations
import cv2
import numpy as np
import pytest

from saliency.training.inputs.augmentation import (
    AspectCrop,
    Augmentation,
    colour_transforms,
    geometry_transforms,
)

SEEDS = range(12)
SIZES = [(96, 128), (128, 96), (100, 100), (210, 280)]


def draw_spot(point, *, width=240, height=180, sigma=3.0):
    """Return a photo that is dark but for a soft spot around a point."""
    x, y = point
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    spot = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    return np.repeat((40 + 180 * spot).astype(np.uint8)[..., None], 3, axis=2)


def find_spot(photo):
    """Return (x, y) of the middle of the bright spot, from the corner of the first pixel."""
    grey = photo.astype(np.float64).reshape(*photo.shape[:2], -1).mean(axis=2)
    excess = np.maximum(grey - (grey.max() + np.median(grey)) / 2, 0)
    rows, columns = np.indices(grey.shape) + 0.5
    return np.array([(columns * excess).sum(), (rows * excess).sum()]) / excess.sum()


def is_well_inside(points, photo, margin=14):
    height, width = photo.shape[:2]
    return (
        len(points) == 1
        and ((points[0] > margin) & (points[0] < (width, height) - np.array(margin))).all()
    )


def apply_always(transform, photo, point, seed):
    transform.p = 1.0
    pipeline = albumentations.Compose(
        [albumentations.NoOp(), transform],
        keypoint_params=albumentations.KeypointParams(format="xy"),
        seed=seed,
    )
    varied = pipeline(image=photo, keypoints=np.array([point]))
    return varied["image"], np.asarray(varied["keypoints"]).reshape(-1, 2)


def name_of(transform):
    return type(transform).__name__


@pytest.mark.parametrize(
    "transform", geometry_transforms(120, 160) + colour_transforms(1.0), ids=name_of
)
def test_spot_goes_where_its_fixation_goes_in_each_transform(transform):
    compared_count = 0
    for seed in SEEDS:
        point = np.random.default_rng(seed).uniform((40, 40), (200, 140))
        photo, points = apply_always(transform, draw_spot(point), point, seed)
        if is_well_inside(points, photo):
            compared_count += 1
            # Half a pixel; what is found has the error of 8-bit values and of noise.
            np.testing.assert_allclose(find_spot(photo), points[0], atol=0.5)
    assert compared_count >= len(SEEDS) // 2


@pytest.mark.parametrize("size", SIZES)
def test_spot_goes_where_its_fixation_goes_through_all_geometry(size):
    augment = Augmentation(strength=0.0)
    compared_count = 0
    for seed in range(30):
        generator = np.random.default_rng(seed)
        point = generator.uniform((40, 40), (200, 140))
        varied = augment(draw_spot(point), point[None], size=size, generator=generator)
        assert varied.photo.shape == (*size, 3)
        if is_well_inside(varied.fixations, varied.photo):
            compared_count += 1
            # A tenth of a pixel: nothing but resampling of 8-bit values comes between.
            np.testing.assert_allclose(find_spot(varied.photo), varied.fixations[0], atol=0.1)
    assert compared_count >= 10


def test_spot_goes_where_its_fixation_goes_at_full_strength():
    augment = Augmentation(strength=2.0)
    compared_count = 0
    for seed in range(30):
        generator = np.random.default_rng(seed)
        point = generator.uniform((40, 40), (200, 140))
        varied = augment(draw_spot(point), point[None], size=(180, 240), generator=generator)
        if is_well_inside(varied.fixations, varied.photo):
            compared_count += 1
            np.testing.assert_allclose(find_spot(varied.photo), varied.fixations[0], atol=0.5)
    assert compared_count >= 10


@pytest.mark.parametrize("grid", [(180, 240), (45, 60), (360, 480)])
def test_density_follows_the_fixations_and_sums_to_one(grid):
    point = np.array([100.0, 80.0])
    density = draw_spot(point, sigma=12.0)[..., 0].astype(np.float32) - 40
    density = cv2.resize(density, grid[::-1], interpolation=cv2.INTER_AREA)
    compared_count = 0
    for seed in SEEDS:
        generator = np.random.default_rng(seed)
        varied = Augmentation()(
            draw_spot(point), point[None], size=(96, 128), generator=generator, density=density
        )
        assert varied.density.shape == (96, 128)
        assert varied.density.dtype == np.float32
        assert varied.density.sum() == pytest.approx(1.0, abs=1e-4)
        if is_well_inside(varied.fixations, varied.photo):
            compared_count += 1
            np.testing.assert_allclose(find_spot(varied.density), varied.fixations[0], atol=0.5)
    assert compared_count >= len(SEEDS) // 2


def test_density_without_mass_in_the_crop_becomes_even():
    density = np.zeros((60, 80), np.float32)
    photo = np.zeros((60, 80, 3), np.uint8)
    generator = np.random.default_rng(0)
    varied = Augmentation()(
        photo, np.array([(40.0, 30.0)]), size=(30, 40), generator=generator, density=density
    )
    np.testing.assert_allclose(varied.density, 1 / 1200)


@pytest.fixture
def example():
    generator = np.random.default_rng(3)
    photo = generator.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    return photo, generator.uniform(0, (80, 60), (40, 2))


def vary(augment, example, seed, size=(48, 64)):
    return augment(*example, size=size, generator=np.random.default_rng(seed))


def test_variant_follows_from_the_generator_alone(example):
    augment = Augmentation(strength=2.0)
    expected = [vary(augment, example, seed) for seed in SEEDS]
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 (the global state is what must not matter)
    vary(augment, example, 99)
    for seed in reversed(SEEDS):
        again = vary(Augmentation(strength=2.0), example, seed)
        np.testing.assert_array_equal(again.photo, expected[seed].photo)
        np.testing.assert_array_equal(again.fixations, expected[seed].fixations)


def test_variants_of_one_generator_differ(example):
    generator = np.random.default_rng(0)
    augment = Augmentation()
    first, second = (augment(*example, size=(48, 64), generator=generator) for _ in range(2))
    assert not np.array_equal(first.photo, second.photo)


def test_augmentation_leaves_its_arguments_alone(example):
    photo, fixations = (array.copy() for array in example)
    for seed in SEEDS:
        vary(Augmentation(strength=2.0), example, seed)
    np.testing.assert_array_equal(example[0], photo)
    np.testing.assert_array_equal(example[1], fixations)


def test_transforms_draw_independently_of_each_other():
    # Were each transform seeded alike, one rare transform would imply every likelier one.
    photo = np.zeros((24, 32, 3), np.uint8)
    photo[..., 0] = 200
    fixations = np.array([(14.0, 12.0), (18.0, 12.0)])
    generator = np.random.default_rng(0)
    augment = Augmentation(strength=2.0)
    is_flipped = []
    for _ in range(400):
        varied = augment(photo, fixations, size=(24, 32), generator=generator)
        is_grey = np.ptp(varied.photo.astype(int), axis=2).max() <= 3
        if is_grey and len(varied.fixations) == 2:
            is_flipped.append(varied.fixations[0, 0] > varied.fixations[1, 0])
    assert 0.2 < np.mean(is_flipped) < 0.8


def test_fixations_on_the_first_corner_survive_a_flip():
    photo = np.zeros((60, 80, 3), np.uint8)
    flip = geometry_transforms(60, 80)[-1]
    _, points = apply_always(flip, photo, (0.0, 0.0), seed=0)
    assert points[0, 0] == pytest.approx(80, abs=1e-4)
    assert points[0, 0] < 80


def test_variant_keeps_a_fixation_wherever_they_lie():
    photo = np.zeros((60, 200, 3), np.uint8)
    fixations = np.array([(2.0, 2.0), (198.0, 58.0)])
    for seed in range(40):
        varied = vary(Augmentation(strength=0.0), (photo, fixations), seed, size=(64, 48))
        assert len(varied.fixations) >= 1


def test_variant_of_a_photo_without_fixations_has_none():
    varied = vary(Augmentation(), (np.zeros((60, 80, 3), np.uint8), np.empty((0, 2))), seed=0)
    assert varied.fixations.shape == (0, 2)


def test_crops_keep_the_proportions_and_the_stated_share_of_the_photo():
    crop = albumentations.Compose([AspectCrop(300, 200)], seed=0)
    photo = np.zeros((600, 800, 3), np.uint8)
    shares = []
    for _ in range(400):
        height, width = crop(image=photo, keypoints=np.empty((0, 2)))["image"].shape[:2]
        assert width == pytest.approx(height * 2 / 3, abs=1)
        shares.append(height * width / (600 * 400))
    # Rounding to whole pixels moves the share by less than half a percent.
    assert min(shares) == pytest.approx(0.6, abs=0.01)
    assert max(shares) == 1
    # Binomial with p = 0.4: three deviations are 0.07.
    assert np.mean(np.array(shares) == 1) == pytest.approx(0.4, abs=0.08)


@pytest.mark.parametrize("strength", [-0.1, 2.1, float("nan")])
def test_strength_out_of_range_is_refused(strength):
    with pytest.raises(ValueError, match="strength from 0 to 2"):
        Augmentation(strength=strength)


def test_size_without_pixels_is_refused(example):
    with pytest.raises(ValueError, match="at least 1 px"):
        vary(Augmentation(), example, seed=0, size=(0, 10))
