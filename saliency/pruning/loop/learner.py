"""The network of a pruning run: it trains on between removals and loses channels at them."""

from abc import ABC, abstractmethod
from collections import deque
from typing import Any

import torch
from torch import nn

from saliency.pruning.compensation import Batch, remove_and_compensate
from saliency.pruning.groups import ChannelGroups, remaining_groups
from saliency.pruning.latency.exporting import copy_network
from saliency.pruning.methods.method import Budget, RemovalMethod, Removals
from saliency.pruning.optimizer_state import remove_moments
from saliency.pruning.surgery import channel_counts, remove_channels, resize_layers

COMPENSATING_BATCHES = 4  # the last ones before a removal, by which the rest makes up for it

Moments = dict[str, dict[str, Any]]
"""An optimizer's state, by the names of the parameters."""


class Learner(ABC):
    """A network, how it trains, and the method that chooses channels meanwhile.

    Attributes:
        model: the network at present.
        groups: its channel groups.
        method: how channels are chosen.
        optimizer: of its weights.
        step: training steps taken.
        batches: the last ones that the network was shown.
        shows_progress: whether this process is the one that writes to the terminal.
    """

    optimizer: Any
    shows_progress = True

    def __init__(self, model: nn.Module, groups: ChannelGroups, method: RemovalMethod) -> None:
        """Begin with the unpruned network."""
        self.model, self.groups, self.method = model, groups, method
        self.batches: deque[Batch] = deque(maxlen=COMPENSATING_BATCHES)
        self.step = 0
        self.set_up({})

    @abstractmethod
    def train(self, *, until: int) -> float:
        """Take training steps up to a number; return the mean loss."""

    @abstractmethod
    def set_up(self, moments: Moments) -> None:
        """Make an optimizer for the network at present that remembers these moments."""

    @abstractmethod
    def find_groups(self, model: nn.Module) -> ChannelGroups:
        """Return the channel groups of a network on the CPU that is left of the unpruned one."""

    def choose(self, budget: Budget) -> Removals | None:
        """Return the channels that go now, perhaps none; None when no more will."""
        return self.method.choose(self.model, budget)

    def copy(self) -> nn.Module:
        """Return the network at present, on the CPU, in evaluation mode."""
        copied = copy_network(self.model).cpu().eval()
        self.method.fold(copied)
        return copied

    def cut(self, removals: Removals) -> None:
        """Remove channels from the network and from its optimizer."""
        moments = remove_moments(
            moments_of(self.optimizer, self.model), self.model, self.groups, removals
        )
        if self.method.are_silent:
            pruned = remove_channels(self.model, self.groups, removals)
        else:
            pruned = remove_and_compensate(self.model, self.groups, removals, self.batches)
        self.batches.clear()
        self.model = pruned
        self.groups = remaining_groups(self.groups, removals)
        self.method.cut(self.groups, removals)
        self.set_up(moments)

    def state(self) -> dict[str, Any]:
        """Return all that `restore` needs, right after a removal."""
        return {
            "step": self.step,
            "channels": channel_counts(self.model),
            "model": self.model.state_dict(),
            "moments": moments_of(self.optimizer, self.model),
            "method": self.method.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`, with a learner that has just begun."""
        self.step = state["step"]
        self.model = resize_layers(self.model, state["channels"])
        self.model.load_state_dict(state["model"])
        self.groups = self.find_groups(copy_network(self.model).cpu())
        self.method.restore(self.groups, state["method"])
        self.set_up(moved_moments(state["moments"], next(self.model.parameters()).device))


def moments_of(optimizer: Any, model: nn.Module) -> Moments:
    """Return an optimizer's state by the names of a network's parameters."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {names[parameter]: state for parameter, state in optimizer.state.items()}


def moved_moments(moments: Moments, device: torch.device) -> Moments:
    """Return an optimizer's state on a device, but for its counts of steps."""
    return {
        name: {
            key: value.to(device) if isinstance(value, torch.Tensor) and key != "step" else value
            for key, value in state.items()
        }
        for name, state in moments.items()
    }


def give_moments(optimizer: torch.optim.Optimizer, model: nn.Module, moments: Moments) -> None:
    """Give an optimizer the state of another, parameter by parameter."""
    for name, parameter in model.named_parameters():
        if name in moments:
            optimizer.state[parameter] = moments[name]
