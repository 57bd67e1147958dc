"""How the pruning of one network went, for `prunable.py`: prints it as JSON.

python benchmarks/prunable_check.py torchvision:resnet18 --pruner ours
"""

import copy
import time
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS, RetinaNet
from torchvision.models.detection.ssd import SSD

from saliency.errors import PruningError
from saliency.pruning.gates import gated, ones
from saliency.pruning.groups import find_groups
from saliency.pruning.latency.exporting import nested_tensors
from saliency.pruning.surgery import remove_channels

SUMS_REORDERED = 1e-3  # of the largest output
THIRD = 1 / 3
ENDS = {1000, 400, 91, 21}  # outputs of networks that classify, photos, clips, boxes or pixels
HEADS = ("rpn", "roi_heads", "head", "corr_block", "update_block", "mask_predictor")

Found = dict[str, Any]


def by_ours(model: nn.Module, arguments: tuple[Any, ...]) -> Found:
    """Remove a third of every group, and compare with the network whose gates are closed."""
    start = time.perf_counter()
    try:
        groups = find_groups(model, *arguments)
    except PruningError as error:
        return {"verdict": "refused", "reason": str(error)}
    removals = {g.name: list(range(0, g.size, 3))[: g.size - 1] for g in groups.prunable}
    pruned = remove_channels(model, groups, removals)
    seconds = time.perf_counter() - start
    gates = {key: gate.detach() for key, gate in ones(groups).items()}
    for key, removed in removals.items():
        gates[key][removed] = 0.0
    with torch.no_grad():
        with gated(model, groups, gates):
            closed = outputs(model, arguments)
        made = outputs(pruned, arguments)
    touched = {
        part.layer.rpartition(".")[0] if part.side == "parameter" else part.layer
        for group in groups.prunable
        for part in group.slices
    }
    found = {"seconds": round(seconds, 1), **shares(model, arguments, touched)}
    if [one.shape for one in closed] != [one.shape for one in made]:
        return {"verdict": "wrong", "reason": "outputs of other shapes", **found}
    largest = max(float(one.abs().max()) for one in closed if one.numel())
    error = max(float((a - b).abs().max()) for a, b in zip(closed, made, strict=True) if a.numel())
    reasons = sorted({reason for _, reason in groups.unprunable})
    verdict = "ok" if error <= SUMS_REORDERED * largest else "wrong"
    return {"verdict": verdict, "error": error / largest, **found, "whole": reasons}


def by_torch_pruning(model: nn.Module, arguments: tuple[Any, ...]) -> Found:
    """Remove a third of every layer by its magnitude, with that library's defaults.

    What it is told: which layers are the ends, and the heads of attention. It is only checked
    whether the network still runs, and gives outputs of the same shapes.
    """
    import torch_pruning  # noqa: PLC0415  needed for this alone

    whole = copy.deepcopy(model)
    counts = {name: layer_size(layer) for name, layer in model.named_modules()}
    with torch.no_grad():
        before = outputs(model, arguments)
    ends = [
        layer
        for name, layer in model.named_modules()
        if getattr(layer, "out_features", getattr(layer, "out_channels", 0)) in ENDS
        or name in HEADS
    ]
    heads = {one: one.num_heads for one in model.modules() if hasattr(one, "num_heads")}
    start = time.perf_counter()
    pruner = torch_pruning.pruner.BasePruner(
        model,
        arguments,
        importance=torch_pruning.importance.GroupMagnitudeImportance(),
        pruning_ratio=THIRD,
        ignored_layers=ends,
        num_heads=heads,
        output_transform=lambda out: [one for one in nested_tensors(out) if one.requires_grad],
    )
    pruner.step()
    seconds = time.perf_counter() - start
    cut = {n for n, layer in model.named_modules() if layer_size(layer) != counts[n]}
    if not cut:
        return {"verdict": "refused", "reason": "it removes nothing"}
    with torch.no_grad():
        after = outputs(model.eval(), arguments)
    found = {"seconds": round(seconds, 1), **shares(whole, arguments, cut)}
    same = [one.shape for one in before] == [one.shape for one in after]
    return {"verdict": "ok" if same else "wrong", **found}


def outputs(model: nn.Module, arguments: tuple[Any, ...]) -> list[Tensor]:
    """Return the tensors that a network returns.

    Those of a detector in one stage are what its head gives, as boxes are sorted by scores that are
    nearly the same with random weights.
    """
    seen: list[Tensor] = []
    hook = None
    if isinstance(model, SSD | RetinaNet | FCOS):
        hook = model.head.register_forward_hook(lambda *args: seen.extend(nested_tensors(args[2])))
    returned = list(nested_tensors(model(*arguments)))
    if hook is not None:
        hook.remove()
    return seen or returned


def layer_size(layer: nn.Module) -> int:
    """Return how many parameters a layer has itself."""
    return sum(one.numel() for one in layer.parameters(recurse=False))


def shares(model: nn.Module, arguments: tuple[Any, ...], touched: Collection[str]) -> Found:
    """Return which share of the parameters, and of the layers' time, is in some of these.

    The time is that of this thread in the layers that have parameters, less that of the layers
    inside them, in a second pass.
    """
    sizes = {name: layer_size(layer) for name, layer in model.named_modules()}
    inside = sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if name in touched or name.rpartition(".")[0] in touched
    )
    times = {name: spent for name, spent in own_times(model, arguments).items() if sizes[name]}
    return {
        "parameters": inside / sum(sizes.values()),
        "time": sum(times.get(name, 0) for name in touched) / sum(times.values()),
    }


def own_times(model: nn.Module, arguments: tuple[Any, ...]) -> dict[str, int]:
    """Return the nanoseconds that each module takes, without the modules that it calls."""
    times: dict[str, int] = {}
    running: list[list[int]] = []

    def enter(*_: Any) -> None:
        running.append([time.thread_time_ns(), 0])

    def leave(name: str) -> None:
        start, inside = running.pop()
        took = time.thread_time_ns() - start
        times[name] = times.get(name, 0) + took - inside
        if running:
            running[-1][1] += took

    hooks = []
    for name, module in model.named_modules():
        hooks.append(module.register_forward_pre_hook(enter))
        hooks.append(module.register_forward_hook(lambda *_, name=name: leave(name)))
    with torch.inference_mode():
        model(*arguments)
        times.clear()
        model(*arguments)
    for hook in hooks:
        hook.remove()
    return times


PRUNERS = {"ours": by_ours, "torch-pruning": by_torch_pruning}
