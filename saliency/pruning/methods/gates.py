"""Remove by gates: L0 regularisation, whose gates learn beside the weights (`penalties.l0`)."""

from typing import Any

import torch
from torch import Tensor, nn

from saliency.pruning.gates import fold_gates, gated
from saliency.pruning.groups import ChannelGroups
from saliency.pruning.methods.method import Budget, Removals, Step
from saliency.pruning.methods.options import PruningOptions
from saliency.pruning.methods.pressure import Multiplier, relative_costs, within_budget
from saliency.pruning.penalties.l0 import (
    GateGradient,
    final_gates,
    open_probability,
    relaxed_gates,
)

_OPEN = 3.0  # `log_alpha` at the start: nearly every gate is open
_HELD = 1.5  # and at least of those gates that a group keeps
_CLOSED = -2.4  # and where a gate counts as closed: there a final gate is zero
_RATE = 0.05  # of Adam, for `log_alpha`
_FIRST_MULTIPLIER = 0.1  # of the share of the cost that is expected to stay, beside the loss
_LEAST_CHANCE = 1e-6


class L0Gates:
    """Multiplies channels by gates that are drawn, and learns with what probability they open."""

    are_silent = True

    def __init__(self, groups: ChannelGroups, options: PruningOptions, *, seed: int) -> None:
        """Begin with gates that are nearly always open."""
        self._groups, self._options = groups, options
        self._least = options.least_of(groups.sizes())
        count = sum(self._counts())
        self._log_alpha = torch.full((count,), _OPEN, requires_grad=True)
        self._optimizer = torch.optim.Adam([self._log_alpha], lr=_RATE)
        self._gradient = GateGradient(options.estimator, count, seed=seed)
        self._generator = torch.Generator().manual_seed(seed)
        self._multiplier = Multiplier(_FIRST_MULTIPLIER)
        self._costs: dict[str, float] = {}

    @property
    def _is_relaxed(self) -> bool:
        return self._options.estimator == "hard-concrete"

    def take_step(self, model: nn.Module, step: Step) -> Tensor:
        """Draw gates, and take a step with the weights and one with the gates."""
        self._optimizer.zero_grad(set_to_none=True)
        if self._is_relaxed:
            loss = self._relaxed_step(model, step)
        else:
            loss = self._drawn_step(model, step)
        self._optimizer.step()
        self._hold()
        return loss

    def choose(self, model: nn.Module, budget: Budget) -> Removals:  # noqa: ARG002
        """Return the channels whose gates are closed, up to the target.

        Raises:
            PruningError: no gate has closed for many rounds.
        """
        parts = self._split(self._log_alpha.detach())
        closed = {
            name: values.argsort()[: int((values <= _CLOSED).sum())].tolist()
            for name, values in parts.items()
        }
        removals = within_budget(closed, budget, least=self._least)
        self._multiplier.follow(budget, removals)
        expected = {name: float(self._probability(each).sum()) for name, each in parts.items()}
        self._costs = relative_costs(budget.cost, budget.sizes, {**budget.sizes, **expected})
        return removals

    def cut(self, groups: ChannelGroups, removals: Removals) -> None:
        """Go on without these channels and their gates."""
        kept, first = [], 0
        left = groups.by_name()  # without those of which one channel is left
        for group in self._groups.prunable:
            gone = set(removals.get(group.name, ()))
            if group.name in left:
                kept += [first + k for k in range(group.size) if k not in gone]
            first += group.size
        indexes = torch.tensor(kept)
        self._groups = groups
        self._gradient.keep(indexes)
        moments = self._optimizer.state.get(self._log_alpha, {})
        self._set_gates(
            self._log_alpha.detach()[indexes],
            {name: x[indexes] if x.ndim else x for name, x in moments.items()},
        )

    def fold(self, model: nn.Module) -> None:
        """Multiply the gates that are between closed and open into the weights."""
        if self._is_relaxed:
            fold_gates(model, self._groups, self._split(final_gates(self._log_alpha.detach())))

    def state(self) -> dict[str, Any]:
        """Return the gates, their optimizer's moments and all that chance depends on."""
        return {
            "log_alpha": self._log_alpha.detach().clone(),
            "moments": dict(self._optimizer.state.get(self._log_alpha, {})),
            "gradient": self._gradient.state(),
            "generator": self._generator.get_state(),
            "multiplier": vars(self._multiplier).copy(),
            "costs": self._costs,
        }

    def restore(self, groups: ChannelGroups, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self._groups, self._costs = groups, state["costs"]
        self._gradient = GateGradient(self._options.estimator, len(state["log_alpha"]))
        self._gradient.restore(state["gradient"])
        self._generator.set_state(state["generator"])
        vars(self._multiplier).update(state["multiplier"])
        self._set_gates(state["log_alpha"], state["moments"])

    def _relaxed_step(self, model: nn.Module, step: Step) -> Tensor:
        """Take a step of the weights through relaxed gates, which are differentiated with them."""
        drawn = torch.rand(len(self._log_alpha), generator=self._generator)
        gates = relaxed_gates(self._log_alpha, drawn.clamp(_LEAST_CHANCE, 1 - _LEAST_CHANCE))
        device = next(model.parameters()).device
        with gated(model, self._groups, self._split(gates.to(device))):
            return step.take(lambda: self._penalty().to(device))

    def _drawn_step(self, model: nn.Module, step: Step) -> Tensor:
        """Take a step of the weights at drawn gates, whose gradient is estimated."""
        device = next(model.parameters()).device
        losses = []
        step.clear()

        def loss(gates: Tensor) -> Tensor:
            with gated(model, self._groups, self._split(gates[0].to(device))):
                value = step.loss()
            if not gates.requires_grad:  # the gates that were drawn: the weights learn with these
                step.backward(value)
                losses.append(value.detach())
            return value.cpu()[None]

        estimate = self._gradient.estimate(loss, self._log_alpha)[0]
        step.descend()
        self._penalty().backward()  # type: ignore[no-untyped-call]
        assert self._log_alpha.grad is not None
        self._log_alpha.grad += estimate
        return losses[0]

    @torch.no_grad()
    def _hold(self) -> None:
        """Keep open, in each group, the most open gates: as many as it keeps channels."""
        for name, values in self._split(self._log_alpha).items():
            held = values.topk(min(self._least[name], len(values))).indices
            values[held] = values[held].clamp_min(_HELD)

    def _penalty(self) -> Tensor:
        """Return the expected cost of the gates, 1 where all are open, times the multiplier."""
        parts = self._split(self._probability(self._log_alpha))
        costs = [self._costs.get(name, 1.0) * each.sum() for name, each in parts.items()]
        return self._multiplier.value * torch.stack(costs).sum() / len(self._log_alpha)

    def _probability(self, log_alpha: Tensor) -> Tensor:
        return open_probability(log_alpha) if self._is_relaxed else torch.sigmoid(log_alpha)

    def _counts(self) -> list[int]:
        return [group.size for group in self._groups.prunable]

    def _split(self, values: Tensor) -> dict[str, Tensor]:
        names = [group.name for group in self._groups.prunable]
        return dict(zip(names, torch.split(values, self._counts()), strict=True))

    def _set_gates(self, log_alpha: Tensor, moments: dict[str, Any]) -> None:
        self._log_alpha = log_alpha.clone().requires_grad_()
        self._optimizer = torch.optim.Adam([self._log_alpha], lr=_RATE)
        if moments:
            self._optimizer.state[self._log_alpha] = moments
