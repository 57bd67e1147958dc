"""What learns the weights: the optimizer, and the moving average that is kept."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from saliency.model.network import SaliencyModel
from saliency.training.options import TrainingOptions


def create_optimizer(model: SaliencyModel, options: TrainingOptions) -> torch.optim.Optimizer:
    """Return AdamW, with a learning rate for the backbone and one for the rest."""
    backbone = set(model.backbone.parameters())
    rest = [parameter for parameter in model.parameters() if parameter not in backbone]
    groups = [
        {"params": list(model.backbone.parameters()), "lr": options.backbone_rate},
        {"params": rest, "lr": options.readout_rate},
    ]
    return torch.optim.AdamW(groups, weight_decay=options.weight_decay)


def moving_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """Return the update of a moving average that forgets faster while it is young.

    The start of a run is far from its end; at a constant decay it would weigh on the average for
    several times 1 / (1 − decay) steps.
    """

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], count: Tensor | int) -> None:
        if not averaged[0].is_floating_point():  # batch norm's counters; a list has one type
            torch._foreach_copy_(averaged, current)
            return
        young = (1 + int(count)) / (10 + int(count))
        torch._foreach_lerp_(averaged, current, 1 - min(decay, young))

    return update
