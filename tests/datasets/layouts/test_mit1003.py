"""Facts about MIT1003: raw gaze becomes fixations by the authors' rule."""

import numpy as np
import pytest
from matlab_fixtures import photo, struct_array
from PIL import Image
from scipy.io import savemat

from saliency.datasets.layouts.mit1003 import fixations_of_gaze
from saliency.datasets.layouts.registry import read_dataset
from saliency.errors import DatasetError


def gaze(*stops):
    """Return samples that rest at each (x, y, count) and jump to the next over four samples."""
    parts = []
    for (x, y, count), following in zip(stops, (*stops[1:], None), strict=True):
        parts.append(np.full((count, 2), (x, y), np.float64))
        if following:
            share = np.linspace(0, 1, 6)[1:-1, None]
            parts.append((1 - share) * (x, y) + share * following[:2])
    return np.concatenate(parts)


def write_mit(root, samples_of_observer, name="i05june05_static_street_boston_p1010764"):
    photo(root / "ALLSTIMULI" / f"{name}.jpeg")
    for observer, samples in samples_of_observer.items():
        folder = root / "DATA" / observer
        folder.mkdir(parents=True)
        data = struct_array([{"eyeData": samples}])
        savemat(folder / f"{name}.mat", {name[:31]: {"DATA": data, "imgName": f"{name}.jpeg"}})
    return root


def test_rests_between_jumps_are_fixations():
    found = fixations_of_gaze(gaze((10, 10, 60), (300, 40, 60), (50, 200, 60)))
    np.testing.assert_allclose(found, [(10, 10), (300, 40), (50, 200)], atol=1)


def test_gaze_that_never_jumps_is_one_fixation_at_its_median():
    samples = np.array([(5.0, 5.0)] * 30 + [(6.0, 7.0)] * 31)
    np.testing.assert_array_equal(fixations_of_gaze(samples), [(6, 7)])


def test_rest_of_less_than_50_ms_is_part_of_the_saccade():
    found = fixations_of_gaze(gaze((10, 10, 60), (200, 40, 9), (400, 200, 60)))
    np.testing.assert_allclose(found, [(10, 10), (400, 200)], atol=1)


@pytest.mark.parametrize(("step_px", "step_count", "found"), [(5, 3, 1), (10, 2, 2)])
def test_saccade_needs_three_samples_above_the_acceleration(step_px, step_count, found):
    """Steps of 5 px give 75, 150, 225, 225, … px/s, two above 204; of 10 px, three of 300."""
    samples = np.full((120, 2), 10.0)
    for step in range(step_count):
        samples[60 + step :, 0] += step_px
    assert len(fixations_of_gaze(samples)) == found


def test_no_samples_are_no_fixations():
    assert fixations_of_gaze(np.empty((0, 2))).shape == (0, 2)


def test_first_fixation_and_those_outside_are_left_out(tmp_path):
    samples = {
        "ajs": gaze((40, 30, 60), (70, 50, 60), (-300, -300, 60)),
        "hp": gaze((40, 30, 60), (5, 8, 60)),
    }
    dataset = read_dataset(f"mit1003:{write_mit(tmp_path, samples)}")
    (scene,) = dataset.scenes
    np.testing.assert_allclose(scene.fixations, [(70, 50), (5, 8)], atol=1)
    np.testing.assert_array_equal(scene.observers, [0, 1])
    assert dataset.excluded_count == 1


def test_recording_without_a_number_is_one_fixation_nowhere():
    found = fixations_of_gaze(np.full((60, 2), np.nan))
    assert found.shape == (1, 2)
    assert np.isnan(found).all()


def test_maps_are_read_where_there_is_no_gaze(tmp_path):
    root = write_mit(tmp_path, {}, name="a")
    pixels = np.zeros((60, 80), np.uint8)
    pixels[20, 30] = 255
    (root / "ALLFIXATIONMAPS").mkdir()
    Image.fromarray(pixels).save(root / "ALLFIXATIONMAPS" / "a_fixPts.jpg", quality=100)
    (scene,) = read_dataset(f"mit1003:{root}").scenes
    np.testing.assert_array_equal(scene.fixations, [(30.5, 20.5)])


def test_map_of_another_size_is_refused(tmp_path):
    root = write_mit(tmp_path, {}, name="a")
    photo(root / "ALLFIXATIONMAPS" / "a_fixPts.jpg", width=40)
    with pytest.raises(DatasetError, match=r"a_fixPts\.jpg: expected a map of 80x60 .* got 40x60"):
        read_dataset(f"mit1003:{root}")


def test_missing_recording_of_an_observer_is_named(tmp_path):
    root = write_mit(tmp_path, {"ajs": gaze((40, 30, 60), (70, 50, 60))}, name="a")
    (root / "DATA" / "ajs" / "a.mat").unlink()
    with pytest.raises(
        DatasetError, match=r"1 of them .* the first .*ajs/a\.mat; unpack the whole"
    ):
        read_dataset(f"mit1003:{root}")


def test_without_gaze_and_maps_the_archive_is_named(tmp_path):
    photo(tmp_path / "ALLSTIMULI" / "a.jpeg")
    with pytest.raises(DatasetError, match=r"unpack DATA\.zip"):
        read_dataset(f"mit1003:{tmp_path}")
