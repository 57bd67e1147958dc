"""A training step, and what it takes to make one: device, batches, optimizer, moving average."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from saliency.model.network import SaliencyModel
from saliency.training.area_resize import shrink_densities, shrink_photos
from saliency.training.distillation import Guide
from saliency.training.losses import cross_entropy
from saliency.training.options import TrainingOptions


def launch_fabric(options: TrainingOptions) -> Fabric:
    """Return the devices to train on, at their precision."""
    fabric = Fabric(
        accelerator=options.device,
        devices=options.devices,
        precision=_precision(options),  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric


def _precision(options: TrainingOptions) -> str:
    if options.precision != "auto":
        return options.precision
    has_bfloat16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return "bf16-mixed" if has_bfloat16 and options.device in ("auto", "cuda") else "32-true"


def create_optimizer(model: SaliencyModel, options: TrainingOptions) -> torch.optim.Optimizer:
    """Return AdamW, with a learning rate for the backbone and one for the rest."""
    backbone = set(model.backbone.parameters())
    rest = [parameter for parameter in model.parameters() if parameter not in backbone]
    groups = [
        {"params": list(model.backbone.parameters()), "lr": options.backbone_rate},
        {"params": rest, "lr": options.readout_rate},
    ]
    return torch.optim.AdamW(groups, weight_decay=options.weight_decay)


def shrunk_for(model: SaliencyModel, photos: Tensor, options: TrainingOptions) -> Tensor:
    """Return the photos of a batch at the size at which a model looks at them."""
    share = model.config.input_pixels / options.pixels
    return shrink_photos(photos, share=share, size_multiple=model.size_multiple)


def take_step(
    fabric: Fabric,
    wrapped: Any,
    optimizer: Any,
    batch: Sequence[Tensor],
    *,
    options: TrainingOptions,
    guide: Guide | None = None,
    set_bias: Any = None,
) -> Tensor:
    """Go one step down the loss of a batch, with a guide down its loss; return that loss.

    A model of a smaller input than the examples' sees them shrunk; a guide sees them as they are.
    With a set bias, the loss is that of the predictions for the photos' own data sets.
    """
    photos, target, *sets = batch
    small = shrunk_for(wrapped.module, photos, options)
    optimizer.zero_grad(set_to_none=True)

    def adapt(log_density: Tensor) -> Tensor:
        return log_density if set_bias is None else set_bias(log_density, *sets)

    if guide is None:
        log_density = adapt(wrapped(small))
        loss = cross_entropy(log_density, shrink_densities(target, small.shape[1:3])).mean()
    else:
        loss = guide.loss(fabric, wrapped, photos, target, small=small, adapt=adapt)
    fabric.backward(loss)
    fabric.clip_gradients(
        wrapped,
        optimizer,
        max_norm=options.clip,
        # In half precision a step may overflow: its gradient scaler then leaves it out.
        error_if_nonfinite=options.precision != "16-mixed",
    )
    optimizer.step()
    return loss.detach()


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
