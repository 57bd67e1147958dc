"""The model of a pruning run: it trains on between removals and loses channels at them."""

import dataclasses
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from saliency.memory import keep_kernels, reuse_large_blocks
from saliency.model.network import SaliencyModel
from saliency.pruning.channels.layers import NORMS, channel_layers
from saliency.pruning.groups import ChannelGroups, find_groups
from saliency.pruning.loop.learner import Learner, Moments, give_moments
from saliency.pruning.methods.create import create_method
from saliency.pruning.methods.method import Removals
from saliency.pruning.methods.options import PruningOptions
from saliency.pruning.surgery import remaining_outputs
from saliency.training.data import TrainingData
from saliency.training.inputs.batch import Batch
from saliency.training.optimizer import create_optimizer
from saliency.training.options import TrainingOptions
from saliency.training.run_folder import RunFolder
from saliency.training.session import LearningSession

WARM_UP_STEPS = 50
EXAMPLE = torch.zeros(1, 64, 96, 3, dtype=torch.uint8)


@dataclasses.dataclass(frozen=True)
class SessionStep:
    """A step of `LearningSession`, as methods take it.

    Attributes:
        session: what is learned from.
        wrapped: the model, as Fabric wrapped it.
        optimizer: of its weights, as Fabric wrapped it.
        batch: what is shown.
    """

    session: LearningSession
    wrapped: Any
    optimizer: Any
    batch: Batch

    def take(self, penalty: Callable[[], Tensor] | None = None) -> Tensor:
        """Take the step as training does; return the loss without the penalty."""
        return self.session.take_step(self.wrapped, self.optimizer, self.batch, penalty=penalty)

    def clear(self) -> None:
        """Forget the gradients of the step before."""
        self.optimizer.zero_grad(set_to_none=True)

    def loss(self) -> Tensor:
        """Return the loss of the batch, a scalar to be differentiated."""
        return self.session.loss(self.wrapped, self.batch)

    def backward(self, loss: Tensor) -> None:
        """Differentiate a loss."""
        self.session.fabric.backward(loss)

    def descend(self) -> None:
        """Change the weights by their gradients."""
        self.session.descend(self.wrapped, self.optimizer)


class PruningLearner(Learner):
    """A saliency model and what it learns from."""

    model: SaliencyModel

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
        reuse_large_blocks()
        keep_kernels()
        torch.manual_seed(training.seed)
        self.options, self.training = options, training
        groups = self.find_groups(start)
        # Features are for fine-tuning: the signal is to be of the densities' loss alone.
        learning = dataclasses.replace(training, feature_weight=0.0)
        self.session = LearningSession(start, data, learning, run)
        self.fabric = self.session.fabric
        self.shows_progress = self.fabric.is_global_zero
        model = start.to(self.fabric.device).to(memory_format=torch.channels_last)
        self._batches: Iterator[Batch] | None = None
        super().__init__(model, groups, create_method(model, groups, options, seed=training.seed))

    def find_groups(self, model: nn.Module) -> ChannelGroups:
        """Return the channel groups of a model on the CPU."""
        return find_groups(model, EXAMPLE)

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
            step = SessionStep(self.session, self.wrapped, self.optimizer, batch)
            losses.append(self.method.take_step(self.model, step))
            self.batches.append(self.session.shrunk_for(self.model, batch.photos))
            self.step += 1
        return float(torch.stack(losses).mean()) if losses else math.nan

    def cut(self, removals: Removals) -> None:
        """Remove channels from the model and from its optimizer."""
        origins = origins_after(self.model, self.groups, removals)
        super().cut(removals)
        self.model.origins = origins

    def state(self) -> dict[str, Any]:
        """Return all that `restore` needs, right after a removal."""
        return super().state() | {"origins": self.model.origins}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`, with a learner that has just begun."""
        super().restore(state)
        self.model.origins = state["origins"]

    def set_up(self, moments: Moments) -> None:
        """Make an optimizer for the model at present that remembers these moments."""
        optimizer = create_optimizer(self.model, self.training)
        give_moments(optimizer, self.model, moments)
        self.wrapped, self.optimizer = self.fabric.setup(self.model, optimizer)

    def _set_rates(self) -> None:
        warmth = min(1.0, (self.step + 1) / WARM_UP_STEPS)
        greatest = self.training.backbone_rate, self.training.readout_rate
        for group, rate in zip(self.optimizer.param_groups, greatest, strict=True):
            group["lr"] = warmth * self.options.rate_share * rate


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
