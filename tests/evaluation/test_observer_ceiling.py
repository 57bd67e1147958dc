import numpy as np
import pytest

from saliency.errors import DatasetError
from saliency.evaluation.observer_ceiling import Ceiling, Mixture, others_density
from saliency.evaluation.reference import DatasetReference
from saliency.fixations.center_bias import Smoothing
from saliency.fixations.scene import Scene

SMOOTHING = Smoothing(bandwidth=0.05, uniform_share=0.01)
WIDTH, HEIGHT, DEGREE_PX = 80, 60, 4.0


def make_scenes(tmp_path_factory, *, spread_px, count=8, observer_count=4):
    """Scenes whose observers look at one place, with a spread; without one, anywhere."""
    random = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("none")
    scenes = []
    for number in range(count):
        place = random.uniform(0.2, 0.8, size=2) * (WIDTH, HEIGHT)
        fixations = random.uniform(size=(6 * observer_count, 2)) * (WIDTH, HEIGHT)
        if spread_px is not None:
            around = random.normal(place, spread_px, size=fixations.shape)
            fixations = np.clip(around, 0.5, (WIDTH - 0.5, HEIGHT - 0.5))
        observers = np.repeat(np.arange(observer_count), 6)
        path = folder / f"{number}.png"
        scenes.append(
            Scene(f"set/{number}.png", path, WIDTH, HEIGHT, fixations, observers, DEGREE_PX)
        )
    return scenes


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return make_scenes(tmp_path_factory, spread_px=4)


@pytest.fixture(scope="module")
def reference(scenes):
    return DatasetReference(scenes, smoothing=SMOOTHING)


@pytest.fixture(scope="module")
def ceiling(scenes, reference):
    return Ceiling(scenes, reference)


def test_observers_who_agree_predict_each_other(scenes, reference, ceiling):
    scores = ceiling(scenes[0], reference.of(scenes[0]))
    assert scores.information_gain_bits > 1
    assert scores.auc > 0.9
    assert (scores.cc, scores.kl_divergence, scores.similarity) == (None, None, None)
    assert 0 <= scores.judd_auc - scores.auc < 0.05  # its lines cut corners between fixations


def test_mixture_finds_the_spread_of_the_fixations(ceiling):
    for mixture in ceiling.mixtures:
        assert 0.6 < mixture.blur < 1.7  # drawn with a deviation of one degree
        assert mixture.observers > 0.8
        assert mixture.observers + mixture.center_bias + mixture.uniform == pytest.approx(1)


def test_observers_who_look_anywhere_say_little_of_each_other(tmp_path_factory):
    scenes = make_scenes(tmp_path_factory, spread_px=None)
    reference = DatasetReference(scenes, smoothing=SMOOTHING)
    ceiling = Ceiling(scenes, reference)
    gains = [ceiling(scene, reference.of(scene)).information_gain_bits for scene in scenes]
    assert np.mean(gains) < 0.5


def test_image_takes_no_part_in_fitting_its_own_mixture(scenes, reference, ceiling):
    changed = list(scenes)
    one = scenes[0]
    middle = np.full_like(one.fixations, 30.5)
    changed[0] = Scene(one.name, one.path, WIDTH, HEIGHT, middle, one.observers, DEGREE_PX)
    again = Ceiling(changed, reference).mixtures
    assert again[0] == ceiling.mixtures[0]
    assert again[1] != ceiling.mixtures[1]


def test_prediction_is_a_density_of_the_known_fixations(scenes, reference):
    scene = scenes[0]
    known = scene.observers != 0
    mixture = Mixture(blur=1.0, observers=0.9, center_bias=0.05, uniform=0.05)
    density = others_density(scene, known, mixture, reference.of(scene))
    assert density.shape == (HEIGHT, WIDTH)
    assert density.sum() == pytest.approx(1)
    assert density.min() > 0.04 / density.size


def test_image_of_a_single_observer_has_no_ceiling(scenes, reference):
    lonely = Scene(
        scenes[0].name,
        scenes[0].path,
        WIDTH,
        HEIGHT,
        scenes[0].fixations,
        np.zeros_like(scenes[0].observers),
        DEGREE_PX,
    )
    ceiling = Ceiling([lonely, *scenes[1:]], reference)
    assert ceiling(lonely, reference.of(lonely)) is None


def test_data_set_without_observers_is_refused_with_a_remedy(scenes, reference):
    alone = [
        Scene(s.name, s.path, WIDTH, HEIGHT, s.fixations, np.zeros_like(s.observers), DEGREE_PX)
        for s in scenes
    ]
    with pytest.raises(DatasetError, match="without the ceiling"):
        Ceiling(alone, reference)
