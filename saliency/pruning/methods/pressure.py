"""Pressure that closes channels while a network trains, until it is as fast as wanted.

The multiplier of a penalty says nothing about the time that comes out. So it is found on the way:
after each round of steps it grows where too little time was saved, and falls where too much was.
"""

import math
from collections.abc import Mapping

from saliency.errors import PruningError
from saliency.pruning.costs import ChannelCount, NetworkCost
from saliency.pruning.methods.method import Budget, Removals
from saliency.pruning.selection import BLOCK, LARGEST_SHARE

_WHOLE = 8  # channels of a block, in which kernels compute
_GROWTH = 1.25  # of the multiplier in a round
_TOO_MUCH = 2.0  # times the time that was to be saved
_MOST_FRUITLESS = 80  # rounds without a channel that goes


class Multiplier:
    """The strength of a penalty, which follows the time that is saved.

    Attributes:
        value: the strength at present.
        fruitless: rounds since the last channel went.
    """

    def __init__(self, value: float) -> None:
        """Begin with a strength that closes next to nothing."""
        self.value, self.fruitless = value, 0

    def follow(self, budget: Budget, removals: Removals) -> None:
        """Adapt to what a round has closed.

        Raises:
            PruningError: no channel has gone for many rounds, however strong the penalty was.
        """
        before, after = (
            budget.time_ms(each) for each in (budget.sizes, sizes_after(budget.sizes, removals))
        )
        wanted = before - budget.goal_ms
        self.fruitless = 0 if removals else self.fruitless + 1
        if self.fruitless > _MOST_FRUITLESS:
            raise PruningError(
                f"no channel has closed in {_MOST_FRUITLESS} rounds at {before:.2f} ms, the target "
                f"is {budget.target_ms:.2f} ms; choose a later target or --method ranking"
            )
        if before - after < wanted:
            self.value *= _GROWTH
        elif before - after > _TOO_MUCH * wanted:
            self.value /= _GROWTH


def sizes_after(sizes: Mapping[str, int], removals: Removals) -> dict[str, int]:
    """Return how many channels each group has after a removal."""
    return {name: size - len(removals.get(name, ())) for name, size in sizes.items()}


def within_budget(closed: Removals, budget: Budget, *, least: Mapping[str, int]) -> Removals:
    """Return which closed channels go: no more than bring the network to its target.

    Time falls in steps: some numbers of channels take longer than larger ones. So of each group
    only as many go as make the network faster; the others wait, closed, for the next step.

    Args:
        closed: by group name, its closed channels, those first that are to go first.
        budget: what channels cost, and the time at which the run ends.
        least: by group name, how many channels it keeps.
    """
    removals: Removals = {}
    for name, channels in closed.items():
        most = min(len(channels), budget.sizes[name] - least[name])
        changes = budget.cost.changes(sizes_after(budget.sizes, removals), name, most=max(most, 0))
        lowest = 0.0
        for count, change in enumerate(changes, start=1):
            sizes = sizes_after(budget.sizes, removals)
            if budget.time_ms(sizes) <= budget.target_ms:
                return removals
            if change < lowest:
                lowest = change
                removals[name] = channels[:count]
    return removals


def relative_costs(
    cost: NetworkCost | ChannelCount,
    sizes: Mapping[str, int],
    expected: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """Return by group what one of its channels costs, relative to the mean over all channels.

    Time falls in steps, and some numbers of channels take longer than larger ones. So the slope is
    that to the fastest number within which the next step lies, from a number of whole blocks.

    Args:
        cost: what channels cost.
        sizes: how many channels each group has.
        expected: how many each is expected to keep; None for all.
    """
    kept = expected or sizes
    whole = {
        name: min(size, max(1, math.ceil(kept[name] / _WHOLE) * _WHOLE))
        for name, size in sizes.items()
    }
    slopes = {}
    for name, size in whole.items():
        most = min(max(BLOCK, size // LARGEST_SHARE), size - 1)
        changes = cost.changes(whole, name, most=most)
        fastest = int(changes.argmin()) if most else 0
        slopes[name] = max(-float(changes[fastest]) / (fastest + 1), 0.0) if most else 0.0
    mean = sum(slopes[name] * size for name, size in whole.items()) / sum(whole.values())
    return {name: slope / mean if mean else 1.0 for name, slope in slopes.items()}
