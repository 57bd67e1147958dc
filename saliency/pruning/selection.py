"""Which channels to remove next: the decision of Fisher pruning.

A decision takes channels of one group, those of least signal first, and weighs the rise of the
loss that their signals promise, ΔL, against the change of the cost, ΔC, over the layers that make
them and all that read them. Where time falls only in steps, a decision removes a whole step.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from saliency.pruning.costs import Sizes

BLOCK = 16  # channels within which the next step usually lies
LARGEST_SHARE = (
    8  # of a group that is removed at once: an eighth, or what it takes to the next step
)


@runtime_checkable
class Cost(Protocol):
    """What channels cost (`pruning.costs`)."""

    def changes(self, sizes: Sizes, group: str, *, most: int) -> Float64[ndarray, " removals"]:
        """Return the change of the cost when 1, 2, … and `most` channels of a group go."""

    def neighbours(self, group: str) -> set[str]:
        """Return the groups whose changes depend on the size of a group, itself included."""


@dataclass(frozen=True)
class Decision:
    """Channels of one group that are removed together.

    Attributes:
        group: its name.
        channels: their numbers in the group.
        loss: the rise of the loss that their signals promise, ΔL.
        cost: the change of the cost, ΔC; below 0.
    """

    group: str
    channels: tuple[int, ...]
    loss: float
    cost: float


class Selection:
    """Makes one decision after another, by the signals of one moment.

    Attributes:
        sizes: how many channels each group has after the decisions so far.
        removals: by group, the channels to remove, in the order of the decisions.
    """

    def __init__(
        self,
        signals: Mapping[str, Float64[ndarray, " _"]],
        cost: Cost,
        *,
        sizes: Sizes | None = None,
        beta: float | None = None,
        least: Mapping[str, int] | None = None,
    ) -> None:
        """Start with all channels.

        Args:
            signals: by group, the rise of the loss when a channel is removed.
            cost: what channels cost.
            sizes: of further groups that the cost depends on, which keep their channels.
            beta: loss that one unit of cost is worth: each decision minimises ΔL + β·ΔC. Without
                it each decision has the least −ΔL/ΔC: the cheapest saving first.
            least: by group, how many channels it keeps; None for one of each.

        Raises:
            ValueError: a group is to keep no channel, or β is below 0.
        """
        self._least = dict(least or dict.fromkeys(signals, 1))
        fewest = min((self._least[name] for name in signals), default=1)
        if fewest < 1 or (beta is not None and not beta >= 0):
            raise ValueError(
                f"expected at least 1 channel and a β of at least 0, got {fewest, beta}"
            )
        self._cost, self._beta = cost, beta
        self._order = {name: np.argsort(values, kind="stable") for name, values in signals.items()}
        self._sums = {
            name: np.concatenate([[0.0], np.cumsum(values[self._order[name]])])
            for name, values in signals.items()
        }
        own = {name: len(values) for name, values in signals.items()}
        self.sizes = {**(sizes or {}), **own}
        self._best: dict[str, tuple[float, int, float] | None] = {}

    @property
    def removals(self) -> dict[str, list[int]]:
        """By group, the channels to remove, in the order of the decisions."""
        gone = {name: len(order) - self.sizes[name] for name, order in self._order.items()}
        return {name: self._order[name][:count].tolist() for name, count in gone.items() if count}

    def decide(self) -> Decision | None:
        """Return the next decision and carry it out; None when nothing is worth removing.

        On ties the earlier group is taken, and fewer of its channels.
        """
        for name in self._order:
            if name not in self._best:
                self._best[name] = self._best_of(name)
        rated = [(best[0], name) for name in self._order if (best := self._best[name]) is not None]
        if not rated:
            return None
        rating, name = min(rated, key=lambda one: one[0])
        if self._beta is not None and rating >= 0:
            return None
        best = self._best[name]
        assert best is not None
        _, count, change = best
        gone = len(self._order[name]) - self.sizes[name]
        decision = Decision(
            group=name,
            channels=tuple(self._order[name][gone : gone + count].tolist()),
            loss=float(self._sums[name][gone + count] - self._sums[name][gone]),
            cost=change,
        )
        self.sizes[name] -= count
        for neighbour in self._cost.neighbours(name):
            self._best.pop(neighbour, None)
        return decision

    def _best_of(self, name: str) -> tuple[float, int, float] | None:
        """Return the rating, the channels and the change of cost of a group's best decision."""
        size = self.sizes[name]
        share, all_but_least = size // LARGEST_SHARE, size - self._least[name]
        changes, steps = np.zeros(0), np.zeros(0, np.int64)
        for most in (min(max(share, BLOCK), all_but_least), all_but_least):
            changes = self._cost.changes(self.sizes, name, most=max(most, 0))
            # A step is a count at which the cost is below that of every larger one.
            floor = np.minimum.accumulate(np.concatenate([[0.0], changes]))[:-1]
            steps = np.flatnonzero(changes < floor)
            if len(steps):
                break
        if not len(steps):
            return None
        steps = steps[steps < max(share, steps[0] + 1)]
        gone = len(self._order[name]) - size
        losses = self._sums[name][gone + steps + 1] - self._sums[name][gone]
        if self._beta is None:
            ratings = losses / -changes[steps]
        else:
            ratings = losses + self._beta * changes[steps]
        best = int(np.argmin(ratings))
        if not math.isfinite(ratings[best]):
            raise ValueError(f"expected finite signals and costs, got others in {name}")
        return float(ratings[best]), int(steps[best]) + 1, float(changes[steps[best]])
