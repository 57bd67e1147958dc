"""Every metric equals that of pysaliency, the field's reference, on the same maps and fixations."""

import warnings

import numpy as np
import pytest
from conftest import SHARED, needs_shared

from saliency.datasets.layouts.registry import read_dataset
from saliency.evaluation import metrics
from saliency.evaluation.scoring import DatasetReference
from saliency.fixations.density import empirical_density

AGREEMENT = 1e-6  # what is promised; rounding alone is far below
IMAGE_COUNT = 3


@pytest.fixture(scope="module")
def pysaliency():
    """The reference; what it imports is deprecated and warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pysaliency
        import pysaliency.metrics
    return pysaliency


@pytest.fixture
def trapz(monkeypatch):
    """The old name by which pysaliency calls NumPy's trapezoid rule."""
    monkeypatch.setattr(np, "trapz", np.trapezoid, raising=False)


def random_cases():
    """Maps of whole numbers, with ties, and of real ones; some fixations are repeated."""
    random = np.random.default_rng(0)
    for number in range(IMAGE_COUNT):
        maps = np.exp(random.normal(size=(2, 37, 48)))
        maps = np.floor(2 * maps) + 1 if number == 1 else maps
        fixations = random.uniform(size=(50, 2)) * (48, 37)
        yield maps[0], maps[1], maps[1], np.concatenate([fixations, fixations[:10]])


def osie_cases():
    """Center bias, density of an earlier image and of its own, and fixations of OSIE's images."""
    scenes = read_dataset(f"osie:{SHARED / 'osie'}").scenes[: IMAGE_COUNT + 1]
    reference = DatasetReference(scenes)
    for scene, earlier in zip(scenes[1:], scenes, strict=False):
        judge = reference.of(scene)
        size = {"width": scene.width, "height": scene.height}
        other = empirical_density(earlier.fixations, sigma_px=40.0, **size) + 1e-9
        yield other / other.sum(), np.exp(judge.baseline), judge.empirical, scene.fixations


@pytest.fixture(scope="module", params=["random", pytest.param("osie", marks=needs_shared)])
def cases(request):
    """Predicted map, baseline, empirical map and fixations of each image."""
    return list(random_cases() if request.param == "random" else osie_cases())


@pytest.fixture(scope="module")
def theirs(pysaliency, cases):
    """Their model of the predicted maps, their stimuli and their fixations."""

    class Fixed(pysaliency.SaliencyMapModel):
        """Predicts the map of the image whose first pixel holds its number."""

        def _saliency_map(self, stimulus):
            return cases[stimulus[0, 0, 0]][0]

    stimuli = [np.full((*case[0].shape, 3), n, np.uint8) for n, case in enumerate(cases)]
    numbers = np.repeat(np.arange(len(cases)), [len(case[3]) for case in cases])
    places = np.floor(np.concatenate([case[3] for case in cases])).T
    made = pysaliency.Fixations.create_without_history(*places, n=numbers)
    return Fixed(), pysaliency.Stimuli(stimuli), made


@pytest.mark.usefixtures("trapz")
def test_areas_under_roc_are_those_of_pysaliency(cases, theirs):
    model, stimuli, made = theirs
    ours = [metrics.auc(case[0], case[3]) for case in cases]
    expected = model.AUC_per_image(stimuli, made, nonfixations="uniform")
    assert ours == pytest.approx(expected, abs=AGREEMENT)
    ours = [metrics.judd_auc(case[0], case[3]) for case in cases]
    expected = model.AUC_per_image(stimuli, made, nonfixations="unfixated", thresholds="fixations")
    assert ours == pytest.approx(expected, abs=AGREEMENT)
    assert np.mean(ours) == pytest.approx(
        model.AUC_Judd(stimuli, made, jitter=False), abs=AGREEMENT
    )


@pytest.mark.usefixtures("trapz")
def test_shuffled_auc_is_that_of_pysaliency(cases, theirs):
    model, stimuli, made = theirs
    ours = []
    for number, case in enumerate(cases):
        others = np.concatenate([c[3] for n, c in enumerate(cases) if n != number])
        ours.append(metrics.shuffled_auc(case[0], case[3], non_fixations=np.floor(others)))
    expected = model.AUC_per_image(stimuli, made, nonfixations="shuffled")
    assert ours == pytest.approx(expected, abs=AGREEMENT)


def test_nss_is_that_of_pysaliency(cases, theirs):
    model, stimuli, made = theirs
    expected = model.NSSs(stimuli, made)
    ours = [metrics.nss(case[0], case[3]) for case in cases]
    assert ours == pytest.approx(
        [expected[made.n == number].mean() for number in range(len(cases))], abs=AGREEMENT
    )


def test_metrics_of_two_maps_are_those_of_pysaliency(pysaliency, cases):
    reference = pysaliency.metrics
    for predicted, _, empirical, _ in cases:
        with np.errstate(divide="ignore"):  # it takes the log of a zero and its exponential again
            divergence = reference.MIT_KLDiv(predicted, empirical)
        assert metrics.kl_divergence(predicted, empirical) == pytest.approx(
            divergence, abs=AGREEMENT
        )
        assert metrics.cc(predicted, empirical) == pytest.approx(
            reference.CC(predicted, empirical), abs=AGREEMENT
        )
        assert metrics.similarity(predicted, empirical) == pytest.approx(
            reference.SIM(predicted, empirical), abs=AGREEMENT
        )


def test_information_gain_is_that_of_pysaliency(pysaliency, cases, theirs):
    _, stimuli, made = theirs

    class Fixed(pysaliency.Model):
        """Predicts the density of an image, as the stimulus says."""

        def __init__(self, column):
            super().__init__()
            self.column = column

        def _log_density(self, stimulus):
            density = cases[stimulus[0, 0, 0]][self.column]
            return np.log(density / density.sum())

    expected = Fixed(0).information_gains(stimuli, made, Fixed(1))
    ours = []
    for predicted, baseline, _, fixations in cases:
        logs = [np.log(density / density.sum()) for density in (predicted, baseline)]
        ours.append(metrics.information_gain_bits(logs[0], fixations, baseline=logs[1]))
    assert ours == pytest.approx(
        [expected[made.n == number].mean() for number in range(len(cases))], abs=AGREEMENT
    )
