"""The model of a pruning run: it trains on between removals and loses channels at them."""

import copy
import dataclasses
import math
import sys
from collections import deque
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from saliency.compression.methods.create import create_method
from saliency.compression.methods.method import Budget, Removals, Step
from saliency.compression.methods.options import PruningOptions
from saliency.model.network import SaliencyModel
from saliency.pruning.compensation import remove_and_compensate
from saliency.pruning.groups import ChannelGroups, find_groups, remaining_groups
from saliency.pruning.layers import NORMS, channel_layers
from saliency.pruning.optimizer_state import remove_moments
from saliency.pruning.surgery import (
    channel_counts,
    remaining_outputs,
    remove_channels,
    resize_layers,
)
from saliency.training.data import TrainingData
from saliency.training.inputs.batch import Batch
from saliency.training.optimizer import create_optimizer
from saliency.training.options import TrainingOptions
from saliency.training.run_folder import RunFolder
from saliency.training.session import LearningSession

WARM_UP_STEPS = 50
COMPENSATING_BATCHES = 4  # the last ones before a removal, by which the rest makes up for it
EXAMPLE = torch.zeros(1, 64, 96, 3, dtype=torch.uint8)


class PruningLearner:
    """A model, what it learns from, and the method that chooses channels meanwhile.

    Attributes:
        model: as it is at present.
        groups: its channel groups.
        method: how channels are chosen.
        step: training steps taken.
    """

    def __init__(
        self,
        start: SaliencyModel,
        data: TrainingData,
        *,
        options: PruningOptions,
        training: TrainingOptions,
        run: RunFolder,
    ) -> None:
        """Begin with the unpruned model.

        Args:
            start: the unpruned model.
            data: what to learn from.
            options: how to prune.
            training: how to train on.
            run: where the whole run, fine-tuning too, keeps what it learns from.

        Raises:
            SaliencyError: the model has nothing to prune, or something cannot be read.
        """
        self.options, self.training = options, training
        self.groups = find_groups(start, EXAMPLE)
        # Features are for fine-tuning: the signal is to be of the densities' loss alone.
        learning = dataclasses.replace(training, feature_weight=0.0)
        self.session = LearningSession(start, data, learning, run)
        self.fabric = self.session.fabric
        self.photos: deque[Tensor] = deque(maxlen=COMPENSATING_BATCHES)
        self.model = start.to(self.fabric.device).to(memory_format=torch.channels_last)
        self.method = create_method(self.model, self.groups, options, seed=training.seed)
        self.step = 0
        self._set_up(create_optimizer(self.model, training))
        self._batches: Iterator[Batch] | None = None

    def choose(self, budget: Budget) -> Removals | None:
        """Return the channels that go now, perhaps none; None when no more will."""
        return self.method.choose(self.model, budget)

    def copy(self) -> SaliencyModel:
        """Return the model at present, on the CPU, in evaluation mode."""
        copied = copy.deepcopy(self.model).cpu().eval()
        self.method.fold(copied)
        return copied

    def train(self, *, until: int) -> float:
        """Take training steps; return the mean loss."""
        self.wrapped.train()
        if self._batches is None:
            size_multiple = self.model.size_multiple
            self._batches = self.session.batches(
                self.step, sys.maxsize, size_multiple=size_multiple
            )
        losses = []
        while self.step < until:
            self._set_rates()
            batch = next(self._batches)
            step = Step(self.session, self.wrapped, self.optimizer, batch)
            losses.append(self.method.take_step(self.model, step))
            self.photos.append(self.session.shrunk_for(self.model, batch.photos))
            self.step += 1
        return float(torch.stack(losses).mean()) if losses else math.nan

    def cut(self, removals: dict[str, list[int]]) -> None:
        """Remove channels from the model and from its optimizer and average."""
        names = {parameter: name for name, parameter in self.model.named_parameters()}
        states = {names[parameter]: state for parameter, state in self.optimizer.state.items()}
        moments = remove_moments(states, self.model, self.groups, removals)
        if self.method.are_silent:
            pruned = remove_channels(self.model, self.groups, removals)
        else:
            pruned = remove_and_compensate(self.model, self.groups, removals, self.photos)
        assert isinstance(pruned, SaliencyModel)
        pruned.origins = origins_after(self.model, self.groups, removals)
        self.photos.clear()
        self.model = pruned
        self.groups = remaining_groups(self.groups, removals)
        self.method.cut(self.groups, removals)
        self._set_up(self._optimizer_with(moments))

    def state(self) -> dict[str, Any]:
        """Return all that `restore` needs, right after a removal."""
        names = {parameter: name for name, parameter in self.model.named_parameters()}
        return {
            "step": self.step,
            "channels": channel_counts(self.model),
            "origins": self.model.origins,
            "model": self.model.state_dict(),
            "moments": {names[key]: state for key, state in self.optimizer.state.items()},
            "method": self.method.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`, with a learner that has just begun."""
        self.step = state["step"]
        resized = resize_layers(self.model, state["channels"])
        assert isinstance(resized, SaliencyModel)
        resized.load_state_dict(state["model"])
        resized.origins = state["origins"]
        self.model = resized
        self.groups = find_groups(resized.cpu(), EXAMPLE)
        self.model.to(self.fabric.device)
        self.method.restore(self.groups, state["method"])
        device = self.fabric.device
        moments = {
            name: {key: value.to(device) if key != "step" else value for key, value in s.items()}
            for name, s in state["moments"].items()
        }
        self._set_up(self._optimizer_with(moments))

    def _set_up(self, optimizer: torch.optim.Optimizer) -> None:
        self.wrapped, self.optimizer = self.fabric.setup(self.model, optimizer)

    def _set_rates(self) -> None:
        warmth = min(1.0, (self.step + 1) / WARM_UP_STEPS)
        greatest = self.training.backbone_rate, self.training.readout_rate
        for group, rate in zip(self.optimizer.param_groups, greatest, strict=True):
            group["lr"] = warmth * self.options.rate_share * rate

    def _optimizer_with(self, moments: dict[str, dict[str, Any]]) -> torch.optim.Optimizer:
        """Return an optimizer for the model at present that remembers these moments."""
        optimizer = create_optimizer(self.model, self.training)
        for name, parameter in self.model.named_parameters():
            if name in moments:
                optimizer.state[parameter] = moments[name]
        return optimizer


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
