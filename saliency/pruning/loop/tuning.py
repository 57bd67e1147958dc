"""Fine-tuning of a pruned network, and its batch norms' statistics measured anew."""

import math
import sys
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from saliency.pruning.channels.layers import NORMS
from saliency.pruning.latency.exporting import copy_network
from saliency.pruning.loop.learner import give_moments, moments_of, moved_moments
from saliency.pruning.loop.state_file import load_state, save_state
from saliency.pruning.loop.task import EndlessBatches, Task

SAVE_STEPS = 100
STATISTICS_BATCHES = 100


def fine_tune(model: nn.Module, task: Task, *, steps: int, state: Path) -> nn.Module:
    """Train a network, with rates that fall from the optimizer's own to zero by half a cosine.

    Args:
        model: the network, on the device where it trains; it is changed.
        task: what it learns.
        steps: how many steps.
        state: file of the state, written every `SAVE_STEPS`; a run goes on from it.

    Returns:
        The network, in evaluation mode.
    """
    data, optimizer, first = EndlessBatches(task), task.make_optimizer(model.parameters()), 0
    rates = [group["lr"] for group in optimizer.param_groups]
    stored = load_state(state)
    if stored is not None:
        first = stored["step"]
        model.load_state_dict(stored["model"])
        device = next(model.parameters()).device
        give_moments(optimizer, model, moved_moments(stored["moments"], device))
        data.restore(stored["data"])
    bar = tqdm(
        range(first, steps),
        desc="fine-tuning",
        unit="step",
        initial=first,
        total=steps,
        mininterval=0.5 if sys.stderr.isatty() else 30,
    )
    for step in bar:
        model.train()
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * (1 + math.cos(math.pi * step / steps)) / 2
        optimizer.zero_grad(set_to_none=True)
        loss = task.checked_loss(model, data.take(), step=step)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if (step + 1) % SAVE_STEPS == 0:
            reached = {"step": step + 1, "model": model.state_dict(), "data": data.state()}
            save_state(reached | {"moments": moments_of(optimizer, model)}, state)
    return model.eval()


@torch.no_grad()
def measure_statistics(model: nn.Module, task: Task) -> nn.Module | None:
    """Return a copy of a network whose batch norms have the statistics of the task's batches.

    None where no batch norm keeps statistics.
    """
    measured = copy_network(model).eval()
    norms = [
        layer
        for layer in measured.modules()
        if isinstance(layer, NORMS) and layer.track_running_stats
    ]
    if not norms:
        return None
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
        norm.train()
    data = EndlessBatches(task)
    try:
        count = min(STATISTICS_BATCHES, len(task.batches))  # type: ignore[arg-type]
    except TypeError:  # no length
        count = STATISTICS_BATCHES
    for _ in range(count):
        task.loss(measured, data.take())
    for norm, original in zip(
        norms, (layer for layer in model.modules() if isinstance(layer, NORMS)), strict=False
    ):
        norm.momentum = original.momentum
    return measured.eval()
