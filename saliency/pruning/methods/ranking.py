"""Remove by rank: the channels first whose signal is least for what they cost."""

from typing import Any

import torch
from torch import Tensor, nn

from saliency.errors import PruningError
from saliency.pruning.groups import ChannelGroups
from saliency.pruning.methods.method import Budget, Removals, Step
from saliency.pruning.methods.options import PruningOptions
from saliency.pruning.selection import Selection
from saliency.pruning.signals import SignalCollector


class Ranking:
    """Collects the signals of channels while the network trains, and removes by them.

    Attributes:
        collector: of the signals.
    """

    are_silent = False

    def __init__(self, groups: ChannelGroups, options: PruningOptions, *, seed: int) -> None:
        """Begin with a network of these groups."""
        self._options = options
        self._least = options.least_of(groups.sizes())
        self.collector = SignalCollector(groups, options.signal, seed=seed)

    def take_step(self, model: nn.Module, step: Step) -> Tensor:
        """Take a step and collect the signals of its examples."""
        if not self.collector.groups.prunable:
            return step.take()
        with self.collector.watch(model):
            return step.take()

    def choose(self, model: nn.Module, budget: Budget) -> Removals | None:
        """Return channels for the time that is to be saved, or for β all that are not worth it.

        Raises:
            PruningError: no channel is left, and the time is not reached.
        """
        beta = self._options.beta
        selection = Selection(
            self.collector.signals(model),
            budget.cost,
            sizes=budget.sizes,
            beta=beta,
            least=self._least,
        )
        while budget.time_ms(selection.sizes) > budget.goal_ms:
            if selection.decide() is None:
                break
        if selection.removals:
            return selection.removals
        if beta is None:
            present_ms = budget.time_ms(budget.sizes)
            raise PruningError(
                f"no channel is left to remove at {present_ms:.3g} ms, the target is "
                f"{budget.target_ms:.3g} ms; choose a later target, or let groups keep less (least)"
            )
        return None

    def cut(self, groups: ChannelGroups, removals: Removals) -> None:
        """Go on without these channels; what was seen with them counts less."""
        self.collector.remove(groups, removals)
        self.collector.forget(self._options.forget)

    def fold(self, model: nn.Module) -> None:
        """Do nothing: all is in the weights."""

    def state(self) -> dict[str, Any]:
        """Return the sums of the signals so far."""
        return {
            "examples": self.collector.examples,
            "seed": self.collector.seed,
            "unseen": sorted(self.collector.unseen),
            "sums": {name: torch.from_numpy(x) for name, x in self.collector.sums.items()},
        }

    def restore(self, groups: ChannelGroups, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.collector.groups, self.collector.seed = groups, state["seed"]
        self.collector.examples, self.collector.unseen = state["examples"], set(state["unseen"])
        self.collector.sums = {name: values.numpy() for name, values in state["sums"].items()}
