import itertools

import numpy as np
import pytest

from saliency.pruning.selection import Selection

SIGNALS = {"a": np.array([0.5, 0.1, 0.9, 0.3]), "b": np.array([0.2, 0.8])}
"""Six channels in two groups."""


class Bilinear:
    """Layers a → b and b → out: cost a·3 + a·b·2 + b, each removal felt by both groups."""

    def total(self, sizes):
        return 3.0 * sizes["a"] + 2.0 * sizes["a"] * sizes["b"] + sizes["b"]

    def changes(self, sizes, group, *, most):
        counts = range(sizes[group] - 1, sizes[group] - most - 1, -1)
        return np.array([self.total({**sizes, group: count}) for count in counts]) - self.total(
            sizes
        )

    def neighbours(self, group):
        return {"a", "b"}


class Stairs:
    """Cost falls only where a group crosses a multiple of four."""

    def changes(self, sizes, group, *, most):
        counts = np.arange(sizes[group] - 1, sizes[group] - most - 1, -1)
        return (-(-counts // 4) - -(-sizes[group] // 4)).astype(float)

    def neighbours(self, group):
        return {group}


def decisions(selection):
    found = []
    while (decision := selection.decide()) is not None:
        found.append(decision)
    return found


def brute_force(cost, *, rate):
    """Try every group and channel at each step, one channel at a time."""
    left = {name: dict(enumerate(values)) for name, values in SIGNALS.items()}
    order = []
    while True:
        sizes = {name: len(channels) for name, channels in left.items()}
        choices = [
            (
                rate(signal, cost.total({**sizes, name: sizes[name] - 1}) - cost.total(sizes)),
                name,
                k,
            )
            for name, channels in left.items()
            if len(channels) > 1
            for k, signal in channels.items()
        ]
        if not choices:
            return order
        _, name, channel = min(choices)
        del left[name][channel]
        order.append((name, channel))


def test_decisions_match_brute_force_on_six_channels():
    found = decisions(Selection(SIGNALS, Bilinear()))
    expected = brute_force(Bilinear(), rate=lambda loss, change: loss / -change)
    assert [(one.group, *one.channels) for one in found] == expected
    assert len(found) == 4


@pytest.mark.parametrize("beta", [0.0, 0.01, 0.05, 0.2, 10.0])
def test_fixed_beta_goes_on_while_the_sum_is_below_zero(beta):
    """ΔL + β·ΔC of every decision is below 0, and of every one that was left above."""
    selection = Selection(SIGNALS, Bilinear(), beta=beta)
    found = decisions(selection)
    assert all(one.loss + beta * one.cost < 0 for one in found)
    for name in ("a", "b"):
        if selection.sizes[name] > 1:
            gone = selection.removals.get(name, [])
            least = min(np.delete(SIGNALS[name], gone))
            change = Bilinear().changes(selection.sizes, name, most=1)[0]
            assert least + beta * change >= 0


def test_costs_are_told_anew_after_each_removal():
    """Channels of b cost 2a + 1 each: less after channels of a have gone."""
    costs = {one.group: one.cost for one in decisions(Selection(SIGNALS, Bilinear()))}
    selection = Selection(SIGNALS, Bilinear())
    sizes = dict(selection.sizes)
    while (decision := selection.decide()) is not None:
        assert decision.cost == Bilinear().changes(sizes, decision.group, most=1)[0]
        sizes[decision.group] -= len(decision.channels)
    assert costs["a"] != Bilinear().changes({"a": 4, "b": 2}, "a", most=1)[0]


def test_decision_goes_a_whole_step_down():
    found = decisions(Selection({"a": np.arange(10.0)}, Stairs()))
    assert [one.channels for one in found] == [(0, 1), (2, 3, 4, 5)]
    assert [one.cost for one in found] == [-1.0, -1.0]


def test_step_that_lies_far_down_is_found():
    class Cliff(Stairs):
        def changes(self, sizes, group, *, most):
            return np.where(np.arange(1, most + 1) < 40, 0.0, -1.0)

    (decision,) = decisions(Selection({"a": np.arange(60.0)}, Cliff()))[:1]
    assert decision.channels == tuple(range(40))


def test_channels_of_least_signal_go_first():
    (first, *_) = decisions(Selection({"a": np.array([3.0, 1, 2, 9, 8, 7])}, Stairs()))
    assert first.channels == (1, 2)
    assert first.loss == 3.0


def test_no_group_is_emptied():
    selection = Selection(SIGNALS, Bilinear())
    decisions(selection)
    assert selection.sizes == {"a": 1, "b": 1}


def test_groups_keep_the_least_that_they_must():
    selection = Selection(SIGNALS, Bilinear(), least={"a": 2, "b": 1})
    decisions(selection)
    assert selection.sizes == {"a": 2, "b": 1}


def test_ties_go_to_the_earlier_group_and_channel():
    signals = {"x": np.ones(3), "y": np.ones(3)}

    class Flat(Stairs):
        def changes(self, sizes, group, *, most):
            return -np.arange(1.0, most + 1)

    found = [(one.group, one.channels) for one in decisions(Selection(signals, Flat()))]
    assert found == [("x", (0,)), ("x", (1,)), ("y", (0,)), ("y", (1,))]


def test_the_same_signals_give_the_same_decisions():
    random = np.random.default_rng(0)
    signals = {name: random.random(12) for name in "abc"}
    runs = [decisions(Selection(signals, Stairs())) for _ in range(2)]
    assert runs[0] == runs[1]


def test_removal_that_saves_nothing_is_not_made():
    class Free(Stairs):
        def changes(self, sizes, group, *, most):
            return np.zeros(most)

    assert decisions(Selection(SIGNALS, Free())) == []


def test_removals_are_the_channels_of_all_decisions():
    selection = Selection(SIGNALS, Bilinear())
    found = list(itertools.islice(iter(selection.decide, None), 3))
    for name, gone in selection.removals.items():
        assert gone == [k for one in found if one.group == name for k in one.channels]


@pytest.mark.parametrize(("beta", "least"), [(-1.0, 1), (float("nan"), 1), (None, 0)])
def test_impossible_settings_are_refused(beta, least):
    with pytest.raises(ValueError, match="expected at least 1 channel"):
        Selection(SIGNALS, Bilinear(), beta=beta, least={"a": least, "b": 1})


def test_signals_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="finite signals"):
        Selection({"a": np.array([np.nan, np.nan])}, Stairs.__new__(_Linear)).decide()


class _Linear(Stairs):
    def changes(self, sizes, group, *, most):
        return -np.arange(1.0, most + 1)
