"""How far estimators of the gradient of gates are off, and what an estimate costs.

    python benchmarks/gate_estimators.py

Six gates whose loss has products, so that the exact gradient is a sum over 64 cases. Printed for
each estimator of `penalties.l0`: the distance of the mean of 100,000 estimates from the exact
gradient, in shares of its length; the standard deviation of one estimate, likewise; and
microseconds for one of 1,000 estimates that are made together.
"""

import itertools
import time
from typing import get_args

import torch
from torch import Tensor

from saliency.pruning.penalties.l0 import Estimator, GateGradient

COUNT, DRAWS, ROUNDS, LEARNED = 6, 1000, 100, 300
LOG_ALPHA = torch.linspace(-1.5, 1.5, COUNT)
WEIGHTS = torch.linspace(-1, 2, COUNT)


def loss(gates: Tensor) -> Tensor:
    """Return a loss of (draws, gates)."""
    return (gates @ WEIGHTS - 1.2).square() + 3 * gates[:, 0] * gates[:, 3]


def exact_gradient() -> Tensor:
    """Return the gradient of the expected loss."""
    phi = LOG_ALPHA.clone().requires_grad_()
    every = torch.tensor(list(itertools.product((0.0, 1.0), repeat=COUNT)))
    chances = torch.where(every > 0, torch.sigmoid(phi), torch.sigmoid(-phi)).prod(dim=1)
    return torch.autograd.grad((chances * loss(every)).sum(), phi)[0]


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    exact = exact_gradient()
    print(f"{'estimator':14} {'bias':>8} {'deviation':>10} {'us':>7}")
    for kind in get_args(Estimator):
        estimator = GateGradient(kind, COUNT)
        for _ in range(LEARNED):  # baseline and control variate
            estimator.estimate(loss, LOG_ALPHA, draws=DRAWS)
        started = time.perf_counter()
        found = torch.cat([estimator.estimate(loss, LOG_ALPHA, draws=DRAWS) for _ in range(ROUNDS)])
        spent = (time.perf_counter() - started) / (DRAWS * ROUNDS)
        bias = (found.mean(dim=0) - exact).norm() / exact.norm()
        deviation = found.var(dim=0).sum().sqrt() / exact.norm()
        print(f"{kind:14} {bias:8.1%} {deviation:10.2f} {spent * 1e6:7.2f}")


if __name__ == "__main__":
    main()
