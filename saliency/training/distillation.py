"""Distillation from a teacher model that sees the same examples as the student.

A density that a teacher computes once for a photo does not fit the crops and colours of its
variants. A teacher model sees the example itself, so that a student that is close to it already, as
a pruned one is, does not drift away. Where the two are one network before and after pruning, the
teacher model's features are learned as well (Romero et al. 2015, "FitNets"): the outputs of each
channel at which blocks sum up.
"""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from saliency.model.checkpoint import load_model
from saliency.model.network import SaliencyModel
from saliency.training.area_resize import shrink_densities
from saliency.training.inputs.batch import Batch
from saliency.training.losses import cross_entropy, mixed_target
from saliency.training.processes.statistics import channel_statistics

LEAST_VARIANCE = 1e-6


class TeacherModel:
    """A model to learn from: its densities, and perhaps its features."""

    def __init__(self, model: SaliencyModel, *, share: float, feature_weight: float = 0.0) -> None:
        """Freeze the model.

        Args:
            model: the model to follow; its weights are to be learned no more.
            share: of its density in the target of photos that have one of their own; of others it
                is the whole target.
            feature_weight: of the mean squared error of features, in shares of their variance,
                beside the cross-entropy in nats.
        """
        self.model = model.eval().requires_grad_(False)
        self.share, self.feature_weight = share, feature_weight

    @classmethod
    def load(
        cls,
        path: Path | None,
        fabric: Fabric,
        *,
        share: float,
        feature_weight: float = 0.0,
        pixels: int | None = None,
    ) -> "TeacherModel | None":
        """Return the teacher model of a `.safetensors` file, on a run's device.

        Args:
            path: of the file; None for no teacher model.
            fabric: that of the run.
            share: see `__init__`.
            feature_weight: of its features.
            pixels: area at which it looks at photos, more than its own for more detail; None
                for its own.

        Raises:
            CheckpointError: it cannot be read.
        """
        if path is None:
            return None
        model: Any = load_model(path)
        if pixels is not None:
            model.config = dataclasses.replace(model.config, input_pixels=pixels)
        model = model.to(fabric.device).to(memory_format=torch.channels_last)
        return cls(model, share=share, feature_weight=feature_weight)

    def features_only(self) -> "TeacherModel | None":
        """Return the teacher model for batches whose targets hold its densities already."""
        if not self.feature_weight:
            return None
        return TeacherModel(self.model, share=0.0, feature_weight=self.feature_weight)

    @torch.no_grad()
    def mix(self, fabric: Fabric, batch: Batch) -> Batch:
        """Return a batch with the teacher model's densities mixed into its targets."""
        with fabric.autocast():
            expected = self.model(batch.photos).float()
        return batch._replace(target=mixed_target(batch.target, expected, share=self.share))

    def loss(
        self,
        fabric: Fabric,
        wrapped: Any,
        photos: Tensor,
        target: Tensor,
        *,
        small: Tensor | None = None,
        adapt: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Return the loss of a batch, a scalar.

        Args:
            fabric: that of the run.
            wrapped: the model that learns, as `fabric.setup` gave it.
            photos: (batch, height, width, 3), for the teacher model.
            target: (batch, height, width), of a photo without one zero everywhere.
            small: the photos at the size at which the model that learns looks at them, if that is
                another.
            adapt: makes the learning model's log densities those of the photos' data sets.
        """
        small = photos if small is None else small
        layers = self._compared(wrapped.module) if self.feature_weight else {}
        with torch.no_grad(), fabric.autocast(), _outputs(self.model, layers) as wanted:
            expected = self.model(photos).float()
        with _outputs(wrapped.module, layers) as made:
            log_density = wrapped(small) if adapt is None else adapt(wrapped(small))
        mixed = mixed_target(target, expected, share=self.share)
        loss = cross_entropy(log_density, shrink_densities(mixed, small.shape[1:3])).mean()
        if layers:
            errors = [
                _error(made[name].float(), wanted[name][:, channels].float())
                for name, channels in layers.items()
            ]
            loss = loss + self.feature_weight * torch.stack(errors).mean()
        return loss

    def _compared(self, student: SaliencyModel) -> dict[str, list[int]]:
        """Return the layers whose features are compared, and which of the teacher model's they are.

        They are the batch norms behind 1×1 convolutions that make fewer channels than they read:
        those at which blocks sum up what they found.
        """
        ours_at_theirs = dataclasses.replace(
            student.config, input_pixels=self.model.config.input_pixels
        )
        if ours_at_theirs != self.model.config:
            return {}
        compared = {}
        before: nn.Module | None = None
        for name, layer in self.model.named_modules():
            if isinstance(layer, nn.BatchNorm2d) and _narrows(before):
                learning: Any = student.get_submodule(name)
                ours, theirs = _origins(student, name), _origins(self.model, name)
                if len(ours) == learning.num_features and set(ours) <= set(theirs):
                    compared[name] = [theirs.index(channel) for channel in ours]
            before = layer if isinstance(layer, nn.Conv2d) else before
        return compared


def example_pixels(learning: SaliencyModel, teacher_model: TeacherModel | None) -> int:
    """Return the area of examples at which neither a model nor its teacher model lacks detail."""
    models = [learning] if teacher_model is None else [learning, teacher_model.model]
    return max(model.config.input_pixels for model in models)


def _origins(model: SaliencyModel, name: str) -> list[int]:
    """Return which of the unpruned network's channels those of a batch norm are."""
    norm: Any = model.get_submodule(name)
    return model.origins.get(name, list(range(norm.num_features)))


def _narrows(layer: nn.Module | None) -> bool:
    return (
        isinstance(layer, nn.Conv2d)
        and layer.kernel_size == (1, 1)
        and layer.out_channels < layer.in_channels
    )


def _error(made: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean over channels of the squared error, in shares of what is wanted's variance.

    Both are (batch, channels, rows, columns); what is wanted may have more rows and columns.
    """
    wanted = functional.adaptive_avg_pool2d(wanted, (made.shape[2], made.shape[3]))
    variance = channel_statistics(wanted)[1] + LEAST_VARIANCE
    return ((made - wanted).square().mean(dim=(0, 2, 3)) / variance).mean()


@contextmanager
def _outputs(model: nn.Module, names: Any) -> Iterator[dict[str, Tensor]]:
    """Keep what layers make while the model runs."""
    made: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, args: Any, output: Tensor) -> None:  # noqa: ARG001
            made[name] = output

        return hook

    handles = [model.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    try:
        yield made
    finally:
        for handle in handles:
            handle.remove()
