"""Facts about what is particular to each data set."""

import math

import pytest
import torch

from saliency.model.dataset_bias import NUMBERS_PER_SET, DatasetBias
from saliency.training.losses import cross_entropy


@pytest.fixture
def log_density():
    torch.manual_seed(0)
    scores = torch.randn(3, 24, 32)
    return torch.log_softmax(scores.flatten(1), dim=1).view_as(scores)


@pytest.fixture
def varied():
    """Two sets of which every number differs."""
    torch.manual_seed(1)
    sets = DatasetBias(2)
    with torch.no_grad():
        for parameter in sets.parameters():
            parameter.add_(torch.randn_like(parameter))
    return sets


def test_a_set_has_under_twenty_numbers():
    assert (
        sum(parameter.numel() for parameter in DatasetBias(3).parameters()) == 3 * NUMBERS_PER_SET
    )
    assert NUMBERS_PER_SET < 20


def test_prediction_of_a_set_is_a_log_density(varied, log_density):
    own = varied(log_density, torch.tensor([0, 1, 1]))
    torch.testing.assert_close(own.logsumexp(dim=(1, 2)), torch.zeros(3), atol=1e-4, rtol=0)


def test_photo_of_no_set_is_left_as_it_is(varied, log_density):
    own = varied(log_density, torch.tensor([0, -1, 1]))
    assert torch.equal(own[1], log_density[1])
    assert not torch.allclose(own[0], log_density[0], atol=0.1)


def test_what_all_sets_share_is_no_bias_of_a_set(log_density):
    sets = DatasetBias(2)
    before = sets(log_density, torch.tensor([0, 1, 1]))
    with torch.no_grad():
        sets.bias += 3.0
        sets.log_sharpness += 1.0
    torch.testing.assert_close(sets(log_density, torch.tensor([0, 1, 1])), before)


def test_wider_blur_flattens_a_peak():
    scores = torch.zeros(1, 24, 32)
    scores[0, 12, 16] = 9.0
    peak = torch.log_softmax(scores.flatten(1), dim=1).view_as(scores)
    sets = DatasetBias(2)
    with torch.no_grad():
        sets.log_blur[1] = math.log(0.1)
    narrow, wide = (sets(peak, torch.tensor([number])).max().item() for number in (0, 1))
    assert wide < narrow - 1


def test_bias_in_which_sets_differ_is_learned_beside_a_shared_part():
    """Of one set fixations lie to the left, of the other to the right; the shared part is even."""
    x = torch.linspace(-1, 1, 32).expand(24, 32)
    target = torch.stack([(slope * x).flatten().softmax(0).view(24, 32) for slope in (-2, 2)])
    sets, shared = DatasetBias(2), torch.zeros(1, 1, 32, requires_grad=True)
    optimizer = torch.optim.Adam([*sets.parameters(), shared], lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        density = shared.expand(2, 24, 32).flatten(1).log_softmax(1).view(2, 24, 32)
        cross_entropy(sets(density, torch.tensor([0, 1])), target).mean().backward()
        optimizer.step()
    assert shared.abs().max() < 0.3
    assert (sets.bias[1, 0] - sets.bias[0, 0]).item() == pytest.approx(4, abs=0.8)


def test_no_set_is_refused():
    with pytest.raises(ValueError, match="at least one data set, got 0"):
        DatasetBias(0)
