"""The optimizer, and the moving average of the weights that is kept."""

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import nn

from saliency.model.network import SaliencyModel
from saliency.training.options import TrainingOptions

_YOUNG_STEPS = 9.0


def create_optimizer(model: SaliencyModel, options: TrainingOptions) -> torch.optim.Optimizer:
    """Return AdamW, with a learning rate for the backbone and one for the rest."""
    backbone = set(model.backbone.parameters())
    rest = [parameter for parameter in model.parameters() if parameter not in backbone]
    groups = [
        {"params": list(model.backbone.parameters()), "lr": options.backbone_rate},
        {"params": rest, "lr": options.readout_rate},
    ]
    return torch.optim.AdamW(groups, weight_decay=options.weight_decay)


def moving_average(model: nn.Module, decay: float) -> ModelEmaV3:
    """Return the moving average of a model's weights and buffers, which is what is kept.

    It forgets faster while it is young: the start of a run is far from its end, and at a constant
    decay would weigh on the average for several times 1 / (1 − decay) steps. To be updated with
    the number of the step, counted from 1: the average then is at 1 − 9 / (8 + step) at most.
    """
    return ModelEmaV3(
        model, decay=decay, use_warmup=True, warmup_gamma=_YOUNG_STEPS, warmup_power=1.0
    )
