"""A task of any network: batches, a loss, an optimizer, and how they are gone through."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from saliency.errors import PruningError
from saliency.pruning.latency.exporting import copy_network

Loss = Callable[[Any, Any], Tensor]
"""Given a network and a batch, the mean loss over its examples, a scalar."""

MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]

_DEFAULT_RATE = 1e-4


def adamw(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Return AdamW with a rate for networks that are trained already."""
    return torch.optim.AdamW(parameters, lr=_DEFAULT_RATE)


@dataclass(frozen=True)
class Task:
    """What a network learns.

    Attributes:
        batches: gone through again and again, such as a DataLoader.
        loss: of a batch.
        make_optimizer: given the parameters, such as `functools.partial(SGD, lr=0.01)`.
        seed: of the order of the batches and all else that torch draws.
    """

    batches: Iterable[Any]
    loss: Loss
    make_optimizer: MakeOptimizer = adamw
    seed: int = 0

    def checked_loss(self, model: nn.Module, batch: Any, *, step: int) -> Tensor:
        """Return the loss of a batch.

        Raises:
            PruningError: it is no finite scalar, or no weight has a gradient of it.
        """
        loss: Any = self.loss(model, batch)
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            raise PruningError(f"expected the mean loss over a batch, a scalar tensor, got {got}")
        if not torch.isfinite(loss):
            advice = "make the optimizer's rate smaller"
            if step == 0:
                advice = "look at the weights that were given, the batch and the loss"
            raise PruningError(f"the loss became {float(loss.detach())} at step {step}; {advice}")
        if not loss.requires_grad:
            raise PruningError(
                "expected a loss with a gradient, got one that depends on no weight that trains"
            )
        return loss

    def try_out(self, model: nn.Module) -> None:
        """Refuse what the first training step would meet, before hours are spent on others.

        Raises:
            PruningError: there is no batch, or its loss cannot be used.
        """
        batch = EndlessBatches(self).take()
        self.checked_loss(copy_network(model).train(), batch, step=0)


class EndlessBatches:
    """The batches of a task, epoch after epoch, from any place on."""

    def __init__(self, task: Task) -> None:
        """Begin with the first epoch."""
        self._task = task
        self._epoch, self._place = 0, 0
        self._iterator: Iterator[Any] | None = None

    def take(self) -> Any:
        """Return the next batch.

        Raises:
            PruningError: there are none, or they cannot be gone through a second time.
        """
        for _ in range(2):
            if self._iterator is None:
                self._iterator = self._begin()
            try:
                batch = next(self._iterator)
            except StopIteration:
                if not self._place:
                    break
                self._iterator, self._place, self._epoch = None, 0, self._epoch + 1
                continue
            self._place += 1
            return batch
        raise PruningError(
            f"expected batches that can be gone through again and again, got none in epoch "
            f"{self._epoch + 1}; give a DataLoader or a list, no generator"
        )

    def state(self) -> dict[str, Any]:
        """Return the place, and the state of torch's generator."""
        return {
            "epoch": self._epoch,
            "place": self._place,
            "has_begun": self._iterator is not None,
            "generator": torch.get_rng_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`: the batches before it in its epoch are read once more."""
        self._epoch, self._place = state["epoch"], state["place"]
        if state["has_begun"]:
            self._iterator = self._begin()
            for _ in range(self._place):
                next(self._iterator)
        torch.set_rng_state(state["generator"])

    def _begin(self) -> Iterator[Any]:
        torch.manual_seed(self._task.seed + self._epoch)
        return iter(self._task.batches)
