"""Facts about the strength of a penalty, and about what it may close."""

import numpy as np
import pytest

from saliency.errors import PruningError
from saliency.pruning.costs import ChannelCount
from saliency.pruning.methods.method import Budget
from saliency.pruning.methods.pressure import (
    Multiplier,
    relative_costs,
    sizes_after,
    within_budget,
)


def budget(*, goal_ms, target_ms, cost=None):
    """Return one of a network that takes a millisecond for each channel."""
    return Budget(
        cost=cost or ChannelCount(),
        sizes={"a": 10, "b": 10},
        time_ms=lambda wanted: float(sum(wanted.values())),
        goal_ms=float(goal_ms),
        target_ms=float(target_ms),
    )


@pytest.mark.parametrize(("closed", "follows"), [(0, 1), (1, 1), (2, 0), (4, 0), (5, -1)])
def test_strength_follows_the_time_that_is_saved(closed, follows):
    multiplier = Multiplier(1.0)
    multiplier.follow(budget(goal_ms=18, target_ms=5), {"a": list(range(closed))})
    assert np.sign(np.log(multiplier.value)) == follows


def test_strength_that_closes_nothing_for_long_is_an_error():
    multiplier = Multiplier(1.0)
    given = budget(goal_ms=18, target_ms=5)
    for _ in range(80):
        multiplier.follow(given, {})
    with pytest.raises(PruningError, match=r"target is 5\.00 ms; choose a later target"):
        multiplier.follow(given, {})


def test_no_more_goes_than_the_target_needs_and_the_lowest_first():
    closed = {name: list(range(10))[::-1] for name in "ab"}
    removals = within_budget(closed, budget(goal_ms=18, target_ms=9), least={"a": 1, "b": 1})
    assert removals == {"a": [9, 8, 7, 6, 5, 4, 3, 2, 1], "b": [9, 8]}


def test_channels_go_in_steps_that_save_time():
    class Steps(ChannelCount):  # odd numbers of channels take longer than any even one
        def changes(self, sizes, group, *, most):
            counts = np.arange(sizes[group] - 1, sizes[group] - most - 1, -1)
            return np.where(counts % 2, 100.0, counts) - sizes[group]

    given = budget(goal_ms=18, target_ms=0, cost=Steps())
    assert within_budget({"a": [1, 2, 3], "b": [4]}, given, least={"a": 1, "b": 1}) == {"a": [1, 2]}


def test_every_group_keeps_its_least():
    closed = {"a": list(range(10))}
    removals = within_budget(closed, budget(goal_ms=18, target_ms=0), least={"a": 3})
    assert sizes_after({"a": 10, "b": 10}, removals) == {"a": 3, "b": 10}


def test_costs_follow_the_steps_of_time_and_not_the_slow_numbers_between_them():
    class Steps(ChannelCount):  # only whole blocks are fast
        def changes(self, sizes, group, *, most):
            counts = np.arange(sizes[group] - 1, sizes[group] - most - 1, -1)
            return np.where(counts % 8, 100.0, counts - sizes[group])

    costs = relative_costs(Steps(), {"a": 64, "b": 136}, {"a": 57.4, "b": 130.2})
    assert costs == {"a": pytest.approx(1), "b": pytest.approx(1)}


def test_costs_are_relative_to_their_mean_over_channels():
    class Twice(ChannelCount):
        def changes(self, sizes, group, *, most):
            return super().changes(sizes, group, most=most) * (3 if group == "a" else 1)

    costs = relative_costs(Twice(), {"a": 10, "b": 30})
    assert costs["a"] == 3 * costs["b"]
    assert (10 * costs["a"] + 30 * costs["b"]) / 40 == pytest.approx(1)
