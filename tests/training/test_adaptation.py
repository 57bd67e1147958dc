"""Facts about fitting a data set's numbers to a model."""

import numpy as np
import pytest
from PIL import Image

from saliency.errors import DatasetError
from saliency.evaluation.reference import DatasetReference
from saliency.fixations.density import empirical_density
from saliency.fixations.scene import Scene
from saliency.model.dataset_bias_file import SetNumbers
from saliency.model.loading import at_photo_size
from saliency.training.adaptation import fit_numbers, information_gains

WIDTH, HEIGHT = 64, 48
OWN = SetNumbers(0.002, 0.6, (0.8, -0.5, -1.0, 0.0, -1.5, 0.0, 0.0, 0.0))


def spot_of(photo):
    """Return the log density of a stand-in model: a bell whose middle the first pixel names."""
    density = empirical_density(
        photo[0, :1, :2].astype(np.float64), width=WIDTH, height=HEIGHT, sigma_px=8.0
    )
    return np.log(density + 1e-5).astype(np.float32)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Photos whose fixations are drawn from what the numbers `OWN` make of the model."""
    random = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("photos")
    made = []
    for number in range(40):
        pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        pixels[0, 0, :2] = random.integers(8, (WIDTH - 8, HEIGHT - 8))
        path = folder / f"{number}.png"
        Image.fromarray(pixels).save(path)
        shares = np.exp(OWN.expect(spot_of(pixels)).astype(np.float64)).ravel()
        drawn = random.choice(shares.size, size=200, p=shares / shares.sum())
        points = np.stack([drawn % WIDTH, drawn // WIDTH], axis=1) + 0.5
        observers = np.zeros(200, np.int64)
        made.append(Scene(f"made/{number}", path, WIDTH, HEIGHT, points, observers))
    return tuple(made)


@pytest.fixture(scope="module")
def fitted(scenes):
    return fit_numbers(spot_of, scenes[:30])


def test_numbers_that_fixations_were_drawn_by_are_found(fitted):
    assert fitted.sharpness == pytest.approx(OWN.sharpness, abs=0.05)
    assert fitted.bias[:2] == pytest.approx(OWN.bias[:2], abs=0.15)
    own, found = (np.exp(numbers.expect(np.zeros((HEIGHT, WIDTH)))) for numbers in (OWN, fitted))
    assert np.abs(own - found).sum() < 0.06  # of a mass of 1


def test_own_numbers_gain_on_images_that_were_not_fitted_to(scenes, fitted):
    predictions = [at_photo_size(spot_of), at_photo_size(fitted.adapt(spot_of))]
    gains = information_gains(predictions, scenes[30:], DatasetReference(scenes))
    assert gains.shape == (10, 2)
    assert (gains[:, 1] - gains[:, 0]).mean() > 0.2


def test_blur_grows_with_the_scatter_of_fixations(scenes):
    def sure(photo):
        shares = np.full((HEIGHT, WIDTH), 1e-5)
        shares[photo[0, 0, 1], photo[0, 0, 0]] = 1
        return np.log(shares / shares.sum()).astype(np.float32)

    def blur_at(scatter_px):
        random = np.random.default_rng(1)
        scattered = []
        for scene in scenes[:4]:
            with Image.open(scene.path) as photo:
                middle = np.array(photo.getpixel((0, 0))[:2]) + 0.5
            drawn = random.normal(middle, scatter_px, (60, 2))
            points = np.clip(drawn, 0, (WIDTH - 1, HEIGHT - 1))
            observers = np.zeros(60, np.int64)
            scattered.append(Scene(scene.name, scene.path, WIDTH, HEIGHT, points, observers))
        return fit_numbers(sure, scattered).blur

    assert blur_at(0.8) > 2 * blur_at(0.0)


def test_no_image_to_fit_to_is_an_error():
    with pytest.raises(DatasetError, match="expected images to fit to, got none"):
        fit_numbers(spot_of, ())
