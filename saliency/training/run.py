"""Fine-tune a pretrained network on human fixations."""

import dataclasses
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from saliency.errors import CheckpointError, DatasetError, first_line
from saliency.fixations.center_bias import CenterBias, fit_center_bias
from saliency.memory import keep_kernels, reuse_large_blocks
from saliency.model.checkpoint import load_model, save_model
from saliency.model.config import NEW_INPUT_PIXELS, ModelConfig
from saliency.model.dataset_bias import DatasetBias
from saliency.model.dataset_bias_file import learned_numbers, write_numbers
from saliency.model.export import export_onnx
from saliency.model.network import SaliencyModel
from saliency.pruning.penalties.ewc import AnchorPenalty
from saliency.training.data import TrainingData
from saliency.training.inputs.batch import Batch
from saliency.training.optimizer import create_optimizer, moving_average
from saliency.training.options import TrainingOptions
from saliency.training.run_folder import RunFolder
from saliency.training.session import LearningSession
from saliency.training.validation import draw_comparison, validate

log = logging.getLogger(__name__)

PICTURED_SCENES = 6
LOGGED_STEPS = 5


def train(
    data: TrainingData,
    options: TrainingOptions,
    folder: RunFolder,
    *,
    start: SaliencyModel | None = None,
    fisher: Mapping[str, Tensor] | None = None,
    fabric: Fabric | None = None,
) -> dict[str, float]:
    """Train to the end, from the folder's last state if there is one; return the best figures.

    A run that is stopped and run again ends at the same weights as one that is not (on one machine,
    with the same number of threads).

    Args:
        data: what to learn from.
        options: how; those about the network count only without `start`.
        folder: where the run is kept.
        start: a trained model to start from, with its center bias, and its input size unless the
            options name another; it is changed.
        fisher: how much each parameter of `start` counts, for `keep="ewc"`.
        fabric: launched devices; None for those of the options, in this process. Where there are
            several processes, all of them call this with the same, and the first one writes.

    Raises:
        SaliencyError: the Fisher values are of another model, an image, a teacher or the state
            cannot be read, or a file not be written.
    """
    if data.mapped and not data.validation:
        raise DatasetError(
            f"expected photos with fixations for validation, got {len(data.mapped)} photos with "
            "density maps only, from which can be learned but not validated; add a data set with "
            "fixations"
        )
    if not data.train or not data.validation:
        raise DatasetError(
            f"expected images for training and for validation, got {len(data.train)} and "
            f"{len(data.validation)}; add data sets, or more images"
        )
    count = len(data.train) + len(data.photos) + len(data.mapped)
    if count < options.batch_size:
        raise DatasetError(
            f"expected at least the {options.batch_size} images of one step to train on, "
            f"got {count}; add images, or take smaller batches"
        )
    reuse_large_blocks()
    keep_kernels()
    run = _Run(data, options, folder, start, fisher, fabric=fabric)
    for epoch in range(run.first_epoch, options.epochs):
        if run.has_stopped_gaining():
            break
        run.train_epoch(epoch)
        run.finish_epoch(epoch)
    return run.finish()


class _Run:
    """The state of one run, which is saved and restored as a whole."""

    def __init__(
        self,
        data: TrainingData,
        options: TrainingOptions,
        folder: RunFolder,
        start: SaliencyModel | None,
        fisher: Mapping[str, Tensor] | None,
        *,
        fabric: Fabric | None,
    ) -> None:
        torch.manual_seed(options.seed)
        self.data, self.folder, self.options = data, folder, options
        self.center_bias = fit_center_bias(data.train, is_symmetric=True)
        self.model = start if start is not None else _create_model(options, self.center_bias)
        if options.input_pixels is not None:
            config = dataclasses.replace(self.model.config, input_pixels=options.input_pixels)
            self.model.config = config
        self.model.to(memory_format=torch.channels_last)
        self.ema = moving_average(self.model, options.ema_decay)
        self.session = LearningSession(self.model, data, options, folder, fabric=fabric)
        self.fabric = self.session.fabric
        self.steps_per_epoch = self.session.steps_per_epoch
        optimizer = create_optimizer(self.model, options)
        self.dataset_bias: Any = None
        set_count = len(self.session.dataset_names)
        if options.set_bias == "own" or (options.set_bias == "auto" and set_count > 1):
            self.dataset_bias = DatasetBias(set_count).to(self.fabric.device)
            # No decay: it would pull the blurs, which are logs, towards one and not to nothing.
            group = {"params": list(self.dataset_bias.parameters()), "lr": options.readout_rate}
            optimizer.add_param_group({**group, "weight_decay": 0.0})
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in optimizer.param_groups],
            # It divides by zero where its warm-up is one step long, that is at a total of five.
            total_steps=max(6, self.steps_per_epoch * options.epochs),
            pct_start=0.2,
        )
        self.penalty: AnchorPenalty | None = None
        self.step, self.history = 0, list[dict[str, float]]()
        self.wrapped, self.optimizer = self.fabric.setup(self.model, optimizer)
        if self.dataset_bias is not None:
            self.dataset_bias = self.fabric.setup_module(self.dataset_bias)
        if options.keep != "nothing":
            self.penalty = self._penalty(fisher)
        self.ema.to(self.fabric.device)
        state = folder.load_state()
        if state is not None:  # only now: an optimizer's state is moved to its weights' device
            try:
                self._restore(state)
            except (KeyError, ValueError, RuntimeError) as error:
                raise CheckpointError(
                    f"{folder.path} holds no state that this version can continue "
                    f"({first_line(error)}); use the version that began the run, or start anew in "
                    "another folder"
                ) from error
        self.writer: SummaryWriter | None = None
        if self.fabric.is_global_zero:
            self.writer = SummaryWriter(str(folder.path), purge_step=self.step)
        self.batches = self.load_batches()

    def _penalty(self, fisher: Mapping[str, Tensor] | None) -> AnchorPenalty:
        """Return the penalty for leaving the start weights, before a resumed run is restored."""
        strength = self.options.keep_strength
        try:
            return AnchorPenalty(self.model, strength=strength, fisher=fisher)
        except ValueError as error:
            raise CheckpointError(
                f"{error}; the Fisher values are of another model than the one to start from: "
                "write them anew with `saliency inspect --save-fisher`, or take --keep l2"
            ) from error

    @property
    def first_epoch(self) -> int:
        return len(self.history)

    def train_epoch(self, epoch: int) -> None:
        """Take the remaining steps of one epoch."""
        self.wrapped.train()
        last = (epoch + 1) * self.steps_per_epoch
        bar = tqdm(
            total=self.steps_per_epoch,
            initial=self.step - epoch * self.steps_per_epoch,
            desc=f"epoch {epoch + 1}/{self.options.epochs}",
            unit="step",
            mininterval=0.5 if sys.stderr.isatty() else 30,
            disable=not self.fabric.is_global_zero,
        )
        started, shown = time.perf_counter(), 0
        while self.step < last:
            batch = next(self.batches)
            loss = self.take_step(batch)
            shown += len(batch.photos) * self.fabric.world_size
            bar.update()
            if self.step % LOGGED_STEPS == 0:  # reading the loss makes a GPU wait
                speed = shown / (time.perf_counter() - started)
                mean: Any = self.fabric.all_reduce(loss)
                bar.set_postfix_str(f"loss {mean.item():.3f}, {speed:.1f} images/s", refresh=False)
                self._plot("loss/train", mean.item())
                self._plot("images_per_second", speed)
            if self.step % self.options.save_steps == 0 and self.step < last:
                self._save()
        bar.close()

    def load_batches(self) -> Iterator[Batch]:
        return self.session.batches(
            self.step,
            self.steps_per_epoch * self.options.epochs,
            size_multiple=self.model.size_multiple,
            with_datasets=self.dataset_bias is not None,
        )

    def take_step(self, batch: Batch) -> Tensor:
        loss = self.session.take_step(
            self.wrapped,
            self.optimizer,
            batch,
            dataset_bias=self.dataset_bias,
            penalty=self.penalty,
        )
        self.scheduler.step()
        self.step += 1
        self.ema.update(self.model, step=self.step)
        return loss

    def has_stopped_gaining(self) -> bool:
        """Return whether the last `patience` epochs brought no gain."""
        gains = [entry["information_gain_bits"] for entry in self.history]
        return bool(gains) and len(gains) - 1 - int(np.argmax(gains)) >= self.options.patience

    def finish_epoch(self, epoch: int) -> None:
        """Validate, keep the model if it is the best, save."""
        averaged = self._averaged()
        figures = validate(
            averaged, self.data.validation, baseline=self.center_bias, fabric=self.fabric
        )
        gains = [entry["information_gain_bits"] for entry in self.history]
        if self.fabric.is_global_zero:
            if figures["information_gain_bits"] > max(gains, default=-np.inf):
                save_model(averaged, self.folder.model, scores=figures)
                if self.dataset_bias is not None:
                    numbers = learned_numbers(self.dataset_bias.module, self.session.dataset_names)
                    write_numbers(numbers, self.folder.set_bias, overwrite=True)
            self._report(epoch, averaged, figures)
        self.history.append(figures)
        self._save()

    def finish(self) -> dict[str, float]:
        """Write the best model for the runtime ring; return its figures."""
        best = max(self.history, key=lambda figures: figures["information_gain_bits"])
        if self.fabric.is_global_zero:
            export_onnx(load_model(self.folder.model), self.folder.onnx, scores=best)
        if self.writer is not None:
            self.writer.close()
        return best

    def _plot(self, name: str, value: float) -> None:
        if self.writer is not None:
            self.writer.add_scalar(name, value, self.step)

    def _report(self, epoch: int, model: SaliencyModel, figures: dict[str, float]) -> None:
        shown = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
        log.info("epoch %d: %s", epoch + 1, shown)
        for name, value in figures.items():
            self._plot(f"validation/{name}", value)
        if epoch % self.options.picture_epochs == 0 or epoch + 1 == self.options.epochs:
            picture = draw_comparison(model, self.data.validation[:PICTURED_SCENES])
            if self.writer is not None:
                self.writer.add_image("validation", picture, self.step, dataformats="HWC")
            file = self.folder.pictures / f"epoch-{epoch + 1:03d}.png"
            cv2.imwrite(str(file), picture[..., ::-1])

    def _averaged(self) -> SaliencyModel:
        averaged = self.ema.module
        assert isinstance(averaged, SaliencyModel)
        return averaged.eval()

    def _save(self) -> None:
        if not self.fabric.is_global_zero:
            return
        self.folder.write_history(self.history)
        self.folder.save_state(
            {
                "step": self.step,
                "history": self.history,
                "model": self.model.state_dict(),
                "ema": self.ema.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "scheduler": self.scheduler.state_dict(),
                "set_bias": None if self.dataset_bias is None else self.dataset_bias.state_dict(),
            }
        )

    def _restore(self, state: dict[str, Any]) -> None:
        self.step, self.history = state["step"], state["history"]
        self.model.load_state_dict(state["model"])
        self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        if self.dataset_bias is not None:
            self.dataset_bias.load_state_dict(state["set_bias"])
        log.info("continuing at step %d", self.step)


def _create_model(options: TrainingOptions, center_bias: CenterBias) -> SaliencyModel:
    config = ModelConfig(
        backbone=options.backbone,
        levels=options.levels,
        readout=options.readout,  # type: ignore[arg-type]
        readout_channels=options.readout_channels,
        input_pixels=options.input_pixels or NEW_INPUT_PIXELS,
    )
    try:
        model = SaliencyModel(config, weights=options.weights)  # type: ignore[arg-type]
    except ValueError as error:
        raise CheckpointError(f"{error}; choose another backbone or other levels") from error
    model.set_center_bias(center_bias.log_grid)
    return model
