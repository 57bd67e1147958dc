"""Prune a trained model against measured time, while it trains on."""

import copy
import dataclasses
import logging
import math
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from saliency.allocator import keep_freed_memory
from saliency.errors import PruningError
from saliency.gauge import Gauge, Point
from saliency.guide import Guide
from saliency.model import SaliencyModel
from saliency.pruning.compensation import remove_and_compensate
from saliency.pruning.costs import create_cost, latency_cost
from saliency.pruning.groups import ChannelGroups, find_groups, remaining_groups
from saliency.pruning.latency import LatencyTable
from saliency.pruning.layers import NORMS, channel_layers
from saliency.pruning.network_graph import find_templates
from saliency.pruning.optimizers import remove_moments
from saliency.pruning.selection import Selection
from saliency.pruning.signals import SignalCollector
from saliency.pruning.surgery import channel_counts, remaining_outputs, resize_layers
from saliency.pruning_options import PruningOptions
from saliency.run_folder import RunFolder
from saliency.stepping import (
    create_optimizer,
    launch_fabric,
    load_batches,
    take_step,
)
from saliency.training_data import TrainingData, gather_sources
from saliency.training_options import TrainingOptions

log = logging.getLogger(__name__)

WARM_UP_STEPS = 50
COMPENSATING_BATCHES = 4  # the last ones before a removal, by which the rest makes up for it
NOTED_SHARE = 0.9  # a point is noted whenever the time has come down to this share of the last
SPARE = 0.99  # of the time asked for: measured again, it never is the very same
PASSES_FOR_MEASURED = 5  # of removals beyond the predicted target, until the measured one is met
EXAMPLE = torch.zeros(1, 64, 96, 3, dtype=torch.uint8)


class PruningRun:
    """The moving parts of a run, which are saved and restored together.

    Attributes:
        model: as it is at present.
        points: how it did from the unpruned model on.
        sizes: how many channels each group has.
    """

    def __init__(
        self,
        start: SaliencyModel,
        data: TrainingData,
        *,
        options: PruningOptions,
        training: TrainingOptions,
        folder: RunFolder,
        teacher_cache: Path,
        table: LatencyTable,
        gauge: Gauge,
    ) -> None:
        """Begin with the unpruned model, or where the folder's last state left off.

        Raises:
            SaliencyError: the model has nothing to prune, or something cannot be read.
        """
        keep_freed_memory()
        torch.manual_seed(training.seed)
        training = dataclasses.replace(training, input_pixels=start.config.input_pixels)
        self.options, self.training, self.folder = options, training, folder
        self.gauge = gauge
        self.groups = find_groups(start, EXAMPLE)
        templates = find_templates(self.gauge.graph, input_shape=self.gauge.shape)
        self.latency = latency_cost(table, templates, self.groups)
        self.cost = create_cost(options.cost, table, templates, self.groups)
        self.sizes = {group.name: group.size for group in self.groups.prunable}
        self.sources = gather_sources(data, cache=teacher_cache)
        self.fabric = launch_fabric(training)
        self.guide = Guide.load(data.guide, self.fabric, share=training.teacher_weight)
        self.photos: deque[Tensor] = deque(maxlen=COMPENSATING_BATCHES)
        self.model = start.to(self.fabric.device).to(memory_format=torch.channels_last)
        self.collector = SignalCollector(self.groups, options.signal, seed=training.seed)
        self.step, self.removals, self.passes = 0, 0, 0
        self.points: list[Point] = []
        self.correction = 1.0  # measured over predicted
        self._set_up(create_optimizer(self.model, training))
        state = folder.load_state()
        if state is not None:
            self._restore(state)

    @property
    def predicted_ms(self) -> float:
        """The time of the model at present, from the table, corrected by what was measured."""
        return self.correction * self.latency.total(self.sizes)

    @property
    def target_ms(self) -> float:
        """The time to come down to; 0 where β says how far to go."""
        if self.options.beta is not None:
            return 0.0
        if self.options.target_ms is not None:
            return SPARE * self.options.target_ms
        assert self.options.speedup is not None
        return SPARE * self.points[0]["measured_ms"] / self.options.speedup

    def run(self) -> SaliencyModel:
        """Prune to the target and return the model, on the CPU.

        Raises:
            PruningError: the target is below what one channel in each group would take.
        """
        if not self.points:
            self._note()
        self._check_reach()
        batches = self._batches()
        bar = tqdm(
            total=self._planned(),
            desc="pruning",
            unit="removal",
            mininterval=0.5 if sys.stderr.isatty() else 30,
            disable=not self.fabric.is_global_zero,
        )
        while not self._has_arrived():
            loss = self._train(batches, until=(self.removals + 1) * self.options.steps)
            if not self._remove():
                break
            if self.predicted_ms <= NOTED_SHARE * self.points[-1]["measured_ms"]:
                self._note()
            self._save()
            bar.update()
            bar.total = None if not self.target_ms else bar.n + self._planned()
            bar.set_postfix_str(self._shown(loss), refresh=False)
        bar.close()
        if self.points[-1]["removals"] != self.removals:
            self._note()
        return self._copy()

    def _copy(self) -> SaliencyModel:
        """Return the model at present, on the CPU, in evaluation mode."""
        model = copy.deepcopy(self.model).cpu()
        return model.eval()

    def _has_arrived(self) -> bool:
        """Whether the target is met, by the table and then by measurement."""
        if self.options.beta is not None or self.predicted_ms > self.target_ms:
            return False
        if self.points[-1]["removals"] != self.removals:
            self._note()
        self.passes += 1
        return self.predicted_ms <= self.target_ms or self.passes > PASSES_FOR_MEASURED

    def _check_reach(self) -> None:
        """Refuse a target that no removal of channels can reach."""
        least = {name: min(size, self.options.least) for name, size in self.sizes.items()}
        floor_ms = self.correction * self.latency.total(least)
        if self.target_ms and self.target_ms < floor_ms:
            raise PruningError(
                f"expected a target of at least {floor_ms:.2f} ms, which the model takes with "
                f"{self.options.least} channels in each group, got {self.target_ms:.2f} ms; "
                "choose a later target, a smaller input or a smaller backbone"
            )

    def _planned(self) -> int:
        """Return how many removals are likely still to come, 0 where only β knows."""
        if not self.target_ms:
            return 0
        return max(1, math.ceil(math.log(self.predicted_ms / self.target_ms)
                   / -math.log(1 - self.options.time_share)))  # fmt: skip

    def _train(self, batches: Iterator[Sequence[Tensor]], *, until: int) -> float:
        """Take steps, which the signals are told by; return the mean loss."""
        self.wrapped.train()
        losses = []
        while self.step < until:
            warmth = min(1.0, (self.step + 1) / WARM_UP_STEPS)
            for group, greatest in zip(self.optimizer.param_groups, self._rates(), strict=True):
                group["lr"] = warmth * self.options.rate_share * greatest
            with self.collector.watch(self.model):
                batch = next(batches)
                losses.append(
                    take_step(
                        self.fabric,
                        self.wrapped,
                        self.optimizer,
                        batch,
                        options=self.training,
                        guide=self.guide,
                    )
                )
            self.photos.append(batch[0])
            self.step += 1
        return float(torch.stack(losses).mean()) if losses else math.nan

    def _rates(self) -> tuple[float, float]:
        return self.training.backbone_rate, self.training.readout_rate

    def _remove(self) -> bool:
        """Remove channels for a share of the present time; return whether any went."""
        selection = Selection(
            self.collector.signals(self.model),
            self.cost,
            sizes=self.sizes,
            beta=self.options.beta,
            least=self.options.least,
        )
        goal_ms = max(self.target_ms, (1 - self.options.time_share) * self.predicted_ms)
        while self.correction * self.latency.total(selection.sizes) > goal_ms:
            if selection.decide() is None:
                break
        removals = selection.removals
        if removals:
            self._cut(removals)
            self.sizes = dict(selection.sizes)
            self.removals += 1
        elif self.options.beta is None:
            raise PruningError(
                f"no channel is left to remove at {self.predicted_ms:.2f} ms, the target is "
                f"{self.target_ms:.2f} ms; choose a later target"
            )
        return bool(removals)

    def _cut(self, removals: dict[str, list[int]]) -> None:
        """Remove channels from the model and from all that goes with it."""
        names = {parameter: name for name, parameter in self.model.named_parameters()}
        states = {names[parameter]: state for parameter, state in self.optimizer.state.items()}
        moments = remove_moments(states, self.model, self.groups, removals)
        pruned = remove_and_compensate(self.model, self.groups, removals, self.photos)
        self.photos.clear()
        assert isinstance(pruned, SaliencyModel)
        pruned.origins = origins_after(self.model, self.groups, removals)
        self.model = pruned
        self.groups = remaining_groups(self.groups, removals)
        self.collector.remove(self.groups, removals)
        self.collector.forget(self.options.forget)
        self._set_up(self._optimizer_with(moments))

    def _optimizer_with(self, moments: dict[str, dict[str, Any]]) -> torch.optim.Optimizer:
        """Return an optimizer for the model at present that remembers these moments."""
        optimizer = create_optimizer(self.model, self.training)
        for name, parameter in self.model.named_parameters():
            if name in moments:
                optimizer.state[parameter] = moments[name]
        return optimizer

    def _set_up(self, optimizer: torch.optim.Optimizer) -> None:
        self.wrapped, self.optimizer = self.fabric.setup(self.model, optimizer)

    def _note(self) -> None:
        """Measure and validate the model at present."""
        point = self.gauge.measure(self._copy(), is_unpruned=self.removals == 0)
        self.correction = point["measured_ms"] / self.latency.total(self.sizes)
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

    def _batches(self) -> Iterator[Sequence[Tensor]]:
        return load_batches(
            self.fabric,
            self.sources,
            self.training,
            size_multiple=self.model.size_multiple,
            first_step=self.step,
            last_step=sys.maxsize,
            has_guide=self.guide is not None,
        )

    def _save(self) -> None:
        names = {parameter: name for name, parameter in self.model.named_parameters()}
        self.folder.save_state(
            {
                "step": self.step,
                "removals": self.removals,
                "passes": self.passes,
                "correction": self.correction,
                "points": self.points,
                "sizes": self.sizes,
                "channels": channel_counts(self.model),
                "origins": self.model.origins,
                "model": self.model.state_dict(),
                "moments": {names[key]: state for key, state in self.optimizer.state.items()},
                "examples": self.collector.examples,
                "seed": self.collector.seed,
                "sums": {name: torch.from_numpy(x) for name, x in self.collector.sums.items()},
            }
        )

    def _restore(self, state: dict[str, Any]) -> None:
        self.step, self.removals = state["step"], state["removals"]
        self.passes, self.correction = state["passes"], state["correction"]
        self.points, self.sizes = state["points"], state["sizes"]
        self.gauge.unpruned_ms = self.points[0]["measured_ms"]
        resized = resize_layers(self.model, state["channels"])
        assert isinstance(resized, SaliencyModel)
        resized.load_state_dict(state["model"])
        resized.origins = state["origins"]
        self.model = resized
        self.groups = find_groups(resized.cpu(), EXAMPLE)
        self.model.to(self.fabric.device)
        self.collector.groups, self.collector.seed = self.groups, state["seed"]
        self.collector.examples = state["examples"]
        self.collector.sums = {name: values.numpy() for name, values in state["sums"].items()}
        device = self.fabric.device
        moments = {
            name: {key: value.to(device) if key != "step" else value for key, value in s.items()}
            for name, s in state["moments"].items()
        }
        self._set_up(self._optimizer_with(moments))
        log.info("going on after removal %d", self.removals)


def origins_after(
    model: SaliencyModel, groups: ChannelGroups, removals: dict[str, list[int]]
) -> dict[str, list[int]]:
    """Return the `origins` of a model after a removal."""
    left = remaining_outputs(model, groups, removals)
    norms = {name for name, layer in channel_layers(model).items() if isinstance(layer, NORMS)}
    return {
        name: [model.origins[name][k] for k in channels] if name in model.origins else channels
        for name, channels in left.items()
        if name in norms
    }
