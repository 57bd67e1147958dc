"""Remove by group sparsity: a proximal step after each training step shortens every channel."""

from typing import Any

import torch
from torch import Tensor, nn

from saliency.errors import PruningError
from saliency.pruning.groups import ChannelGroups
from saliency.pruning.methods.method import Budget, Removals, Step
from saliency.pruning.methods.options import PruningOptions
from saliency.pruning.methods.pressure import Multiplier, relative_costs, within_budget
from saliency.pruning.penalties.group_sparsity import (
    Side,
    channel_lengths,
    closed_channels,
    proximal_step,
)

_FIRST_SHARE = 0.02  # of the usual length of a channel, that the first round takes off


class GroupSparsity:
    """Shortens the weights that make channels (group lasso), or the scales of their batch norms."""

    are_silent = False

    def __init__(
        self, model: nn.Module, groups: ChannelGroups, options: PruningOptions, *, side: Side
    ) -> None:
        """Begin with the unpruned network.

        Raises:
            PruningError: scales are to be shortened, and the network has no batch norms.
        """
        self._groups, self._side = groups, side
        self._least = options.least_of(groups.sizes())
        try:
            lengths = torch.cat(list(channel_lengths(model, groups, side=side).values()))
        except ValueError as error:
            raise PruningError(
                "expected a network with batch norms for --method slimming, which shortens their "
                "scales, found none; use --method lasso, which shortens the weights"
            ) from error
        usual = float(lengths.detach().median())
        self._multiplier = Multiplier(_FIRST_SHARE * usual / options.steps)
        self._costs: dict[str, float] = {}

    def take_step(self, model: nn.Module, step: Step) -> Tensor:
        """Take a step, then shorten every channel by its cost, but for those that a group keeps."""
        loss = step.take()
        proximal_step(
            model,
            self._groups,
            self._multiplier.value,
            side=self._side,
            costs=self._costs or None,
            spared=self._least,
        )
        return loss

    def choose(self, model: nn.Module, budget: Budget) -> Removals:
        """Return the channels whose length is zero, up to the target.

        Raises:
            PruningError: no channel has closed for many rounds.
        """
        closed = closed_channels(model, self._groups, side=self._side)
        removals = within_budget(closed, budget, least=self._least)
        self._multiplier.follow(budget, removals)
        self._costs = relative_costs(budget.cost, budget.sizes)
        return removals

    def cut(self, groups: ChannelGroups, removals: Removals) -> None:  # noqa: ARG002
        """Go on without these channels."""
        self._groups = groups

    def fold(self, model: nn.Module) -> None:
        """Do nothing: all is in the weights."""

    def state(self) -> dict[str, Any]:
        """Return the strength and the costs at present."""
        return {"multiplier": vars(self._multiplier).copy(), "costs": self._costs}

    def restore(self, groups: ChannelGroups, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self._groups, self._costs = groups, state["costs"]
        vars(self._multiplier).update(state["multiplier"])
