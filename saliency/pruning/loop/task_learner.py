"""The learner of a task: any network, trained by its own loss on its own batches."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from saliency.pruning.channels.layers import NORMS
from saliency.pruning.compensation import Batch
from saliency.pruning.groups import ChannelGroups
from saliency.pruning.latency.exporting import copy_network
from saliency.pruning.loop.example import Example
from saliency.pruning.loop.learner import Learner, Moments, give_moments
from saliency.pruning.loop.task import EndlessBatches, Task
from saliency.pruning.methods.create import create_method
from saliency.pruning.methods.options import PruningOptions
from saliency.pruning.methods.ranking import Ranking

_WITHOUT_DATA = ("magnitude", "random")  # signals


@dataclass(frozen=True)
class TaskStep:
    """A step on one batch of a task, as methods take it."""

    task: Task
    model: nn.Module
    optimizer: torch.optim.Optimizer
    batch: Any
    number: int

    def take(self, penalty: Callable[[], Tensor] | None = None) -> Tensor:
        """Take the step; return the loss, a scalar, without the penalty."""
        self.clear()
        loss = self.loss()
        self.backward(loss if penalty is None else loss + penalty())
        self.descend()
        return loss.detach()

    def clear(self) -> None:
        """Forget the gradients of the step before."""
        self.optimizer.zero_grad(set_to_none=True)

    def loss(self) -> Tensor:
        """Return the loss of the batch, a scalar to be differentiated."""
        return self.task.checked_loss(self.model, self.batch, step=self.number)

    def backward(self, loss: Tensor) -> None:
        """Differentiate a loss."""
        loss.backward()  # type: ignore[no-untyped-call]

    def descend(self) -> None:
        """Change the weights by their gradients."""
        self.optimizer.step()


class TaskLearner(Learner):
    """A network that learns a task. Batch norms keep their statistics meanwhile."""

    def __init__(
        self, model: nn.Module, example: Example, task: Task, *, options: PruningOptions
    ) -> None:
        """Begin with the unpruned network.

        Args:
            model: the network, on the device where it trains.
            example: its input.
            task: what it learns.
            options: how to prune.

        Raises:
            PruningError: it has nothing to prune.
        """
        self.task, self._example = task, example
        self._data = EndlessBatches(task)
        groups = self.find_groups(copy_network(model).cpu())
        super().__init__(model, groups, create_method(model, groups, options, seed=task.seed))

    def find_groups(self, model: nn.Module) -> ChannelGroups:
        """Return the channel groups of a network on the CPU."""
        return self._example.groups_of(model)

    def train(self, *, until: int) -> float:
        """Take training steps; return the mean loss."""
        losses = []
        while self.step < until:
            self.model.train()
            for layer in self.model.modules():
                if isinstance(layer, NORMS):
                    layer.eval()  # or the loss of an example would depend on the others
            batch = self._data.take()
            step = TaskStep(self.task, self.model, self.optimizer, batch, self.step)
            with _Watched(self.model) as watched:
                losses.append(self.method.take_step(self.model, step).detach().float())
            if watched.batch is not None:
                self.batches.append(watched.batch)
            self.step += 1
        return float(torch.stack(losses).mean()) if losses else math.nan

    def set_up(self, moments: Moments) -> None:
        """Make an optimizer for the network at present that remembers these moments."""
        self.optimizer = self.task.make_optimizer(self.model.parameters())
        give_moments(self.optimizer, self.model, moments)

    def unseen(self) -> dict[str, str]:
        """Return the groups that had no signal and so kept their channels, with the reason."""
        if not isinstance(self.method, Ranking) or self.method.collector.kind in _WITHOUT_DATA:
            return {}
        if not self.method.collector.examples:  # it was fast enough as it was
            return {}
        reason = "no gradient came back: its layers are frozen, or did not run"
        return dict.fromkeys(sorted(self.method.collector.unseen), reason)

    def state(self) -> dict[str, Any]:
        """Return all that `restore` needs, right after a removal."""
        return super().state() | {"data": self._data.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`, with a learner that has just begun."""
        super().restore(state)
        self._data.restore(state["data"])


class _Watched:
    """Notes the arguments of the first call of a network while entered."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self.batch: Batch | None = None

    def __enter__(self) -> "_Watched":
        self._handle = self._model.register_forward_pre_hook(self._look, with_kwargs=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.remove()

    def _look(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self.batch is None:
            self.batch = args
            if kwargs:
                self.batch = dict(inspect.signature(model.forward).bind(*args, **kwargs).arguments)
