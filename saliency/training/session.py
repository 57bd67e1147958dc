"""A learning session, which training and pruning share: devices, examples, teacher, steps."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from saliency.model.network import SaliencyModel
from saliency.training.area_resize import shrink_densities, shrink_photos
from saliency.training.batches import load_batches
from saliency.training.data import TrainingData, dataset_numbers, gather_sources
from saliency.training.distillation import TeacherModel, example_pixels
from saliency.training.inputs.batch import Batch
from saliency.training.losses import cross_entropy
from saliency.training.options import TrainingOptions
from saliency.training.processes.launch import create_fabric
from saliency.training.processes.statistics import SharedBatchNorm
from saliency.training.run_folder import RunFolder


class LearningSession:
    """The training data of one run, and how models take a step on it.

    Attributes:
        options: how to train.
        fabric: the run's devices and precision.
        sources: the training photos.
        example_pixels: area of an example. A model with a smaller input sees it shrunk.
        dataset_names: of the data sets, by their numbers.
    """

    def __init__(
        self,
        start: SaliencyModel,
        data: TrainingData,
        options: TrainingOptions,
        run: RunFolder,
        *,
        fabric: Fabric | None = None,
    ) -> None:
        """Load the teachers and gather the photos.

        Args:
            start: the model that learns first, for the area of examples.
            data: what to learn from.
            options: how to train.
            run: where teachers' densities and cached batches are kept.
            fabric: launched devices; None for those of the options, in this process.

        Raises:
            SaliencyError: a photo, a map or a teacher cannot be read, or a file not be written.
        """
        self.options = options
        if options.torch_threads is not None:
            torch.set_num_threads(options.torch_threads)
        self.fabric = launch_fabric(options) if fabric is None else fabric
        with self.fabric.rank_zero_first():  # the others read what it has computed
            self.sources = gather_sources(data, cache=run.teacher)
        self.dataset_names, self._dataset_of_source = dataset_numbers(data)
        self._examples = data.examples or run.examples
        self._teacher_model = TeacherModel.load(
            data.teacher_model,
            self.fabric,
            share=options.teacher_weight,
            feature_weight=options.feature_weight,
            pixels=options.teacher_pixels,
        )
        self.example_pixels = example_pixels(start, self._teacher_model)
        self._step_teacher = self._teacher_model
        if self._teacher_model and options.variants:  # cached batches hold its densities already
            self._step_teacher = self._teacher_model.features_only()

    @property
    def steps_per_epoch(self) -> int:
        """How many batches show every photo once."""
        return len(self.sources) // self.options.batch_size

    def batches(
        self, first_step: int, last_step: int, *, size_multiple: int, with_datasets: bool = False
    ) -> Iterator[Batch]:
        """Return the batches of the steps from `first_step` up to `last_step`.

        Args:
            first_step: where to begin.
            last_step: where to stop.
            size_multiple: of which heights and widths are multiples.
            with_datasets: give each photo the number of its data set.

        Raises:
            CheckpointError: the folder of cached batches cannot be used, or holds other ones.
        """
        return load_batches(
            self.fabric,
            self.sources,
            self.options,
            pixels=self.example_pixels,
            size_multiple=size_multiple,
            first_step=first_step,
            last_step=last_step,
            teacher_model=self._teacher_model,
            examples=self._examples,
            datasets=self._dataset_of_source if with_datasets else None,
        )

    def take_step(
        self,
        wrapped: Any,
        optimizer: Any,
        batch: Batch,
        *,
        dataset_bias: nn.Module | None = None,
        penalty: Callable[[], Tensor] | None = None,
    ) -> Tensor:
        """Take one step down the loss of a batch; return that loss, without penalty, a scalar.

        Args:
            wrapped: the model, as `fabric.setup` returned it.
            optimizer: as `fabric.setup` returned it.
            batch: with the data sets of its photos if there is a bias.
            dataset_bias: turns the model's densities into those of the photos' data sets.
            penalty: added to the loss; None without.
        """
        optimizer.zero_grad(set_to_none=True)
        with SharedBatchNorm() if self.fabric.world_size > 1 else nullcontext():
            loss = self.loss(wrapped, batch, dataset_bias=dataset_bias)
        self.fabric.backward(loss if penalty is None else loss + penalty())
        self.descend(wrapped, optimizer)
        return loss.detach()

    def loss(self, wrapped: Any, batch: Batch, *, dataset_bias: nn.Module | None = None) -> Tensor:
        """Return the loss of a batch, a scalar to be differentiated; see `take_step`."""
        small = self.shrunk_for(wrapped.module, batch.photos)

        def adapt(log_density: Tensor) -> Tensor:
            if dataset_bias is None:
                return log_density
            adapted: Tensor = dataset_bias(log_density, batch.datasets)
            return adapted

        teacher = self._step_teacher
        if teacher is not None:
            return teacher.loss(
                self.fabric, wrapped, batch.photos, batch.target, small=small, adapt=adapt
            )
        target = shrink_densities(batch.target, small.shape[1:3])
        return cross_entropy(adapt(wrapped(small)), target).mean()

    def descend(self, wrapped: Any, optimizer: Any) -> None:
        """Take a step down the gradient that was computed, clipped."""
        self.fabric.clip_gradients(
            wrapped,
            optimizer,
            max_norm=self.options.clip,
            # In half precision a step may overflow: its gradient scaler then leaves it out.
            error_if_nonfinite=self.options.precision != "16-mixed",
        )
        optimizer.step()

    def shrunk_for(self, model: SaliencyModel, photos: Tensor) -> Tensor:
        """Return the photos of a batch at the size at which a model looks at them."""
        share = model.config.input_pixels / self.example_pixels
        return shrink_photos(photos, share=share, size_multiple=model.size_multiple)


def devices_of(options: TrainingOptions) -> Fabric:
    """Return the devices to train on, at their precision, not yet launched.

    Raises:
        DeviceError: they are not there.
    """
    return create_fabric(
        device=options.device,
        devices=options.devices,
        nodes=options.nodes,
        precision=_precision(options),
    )


def launch_fabric(options: TrainingOptions) -> Fabric:
    """Return the devices to train on, launched in this process.

    Raises:
        DeviceError: they are not there.
    """
    fabric = devices_of(options)
    fabric.launch()
    return fabric


def _precision(options: TrainingOptions) -> str:
    if options.precision != "auto":
        return options.precision
    has_bfloat16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return "bf16-mixed" if has_bfloat16 and options.device in ("auto", "cuda") else "32-true"
