"""What a pruning run asks of a method, and what a method is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from saliency.pruning.costs import ChannelCount, NetworkCost
from saliency.pruning.groups import ChannelGroups

Removals = dict[str, list[int]]
"""By group name, the channels that go, numbered from 0."""


@runtime_checkable
class Step(Protocol):
    """One training step that is to be taken: `take` alone, or the four others in this order."""

    def take(self, penalty: Callable[[], Tensor] | None = None) -> Tensor:
        """Take the step as training does; return the loss, a scalar, without the penalty."""

    def clear(self) -> None:
        """Forget the gradients of the step before."""

    def loss(self) -> Tensor:
        """Return the loss of the batch, a scalar to be differentiated."""

    def backward(self, loss: Tensor) -> None:
        """Differentiate a loss."""

    def descend(self) -> None:
        """Change the weights by their gradients."""


@dataclass(frozen=True)
class Budget:
    """How far a removal may go.

    Attributes:
        cost: what channels cost.
        sizes: how many channels each group has.
        time_ms: the predicted time of the network with groups of some sizes.
        goal_ms: the time to come down to with this removal.
        target_ms: the time at which the run ends.
    """

    cost: NetworkCost | ChannelCount
    sizes: Mapping[str, int]
    time_ms: Callable[[Mapping[str, int]], float]
    goal_ms: float
    target_ms: float


@runtime_checkable
class RemovalMethod(Protocol):
    """Trains a network towards fewer channels and names those that go.

    Attributes:
        are_silent: the channels that it names add nothing to the network as it is trained, so that
            no layer has to make up for them.
    """

    are_silent: bool

    def take_step(self, model: nn.Module, step: Step) -> Tensor:
        """Take a training step; return its loss, a scalar."""

    def choose(self, model: nn.Module, budget: Budget) -> Removals | None:
        """Return the channels that go now, perhaps none; None when no more will."""

    def cut(self, groups: ChannelGroups, removals: Removals) -> None:
        """Go on with a network without these channels, whose groups are now `groups`."""

    def fold(self, model: nn.Module) -> None:
        """Put into a copy of the network what was learned beside its weights, in place."""

    def state(self) -> dict[str, Any]:
        """Return all that `restore` needs."""

    def restore(self, groups: ChannelGroups, state: dict[str, Any]) -> None:
        """Go on from a `state` with a network that has these groups."""
