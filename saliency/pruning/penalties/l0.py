"""Gates that are open or closed, and how to learn the probabilities with which they open.

L0 regularisation (Louizos, Welling, Kingma 2018) multiplies each channel by a gate. The expected
number of open gates can be differentiated; the expected loss cannot, as gates are drawn. Four
estimators of its gradient with respect to `log_alpha`, the logit of a gate's opening:

- `hard-concrete`: gates are relaxed to numbers between 0 and 1, stretched and clipped, so that they
  can be differentiated. Little variance, but the gradient is of another problem: it is biased.
- `reinforce`: the loss, less a baseline that is learned, times the score function. Unbiased.
- `rebar` (Tucker et al. 2017): `reinforce` with a control variate: the relaxed loss, given the
  gates that were drawn. Unbiased.
- `relax` (Grathwohl et al. 2018): the same with a control variate that is learned to make the
  variance least. Unbiased.

A loss takes gates of shape (draws, gates) and returns one value for each draw; that of the last
three is used at 0 and 1, and in between by the control variates only.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

BETA, GAMMA, ZETA = 2 / 3, -0.1, 1.1
"""Temperature of the hard-concrete distribution, and the interval to which it is stretched."""

Estimator = Literal["hard-concrete", "reinforce", "rebar", "relax"]

Loss = Callable[[Tensor], Tensor]

_FORGET = 0.99  # of the baseline, at each estimate
_SURROGATE_WIDTH = 8
_SURROGATE_RATE = 0.01
_LEAST_CHANCE = 1e-6


def open_probability(log_alpha: Tensor) -> Tensor:
    """Return the probability that a hard-concrete gate is not zero."""
    return torch.sigmoid(log_alpha - BETA * _log(-GAMMA / ZETA))


def relaxed_gates(log_alpha: Tensor, chance: Tensor) -> Tensor:
    """Return hard-concrete gates, 0 to 1, for chances that are even between 0 and 1."""
    s = torch.sigmoid((torch.logit(chance) + log_alpha) / BETA)
    return (s * (ZETA - GAMMA) + GAMMA).clamp(0, 1)


def final_gates(log_alpha: Tensor) -> Tensor:
    """Return the gates of a network that has been trained, without chance."""
    return (torch.sigmoid(log_alpha) * (ZETA - GAMMA) + GAMMA).clamp(0, 1)


class GateGradient:
    """Estimates the gradient of an expected loss over drawn gates.

    Attributes:
        kind: which estimator.
        baseline: of `reinforce`, the running mean of the loss.
    """

    def __init__(
        self, kind: Estimator, count: int, *, seed: int = 0, temperature: float = 0.5
    ) -> None:
        """Prepare for a number of gates.

        Args:
            kind: which estimator.
            count: how many gates there are.
            seed: of the drawing.
            temperature: of the relaxed gates in the control variates.

        Raises:
            ValueError: `temperature` is not above 0.
        """
        if not temperature > 0:
            raise ValueError(f"expected a temperature above 0, got {temperature}")
        self.kind, self.baseline = kind, 0.0
        self._is_first, self._temperature = True, temperature
        self._generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self._surrogate = nn.Sequential(
                nn.Linear(count, _SURROGATE_WIDTH), nn.Tanh(), nn.Linear(_SURROGATE_WIDTH, 1)
            )
        self._optimizer = torch.optim.Adam(self._surrogate.parameters(), lr=_SURROGATE_RATE)

    def estimate(self, loss: Loss, log_alpha: Tensor, *, draws: int = 1) -> Tensor:
        """Return an estimate of ∂E[loss]/∂log_alpha for each draw, (draws, gates).

        Args:
            loss: of gates (draws, gates), one value for each draw.
            log_alpha: of shape (gates).
            draws: how many independent estimates are wanted; their mean is the better one.
        """
        phi = log_alpha.detach().expand(draws, -1).clone().requires_grad_()
        chance = self._chance(phi)
        if self.kind == "hard-concrete":
            value = loss(relaxed_gates(phi, chance))
            return torch.autograd.grad(value.sum(), phi)[0]
        z = phi + torch.logit(chance)
        gates = (z > 0).to(phi).detach()
        value = loss(gates).detach()
        if self.kind == "reinforce":
            return self._score(value, gates, phi.detach())
        return self._with_control(loss, value, gates, z, phi)

    def keep(self, kept: Tensor) -> None:
        """Go on with some of the gates, given by their indexes."""
        first: nn.Linear = self._surrogate[0]  # type: ignore[assignment]
        first.weight = nn.Parameter(first.weight.detach()[:, kept].clone())
        first.in_features = len(kept)
        self._optimizer = torch.optim.Adam(self._surrogate.parameters(), lr=_SURROGATE_RATE)

    def state(self) -> dict[str, Any]:
        """Return all that `restore` needs to go on with the same estimates."""
        return {
            "baseline": self.baseline,
            "is_first": self._is_first,
            "generator": self._generator.get_state(),
            "surrogate": self._surrogate.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state` of as many gates."""
        self.baseline, self._is_first = state["baseline"], state["is_first"]
        self._generator.set_state(state["generator"])
        self._surrogate.load_state_dict(state["surrogate"])
        self._optimizer.load_state_dict(state["optimizer"])

    def _score(self, value: Tensor, gates: Tensor, phi: Tensor) -> Tensor:
        """Return the loss less its baseline, times the gradient of the log probability."""
        baseline = 0.0 if self._is_first else self.baseline
        mean = float(value.mean())
        self.baseline = mean if self._is_first else _FORGET * baseline + (1 - _FORGET) * mean
        self._is_first = False
        return (value - baseline)[:, None] * (gates - torch.sigmoid(phi))

    def _with_control(
        self, loss: Loss, value: Tensor, gates: Tensor, z: Tensor, phi: Tensor
    ) -> Tensor:
        """Return the estimate whose chance is cancelled as far as a relaxed loss predicts it."""
        slopes, controls = [], []
        for each in (z, self._given(gates, phi)):
            relaxed = loss(torch.sigmoid(each / self._temperature))
            slope = torch.autograd.grad(relaxed.sum(), phi, retain_graph=True)[0]
            control = relaxed.detach()
            if self.kind == "relax":  # learned, so that its slope has to be differentiated too
                learned = self._surrogate(each)[:, 0]
                slope = slope + torch.autograd.grad(learned.sum(), phi, create_graph=True)[0]
                control = control + learned
            slopes.append(slope)
            controls.append(control)
        score = gates - torch.sigmoid(phi.detach())
        estimate = (value - controls[1])[:, None] * score + slopes[0] - slopes[1]
        if self.kind == "relax":
            self._optimizer.zero_grad()
            # Its mean does not depend on the surrogate, so the variance is least where this is.
            variance = estimate.square().sum(dim=1).mean()
            torch.autograd.backward(variance, inputs=list(self._surrogate.parameters()))
            self._optimizer.step()
        return estimate.detach()

    def _given(self, gates: Tensor, phi: Tensor) -> Tensor:
        """Draw relaxed gates anew among those that give the same open and closed ones."""
        closed = torch.sigmoid(-phi)
        v = self._chance(phi)
        chance = torch.where(gates > 0, closed + v * (1 - closed), v * closed)
        return phi + torch.logit(chance.clamp(_LEAST_CHANCE, 1 - _LEAST_CHANCE))

    def _chance(self, like: Tensor) -> Tensor:
        drawn = torch.rand(like.shape, generator=self._generator, dtype=like.dtype)
        return drawn.clamp(_LEAST_CHANCE, 1 - _LEAST_CHANCE).to(like.device)


def _log(value: float) -> Tensor:
    return torch.log(torch.tensor(value))
