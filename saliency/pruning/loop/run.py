"""Prune a trained network against measured time, while it trains on."""

import logging
import math
import sys
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import onnx
from torch import nn
from tqdm import tqdm

from saliency.errors import PruningError
from saliency.pruning.costs import create_cost, latency_cost
from saliency.pruning.latency.onnx_graph import Shapes, find_templates
from saliency.pruning.latency.table import LatencyTable
from saliency.pruning.loop.learner import Learner
from saliency.pruning.loop.state_file import load_state, save_state
from saliency.pruning.methods.method import Budget
from saliency.pruning.methods.options import PruningOptions
from saliency.pruning.methods.pressure import sizes_after

log = logging.getLogger(__name__)

NOTED_SHARE = 0.9  # a point is noted whenever the time has come down to this share of the last
SPARE = 0.99  # of the time asked for: measured again, it never is the very same
CORRECTING_POINTS = 3  # the last ones, whose median is believed: one may have met a busy machine
PASSES_FOR_MEASURED = 5  # of removals beyond the predicted target, until the measured one is met


Point = dict[str, float]
"""`measured_ms`, `speedup` over the unpruned network, and the figures of a validation."""


@runtime_checkable
class Comparison(Protocol):
    """Measures and validates networks of one origin.

    Attributes:
        unpruned_ms: time of the unpruned network, as it was given.
        is_smaller: pruned networks look at a smaller input than it, so that there is something to
            note before the first removal.
    """

    unpruned_ms: float
    is_smaller: bool

    @property
    def graph(self) -> onnx.ModelProto:
        """The unpruned network at the size that is timed."""

    @property
    def shape(self) -> Shapes:
        """The shape of each of its inputs."""

    def measure_unpruned(self) -> Point:
        """Return the time, speedup and figures of the unpruned network."""

    def measure(self, model: Any) -> Point:
        """Return the time, speedup and figures of a network on the CPU."""


class PruningRun:
    """The moving parts of a run, which are saved and restored together.

    Attributes:
        learner: the network at present, and what it learns from.
        points: how it did from the unpruned network on.
        sizes: how many channels each group has.
        least: how many each keeps.
    """

    def __init__(
        self,
        learner: Learner,
        comparison: Comparison,
        *,
        options: PruningOptions,
        table: LatencyTable,
        state: Path,
    ) -> None:
        """Begin with the unpruned network, or where the last state left off.

        Args:
            learner: has the unpruned network.
            comparison: measures it, and what is left of it.
            options: how to prune.
            table: the times of the network's operations.
            state: file of the state, written after each removal.

        Raises:
            SaliencyError: the state cannot be read, or the table is of another network.
        """
        self.options, self.learner, self.comparison = options, learner, comparison
        self._state = state
        groups = learner.groups
        templates = find_templates(comparison.graph, input_shape=comparison.shape)
        self.latency = latency_cost(table, templates, groups)
        self.cost = create_cost(options.cost, table, templates, groups)
        self.sizes = groups.sizes()
        self.least = options.least_of(self.sizes)
        self.removals, self.passes = 0, 0
        self.points: list[Point] = []
        self.ratios: list[float] = []  # measured over predicted, at each point
        stored = load_state(state)
        if stored is not None:
            self._restore(stored)

    @property
    def correction(self) -> float:
        """What the table's times are to be multiplied by."""
        return float(np.median(self.ratios[-CORRECTING_POINTS:])) if self.ratios else 1.0

    @property
    def predicted_ms(self) -> float:
        """The time of the model at present, from the table, corrected by what was measured."""
        return self.correction * self.latency.total(self.sizes)

    @property
    def goal_ms(self) -> float:
        """The time that is asked for; 0 where β decides how far to go."""
        if self.options.beta is not None:
            return 0.0
        if self.options.target_ms is not None:
            return self.options.target_ms
        assert self.options.speedup is not None
        return self.points[0]["measured_ms"] / self.options.speedup

    @property
    def target_ms(self) -> float:
        """The time at which pruning stops, a little below the one asked for."""
        return SPARE * self.goal_ms

    def run(self) -> nn.Module:
        """Prune to the target and return the network, on the CPU.

        Raises:
            PruningError: the target is below what one channel in each group would take.
        """
        if not self.points:
            self._begin()
        self._check_reach()
        bar = tqdm(
            total=self._planned(),
            desc="pruning",
            unit="removal",
            mininterval=0.5 if sys.stderr.isatty() else 30,
            disable=not self.learner.shows_progress,
        )
        while not self._has_arrived():
            loss = self.learner.train(until=(self.removals + 1) * self.options.steps)
            if not self._remove():
                break
            if self.predicted_ms <= NOTED_SHARE * self.points[-1]["measured_ms"]:
                self._note()
            self.save()
            bar.update()
            bar.total = None if not self.target_ms else bar.n + self._planned()
            bar.set_postfix_str(self._shown(loss), refresh=False)
        bar.close()
        if self.points[-1]["removals"] != self.removals:
            self._note()
        return self.learner.copy()

    def _has_arrived(self) -> bool:
        """Whether the target is met, by the table and by measurement.

        Where only one of them says so, what is there is measured (again): the correction of the
        table may be late, and one measurement may have met an idle moment. Where they still
        differ, a few more removals may follow.
        """
        if self.options.beta is not None:
            return False
        last, is_predicted = self.points[-1], self.predicted_ms <= self.target_ms
        is_noted = last["removals"] == self.removals
        if not is_predicted and not (is_noted and last["measured_ms"] <= self.target_ms):
            return False
        if not (is_predicted and is_noted):
            self._note()
        self.passes += 1
        slower_ms = max(self.predicted_ms, self.points[-1]["measured_ms"])
        return slower_ms <= self.target_ms or self.passes > PASSES_FOR_MEASURED

    def _check_reach(self) -> None:
        """Refuse a target that no removal of channels can reach."""
        floor_ms = self.correction * self.latency.total(self.least)
        if self.target_ms and self.target_ms < floor_ms:
            raise PruningError(
                f"expected a target of at least {floor_ms:.3g} ms, which the model takes with the "
                f"channels that each group keeps, got {self.target_ms:.3g} ms; choose a later "
                f"target (at most {self.points[0]['measured_ms'] / floor_ms:.2f} times faster), a "
                "smaller input or a smaller network, or let groups keep less (least)"
            )

    def _planned(self) -> int:
        """Return how many removals are likely still to come, 0 where only β knows."""
        if not self.target_ms:
            return 0
        return max(1, math.ceil(math.log(self.predicted_ms / self.target_ms)
                   / -math.log(1 - self.options.time_share)))  # fmt: skip

    def _remove(self) -> bool:
        """Remove channels for a share of the present time; return whether to go on."""
        goal_ms = (1 - self.options.time_share) * self.predicted_ms
        if self.predicted_ms > self.target_ms:  # or a measurement says that it is not there yet
            goal_ms = max(goal_ms, self.target_ms)
        budget = Budget(
            cost=self.cost,
            sizes=self.sizes,
            time_ms=lambda sizes: self.correction * self.latency.total(sizes),
            goal_ms=goal_ms,
            target_ms=self.target_ms,
        )
        removals = self.learner.choose(budget)
        if removals is None:
            return False
        if removals:
            self.learner.cut(removals)
            self.sizes = sizes_after(self.sizes, removals)
        self.removals += 1
        return True

    def _begin(self) -> None:
        """Measure and validate the unpruned model, and what it is with a smaller input."""
        point = self.comparison.measure_unpruned()
        self._add(point)
        if self.comparison.is_smaller:
            self._note()
        else:
            self._compare(point)

    def _note(self) -> None:
        """Measure and validate the model at present."""
        point = self.comparison.measure(self.learner.copy())
        self._compare(point)
        self._add(point)

    def _compare(self, point: Point) -> None:
        self.ratios.append(point["measured_ms"] / self.latency.total(self.sizes))

    def _add(self, point: Point) -> None:
        if self.removals and self.points[-1]["removals"] == self.removals:
            self.points.pop()  # measured once more
        channels = float(sum(self.sizes.values()))
        self.points.append({"removals": float(self.removals), "channels": channels, **point})
        shown = ", ".join(f"{name} {value:.4g}" for name, value in self.points[-1].items())
        log.info("while pruning: %s", shown)

    def _shown(self, loss: float) -> str:
        measured_ms = self.points[-1]["measured_ms"]
        return (
            f"predicted {self.predicted_ms:.2f} ms, last measured {measured_ms:.2f} ms, "
            f"target {self.target_ms:.2f} ms, loss {loss:.3f}, {sum(self.sizes.values())} channels"
        )

    def save(self) -> None:
        """Write the state."""
        state = {
            "removals": self.removals,
            "passes": self.passes,
            "ratios": self.ratios,
            "points": self.points,
            "sizes": self.sizes,
            "learner": self.learner.state(),
        }
        save_state(state, self._state)

    def _restore(self, state: dict[str, Any]) -> None:
        self.removals, self.passes = state["removals"], state["passes"]
        self.ratios = state["ratios"]
        self.points, self.sizes = state["points"], state["sizes"]
        self.comparison.unpruned_ms = self.points[0]["measured_ms"]
        self.learner.restore(state["learner"])
        log.info("going on after removal %d", self.removals)
