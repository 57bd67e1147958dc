"""Fine-tune a pretrained network on human fixations."""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from saliency.allocator import keep_freed_memory
from saliency.center_bias import CenterBias, fit_center_bias
from saliency.checkpoint import load_model, save_model
from saliency.errors import CheckpointError, DatasetError
from saliency.examples import Batches, Examples
from saliency.export import export_onnx
from saliency.losses import cross_entropy
from saliency.model import ModelConfig, SaliencyModel
from saliency.run_folder import RunFolder
from saliency.training_data import TrainingData, gather_sources
from saliency.training_options import TrainingOptions
from saliency.validation import draw_comparison, validate

log = logging.getLogger(__name__)

PICTURED_SCENES = 6
LOGGED_STEPS = 5


def train(data: TrainingData, options: TrainingOptions, folder: RunFolder) -> dict[str, float]:
    """Train to the end, from the folder's last state if there is one; return the best figures.

    Where it is stopped and run again it ends at the very weights (on one machine, with the same
    number of threads) that it would have reached in one go.

    Raises:
        SaliencyError: an image, a teacher or the state cannot be read, or a file not be written.
    """
    if not data.train or not data.validation:
        raise DatasetError(
            f"expected images for training and for validation, got {len(data.train)} and "
            f"{len(data.validation)}; add data sets, or more images"
        )
    count = len(data.train) + len(data.photos)
    if count < options.batch_size:
        raise DatasetError(
            f"expected at least the {options.batch_size} images of one step to train on, "
            f"got {count}; add images, or lower --batch-size"
        )
    keep_freed_memory()
    run = _Run(data, options, folder)
    for epoch in range(run.first_epoch, options.epochs):
        if run.has_stopped_gaining():
            break
        run.train_epoch(epoch)
        run.finish_epoch(epoch)
    return run.finish()


class _Run:
    """The moving parts of one run, which are saved and restored together."""

    def __init__(self, data: TrainingData, options: TrainingOptions, folder: RunFolder) -> None:
        torch.manual_seed(options.seed)
        self.data, self.options, self.folder = data, options, folder
        self.fabric = Fabric(
            accelerator=options.device,
            devices=options.devices,
            precision=_precision(options),  # type: ignore[arg-type]
        )
        self.fabric.launch()
        self.center_bias = fit_center_bias(data.train, is_symmetric=True)
        self.model = _create_model(options, self.center_bias)
        self.ema = AveragedModel(
            self.model, multi_avg_fn=_moving_average(options.ema_decay), use_buffers=True
        )
        self.sources = gather_sources(data, cache=folder.teacher)
        self.steps_per_epoch = len(self.sources) // options.batch_size
        optimizer = _create_optimizer(self.model, options)
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in optimizer.param_groups],
            # It divides by zero where its warm-up is one step long, that is at a total of five.
            total_steps=max(6, self.steps_per_epoch * options.epochs),
            pct_start=0.2,
        )
        self.step, self.history = 0, list[dict[str, float]]()
        self.wrapped, self.optimizer = self.fabric.setup(self.model, optimizer)
        self.ema.to(self.fabric.device)
        state = folder.load_state()
        if state is not None:  # only now: an optimizer's state goes to where its weights are
            self._restore(state)
        self.writer = SummaryWriter(str(folder.path), purge_step=self.step)
        self.batches = self._load_batches()

    @property
    def first_epoch(self) -> int:
        return len(self.history)

    def train_epoch(self, epoch: int) -> None:
        """Take the steps of one epoch that are still to take."""
        self.wrapped.train()
        last = (epoch + 1) * self.steps_per_epoch
        bar = tqdm(
            total=self.steps_per_epoch,
            initial=self.step - epoch * self.steps_per_epoch,
            desc=f"epoch {epoch + 1}/{self.options.epochs}",
            unit="step",
            mininterval=0.5 if self._is_terminal() else 30,
            disable=not self.fabric.is_global_zero,
        )
        started, shown = time.perf_counter(), 0
        while self.step < last:
            photos, target = next(self.batches)
            loss = self._take_step(photos, target)
            shown += len(photos) * self.fabric.world_size
            bar.update()
            if self.step % LOGGED_STEPS == 0:  # reading the loss makes a GPU wait
                speed = shown / (time.perf_counter() - started)
                bar.set_postfix_str(f"loss {loss.item():.3f}, {speed:.1f} images/s", refresh=False)
                self.writer.add_scalar("loss/train", loss.item(), self.step)
                self.writer.add_scalar("images_per_second", speed, self.step)
            if self.step % self.options.save_steps == 0 and self.step < last:
                self._save()
        bar.close()

    def _take_step(self, photos: Tensor, target: Tensor) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        loss = cross_entropy(self.wrapped(photos), target).mean()
        self.fabric.backward(loss)
        self.fabric.clip_gradients(
            self.wrapped,
            self.optimizer,
            max_norm=self.options.clip,
            # In half precision a step may overflow: its gradient scaler then leaves it out.
            error_if_nonfinite=self.options.precision != "16-mixed",
        )
        self.optimizer.step()
        self.scheduler.step()
        self.ema.update_parameters(self.model)
        self.step += 1
        return loss.detach()

    def has_stopped_gaining(self) -> bool:
        """Return whether the last `patience` epochs brought no gain, so that it is time to stop."""
        gains = [entry["information_gain_bits"] for entry in self.history]
        return bool(gains) and len(gains) - 1 - int(np.argmax(gains)) >= self.options.patience

    def finish_epoch(self, epoch: int) -> None:
        """Validate, keep the model if it is the best, save."""
        averaged = self._averaged()
        figures = validate(averaged, self.data.validation, baseline=self.center_bias)
        gains = [entry["information_gain_bits"] for entry in self.history]
        if self.fabric.is_global_zero:
            if figures["information_gain_bits"] > max(gains, default=-np.inf):
                save_model(averaged, self.folder.model, scores=figures)
            self._report(epoch, averaged, figures)
        self.history.append(figures)
        self._save()

    def finish(self) -> dict[str, float]:
        """Write the best model for the runtime ring; return its figures."""
        best = max(self.history, key=lambda figures: figures["information_gain_bits"])
        if self.fabric.is_global_zero:
            export_onnx(load_model(self.folder.model), self.folder.onnx, scores=best)
        self.writer.close()
        return best

    def _report(self, epoch: int, model: SaliencyModel, figures: dict[str, float]) -> None:
        shown = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
        log.info("epoch %d: %s", epoch + 1, shown)
        for name, value in figures.items():
            self.writer.add_scalar(f"validation/{name}", value, self.step)
        if epoch % self.options.picture_epochs == 0 or epoch + 1 == self.options.epochs:
            picture = draw_comparison(model, self.data.validation[:PICTURED_SCENES])
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
            }
        )

    def _restore(self, state: dict[str, Any]) -> None:
        self.step, self.history = state["step"], state["history"]
        self.model.load_state_dict(state["model"])
        self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        log.info("going on at step %d", self.step)

    def _load_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        options = self.options
        batches = Batches(
            len(self.sources),
            batch_size=options.batch_size,
            pixels=options.input_pixels,
            size_multiple=self.model.size_multiple,
            seed=options.seed,
            first_step=self.step,
            last_step=self.steps_per_epoch * options.epochs,
            rank=self.fabric.global_rank,
            world_size=self.fabric.world_size,
        )
        examples = Examples(
            self.sources,
            teacher_weight=options.teacher_weight,
            blur=options.blur,
            strength=options.strength,
        )
        loader = DataLoader(
            examples,
            batch_sampler=batches,
            num_workers=options.workers,
            worker_init_fn=_yield_to_network,
            pin_memory=self.fabric.device.type == "cuda",
            prefetch_factor=4 if options.workers else None,
        )
        batched: Any = self.fabric.setup_dataloaders(loader, use_distributed_sampler=False)
        return iter(batched)

    def _is_terminal(self) -> bool:
        return sys.stderr.isatty()


def _yield_to_network(worker: int) -> None:  # noqa: ARG001  what DataLoader calls
    """Let a loading process run only where the network leaves a core free.

    The threads of a CPU step wait for each other, so that one core lent to loading stops them all.
    """
    if hasattr(os, "nice"):
        os.nice(19)


def _moving_average(decay: float) -> Callable[[Any, Any, Any], None]:
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


def _precision(options: TrainingOptions) -> str:
    if options.precision != "auto":
        return options.precision
    has_bfloat16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return "bf16-mixed" if has_bfloat16 and options.device in ("auto", "cuda") else "32-true"


def _create_model(options: TrainingOptions, center_bias: CenterBias) -> SaliencyModel:
    config = ModelConfig(
        backbone=options.backbone,
        levels=options.levels,
        readout=options.readout,  # type: ignore[arg-type]
        input_pixels=options.input_pixels,
    )
    try:
        model = SaliencyModel(config, weights=options.weights)  # type: ignore[arg-type]
    except ValueError as error:
        raise CheckpointError(f"{error}; choose another --backbone or other --levels") from error
    model.set_center_bias(center_bias.log_grid)
    return model.to(memory_format=torch.channels_last)


def _create_optimizer(model: SaliencyModel, options: TrainingOptions) -> torch.optim.Optimizer:
    backbone = set(model.backbone.parameters())
    rest = [parameter for parameter in model.parameters() if parameter not in backbone]
    groups = [
        {"params": list(model.backbone.parameters()), "lr": options.backbone_rate},
        {"params": rest, "lr": options.readout_rate},
    ]
    return torch.optim.AdamW(groups, weight_decay=options.weight_decay)
