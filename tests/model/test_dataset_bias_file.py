"""Facts about the file of data sets' numbers, and what they make of predictions."""

import json
import re

import numpy as np
import pytest
import torch

from saliency.errors import DatasetError, OutputError
from saliency.model.dataset_bias import DatasetBias
from saliency.model.dataset_bias_file import (
    SetNumbers,
    learned_numbers,
    read_numbers,
    write_numbers,
)

EVEN = np.full((24, 32), -np.log(24 * 32), np.float32)
NUMBERS = SetNumbers(0.004, 1.2, (0.1, -0.2, 0.3, 0.0, -0.5, 0.6, -0.7, 0.8))


def test_numbers_are_read_back_as_they_were_written(tmp_path):
    file = tmp_path / "numbers.json"
    write_numbers({"osie": NUMBERS}, file, overwrite=False)
    assert read_numbers(file) == {"osie": NUMBERS}


def test_file_that_exists_is_kept_unless_told(tmp_path):
    file = tmp_path / "numbers.json"
    file.write_text("mine")
    with pytest.raises(OutputError, match="exists already; overwrite it"):
        write_numbers({"osie": NUMBERS}, file, overwrite=False)
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    "change",
    [
        {"blur": 0},
        {"sharpness": "much"},
        {"bias": {"x": 1.0}},
        {"sharpness": float("nan")},
        None,
    ],
)
def test_damaged_file_is_refused_by_its_name(tmp_path, change):
    file = tmp_path / "numbers.json"
    write_numbers({"osie": NUMBERS}, file, overwrite=False)
    stored = json.loads(file.read_text())
    if change is not None:
        stored["sets"]["osie"].update(change)
    file.write_text(json.dumps(stored if change is not None else {**stored, "format_version": 2}))
    with pytest.raises(DatasetError, match=f"{re.escape(str(file))}: expected the numbers"):
        read_numbers(file)


def test_prediction_is_that_of_the_set_while_it_was_learned():
    torch.manual_seed(0)
    sets = DatasetBias(2)
    with torch.no_grad():
        for parameter in sets.parameters():
            parameter.add_(torch.randn_like(parameter) / 2)
    scores = torch.log_softmax(torch.randn(1, 24 * 32), dim=1).view(1, 24, 32)
    expected = sets(scores, torch.tensor([1]))[0].detach().numpy()
    own = learned_numbers(sets, ("first", "second"))["second"].expect(scores[0].numpy())
    np.testing.assert_allclose(own, expected, atol=1e-5)


def test_weight_of_x_moves_mass_to_the_right():
    moved = SetNumbers(0.002, 1.0, (1.0, *[0.0] * 7)).expect(EVEN)
    assert np.exp(moved).sum() == pytest.approx(1, abs=1e-5)
    assert (np.diff(moved, axis=1) > 0).all()


def test_adapted_model_expects_what_the_set_does():
    adapted = NUMBERS.adapt(lambda _: EVEN)
    np.testing.assert_array_equal(adapted(np.zeros((4, 4, 3), np.uint8)), NUMBERS.expect(EVEN))
