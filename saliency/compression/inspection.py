"""The size, the cost and the contribution of each layer of a model: `saliency inspect`."""

import json
import math
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from jaxtyping import Float64
from numpy import ndarray
from torch import Tensor, nn

from saliency.fixations.scene import Scene
from saliency.model.export import export_onnx
from saliency.model.network import SaliencyModel
from saliency.pruning.fisher import Fisher, signals_of
from saliency.pruning.penalties.fisher_rao import diagonal_fisher_rao_norm
from saliency.training.fisher import drawn_fixations, fixation_losses, log_density_of
from saliency.training.validation import working_photo

KNOWN_SHARE = 0.01
"""Of what a model knows (its gain over an even density, in nats) that may go in the last column."""

_RUNS = 20


@dataclass(frozen=True)
class InspectedLayer:
    """One layer that has parameters, or all of them together.

    Attributes:
        name: of the module; `all` for the whole network.
        channels: that it makes; 0 for all.
        parameters: how many it has.
        macs: multiplications with additions for one photo.
        ms: milliseconds in ONNX Runtime; None for a layer that runs inside another one.
        fisher_rao: its part of the Fisher–Rao norm, exact.
        fisher_rao_diagonal: the same by the diagonal approximation.
        fisher_sum: sum of its Fisher values: how much the density depends on it.
        removable: share of its parameters whose Fisher signals, the least ones first, add up to
            `KNOWN_SHARE` of the gain over an even density.
    """

    name: str
    channels: int
    parameters: int
    macs: int
    ms: float | None
    fisher_rao: float
    fisher_rao_diagonal: float
    fisher_sum: float
    removable: float


def inspect_model(
    model: SaliencyModel, scenes: Sequence[Scene], fisher: Fisher, *, threads: int = 1
) -> list[InspectedLayer]:
    """Return every layer that has parameters, in the order of the network, and then all together.

    Args:
        model: in evaluation mode.
        scenes: photos with fixations, for the exact norms; the first is the one that is timed.
        fisher: the model's Fisher values (`fisher_of_scenes`).
        threads: of the timing.

    Raises:
        PhotoError: a photo cannot be read.
    """
    photo = torch.tensor(working_photo(scenes[0], model))[None]
    shapes = _macs(model, photo)
    times = _layer_times(model, photo.numpy(), threads=threads)
    derivatives = _derivatives(model, scenes)
    signals = signals_of(model, fisher)
    known = float(np.mean(_gains(model, scenes)))

    def inspected(name: str, names: list[str], channels: int, ms: float | None) -> InspectedLayer:
        together = np.sum([derivatives[each] for each in names], axis=0)
        values = dict(model.named_parameters())
        return InspectedLayer(
            name=name,
            channels=channels,
            parameters=sum(values[each].numel() for each in names),
            macs=sum(shapes.values()) if name == "all" else shapes.get(name, 0),
            ms=ms,
            fisher_rao=float(np.sqrt(np.mean(np.square(together)))),
            fisher_rao_diagonal=diagonal_fisher_rao_norm(model, fisher, parameters=names),
            fisher_sum=float(sum(fisher[each].sum() for each in names)),
            removable=_removable([signals[each] for each in names], KNOWN_SHARE * known),
        )

    rows = []
    for name, layer in model.named_modules():
        own = [f"{name}.{each}".lstrip(".") for each, _ in layer.named_parameters(recurse=False)]
        if own:
            channels = int(next(iter(layer.parameters(recurse=False))).shape[:1].numel())
            rows.append(inspected(name or "network", own, channels, times.get(name)))
    every = [name for name, _ in model.named_parameters()]
    return [*rows, inspected("all", every, 0, sum(times.values()))]


def _gains(model: SaliencyModel, scenes: Sequence[Scene]) -> list[float]:
    """Return the information gain of each scene over an even density, in nats."""
    with torch.inference_mode():
        seen = [(model(torch.tensor(working_photo(each, model))[None])[0], each) for each in scenes]
        return [
            math.log(one.numel()) - float(fixation_losses(one, each).mean()) for one, each in seen
        ]


def _derivatives(
    model: SaliencyModel, scenes: Sequence[Scene]
) -> dict[str, Float64[ndarray, " examples"]]:
    """Return ⟨θ, ∇θ ℓ⟩ of every parameter and example; those of several parameters add up."""
    named = dict(model.named_parameters())
    found: dict[str, list[float]] = {name: [] for name in named}
    for scene, drawn in drawn_fixations(scenes):
        losses = fixation_losses(log_density_of(model, scene), scene)[drawn]
        for loss in losses:
            gradients = torch.autograd.grad(loss, list(named.values()), retain_graph=True)
            for (name, value), gradient in zip(named.items(), gradients, strict=True):
                found[name].append(float((value.detach().double() * gradient.double()).sum()))
    return {name: np.array(values) for name, values in found.items()}


def _removable(signals: Sequence[Tensor], allowed: float) -> float:
    ordered = np.sort(np.concatenate([value.flatten().numpy() for value in signals]))
    return float(np.searchsorted(np.cumsum(ordered), allowed, side="right") / len(ordered))


def _macs(model: nn.Module, photo: Tensor) -> dict[str, int]:
    """Return the multiplications with additions of convolutions and linear layers."""
    found: dict[str, int] = defaultdict(int)

    def hook(name: str) -> Any:
        def count(layer: Any, _: Any, output: Tensor) -> None:
            found[name] += output.numel() * layer.weight[0].numel()

        return count

    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
    handles = [
        layer.register_forward_hook(hook(name))
        for name, layer in model.named_modules()
        if isinstance(layer, kinds)
    ]
    with torch.inference_mode():
        model(photo)
    for handle in handles:
        handle.remove()
    return dict(found)


def _layer_times(model: SaliencyModel, photo: Any, *, threads: int) -> dict[str, float]:
    """Return the milliseconds of each layer in ONNX Runtime, by the profiler, medians of runs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_onnx(model, path)
        maker = _Makers(onnx.load(path))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        for _ in range(_RUNS):
            session.run(None, {"photos": photo})
        events = json.loads(Path(session.end_profiling()).read_text())
    spent: dict[str, list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            spent[event["name"].removesuffix("_kernel_time")].append(event["dur"] / 1e3)
    times: dict[str, float] = defaultdict(float)
    for node, durations in spent.items():
        times[_module_of(maker.of(node))] += float(np.median(durations))
    return dict(times)


class _Makers:
    """Finds the convolution to which an optimised node belongs, with its activation."""

    def __init__(self, graph: onnx.ModelProto) -> None:
        self._by_output = {name: node for node in graph.graph.node for name in node.output}
        self._by_name = {node.name: node for node in graph.graph.node}

    def of(self, name: str) -> str:
        """Return the name of the node before optimisation, of an activation that it follows.

        ONNX Runtime names what it has fused by its last output.
        """
        output = name.removesuffix("_nchwc")
        node = self._by_output.get(output) or self._by_name.get(output)
        while node is not None and node.op_type in ("Clip", "Relu", "Sigmoid", "HardSigmoid"):
            node = self._by_output.get(node.input[0])
        return name if node is None else str(node.name)


def _module_of(node: str) -> str:
    """Return the module that made a node: /blocks.1/blocks.1.0/conv/Conv is of blocks.1.0.conv."""
    parts: list[str] = []
    for part in node.strip("/").split("/")[:-1]:
        if parts and part.startswith(f"{parts[-1]}."):
            parts.pop()
        parts.append(part)
    return ".".join(parts)


def as_records(rows: Sequence[InspectedLayer]) -> list[Mapping[str, Any]]:
    """Return layers as plain values for JSON."""
    return [vars(row) for row in rows]


def as_table(rows: Sequence[InspectedLayer]) -> str:
    """Return layers as lines of text."""
    width = max(len(row.name) for row in rows)
    heads = ("channels", "parameters", "MACs", "ms", "F-R norm", "diagonal", "Fisher sum", "1 %")
    lines = [f"{'layer':{width}}" + "".join(f"{head:>12}" for head in heads)]
    for row in rows:
        time = "" if row.ms is None else f"{row.ms:.3f}"
        channels = "" if not row.channels else str(row.channels)
        lines.append(
            f"{row.name:{width}}{channels:>12}{row.parameters:>12,}{row.macs:>12,}{time:>12}"
            f"{row.fisher_rao:>12.4f}{row.fisher_rao_diagonal:>12.4f}{row.fisher_sum:>12.4g}"
            f"{row.removable:>12.0%}"
        )
    return "\n".join(lines)
