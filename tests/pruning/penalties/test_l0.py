"""Facts about gates and the estimators of their gradients, against the exact ones of 6 gates."""

import itertools
import math

import pytest
import torch

from saliency.pruning.penalties.l0 import (
    GateGradient,
    final_gates,
    open_probability,
    relaxed_gates,
)

COUNT = 6
DRAWS, ROUNDS = 2000, 20
LOG_ALPHA = torch.linspace(-1.5, 1.5, COUNT, dtype=torch.float64)
WEIGHTS = torch.linspace(-1, 2, COUNT, dtype=torch.float64)


def loss(gates):
    """Return a loss with products of gates, so that none can be judged by itself."""
    return (gates @ WEIGHTS.to(gates) - 1.2).square() + 3 * gates[:, 0] * gates[:, 3]


def exact_gradient():
    phi = LOG_ALPHA.clone().requires_grad_()
    every = torch.tensor(list(itertools.product((0.0, 1.0), repeat=COUNT)), dtype=torch.float64)
    chances = torch.where(every > 0, torch.sigmoid(phi), torch.sigmoid(-phi)).prod(dim=1)
    (gradient,) = torch.autograd.grad((chances * loss(every)).sum(), phi)
    return gradient


def estimates(kind, rounds=ROUNDS, skipped=0):
    estimator = GateGradient(kind, COUNT)
    estimator._surrogate.double()
    found = [estimator.estimate(loss, LOG_ALPHA, draws=DRAWS) for _ in range(rounds + skipped)]
    return torch.cat(found[skipped:])


def distance_in_errors(kind, **options):
    """Return how many standard errors the mean lies from the exact gradient, for each gate."""
    found = estimates(kind, **options)
    error = found.std(dim=0) / math.sqrt(len(found))
    return (found.mean(dim=0) - exact_gradient()).abs() / error


@pytest.mark.parametrize("kind", ["reinforce", "rebar", "relax"])
def test_estimators_are_unbiased(kind):
    assert distance_in_errors(kind).max() < 4


def test_relaxed_gates_are_biased():
    assert distance_in_errors("hard-concrete").max() > 10


def test_control_variates_lower_the_variance():
    spread = {
        kind: estimates(kind, rounds=5, skipped=80 if kind == "relax" else 5).var(dim=0).sum()
        for kind in ("hard-concrete", "reinforce", "rebar", "relax")
    }
    assert spread["relax"] < spread["rebar"] < spread["reinforce"]
    assert spread["hard-concrete"] < spread["reinforce"]


def test_opening_is_as_often_as_its_probability():
    chance = torch.rand(200_000, 1, generator=torch.Generator().manual_seed(0))
    log_alpha = torch.tensor([-2.0, 0.0, 1.5])
    is_open = (relaxed_gates(log_alpha, chance) > 0).double().mean(dim=0)
    torch.testing.assert_close(is_open, open_probability(log_alpha).double(), atol=0.005, rtol=0)


def test_final_gates_are_clipped_means():
    gates = final_gates(torch.tensor([-20.0, 0.0, 20.0]))
    torch.testing.assert_close(gates, torch.tensor([0.0, 0.5, 1.0]))


def test_gates_learn_to_close_what_does_harm():
    """Two gates lower the loss and four raise it; every estimator finds which."""
    gain = torch.tensor([-1.0, -0.5, 0.5, 1.0, 0.7, 0.3])
    for kind in ("hard-concrete", "reinforce", "rebar", "relax"):
        estimator, log_alpha = GateGradient(kind, COUNT), torch.zeros(COUNT)
        for _ in range(300):
            gradient = estimator.estimate(lambda gates: gates @ gain, log_alpha, draws=16)
            log_alpha = log_alpha - 0.5 * gradient.mean(dim=0)
        assert (final_gates(log_alpha) > 0.5).tolist() == [True, True, False, False, False, False]


def test_temperature_of_zero_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        GateGradient("rebar", 3, temperature=0.0)
