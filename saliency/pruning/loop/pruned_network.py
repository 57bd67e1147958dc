"""The result of pruning any network: the network, its files, its report."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.figure
import onnx
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from saliency.errors import CheckpointError, first_line
from saliency.files import write_whole
from saliency.pruning.latency.quantization import quantize
from saliency.pruning.loop.example import Example
from saliency.pruning.loop.run import Point
from saliency.pruning.surgery import Counts, channel_counts, resize_layers

_COUNTS_KEY = "channel_counts"
MISSED = 1.03  # of the goal: two measurements of one network differ by as much


@dataclasses.dataclass(frozen=True)
class PrunedNetwork:
    """A network that was made faster.

    Attributes:
        model: the network, on the CPU, in evaluation mode.
        example: its input, of the size that was timed.
        before: channels read and made by each layer of the unpruned network.
        after: the same of this one.
        points: times and scores while pruning, the unpruned network's first and this one's last.
        kept_whole: layers whose channels were all kept, each with the reason.
        conditions: in which the times were measured: engine, version, device, threads.
        goal_ms: the time that was asked for; 0 where beta decided.
    """

    model: nn.Module
    example: Example
    before: Counts
    after: Counts
    points: Sequence[Point]
    kept_whole: Mapping[str, str]
    conditions: Mapping[str, Any]
    goal_ms: float = 0.0

    @property
    def missed(self) -> str | None:
        """In words by how much the goal was missed, None if it was reached."""
        last_ms = self.points[-1]["measured_ms"]
        if not self.goal_ms or last_ms <= MISSED * self.goal_ms:
            return None
        return f"the pruned network takes {last_ms:.3g} ms, {self.goal_ms:.3g} ms were asked for"

    def save(self, path: Path | str) -> None:
        """Write the weights and the channel counts as a safetensors file, replacing what is there.

        Raises:
            OutputError: it cannot be written.
        """
        save_network(self.model, Path(path))

    def export_onnx(self, path: Path | str, *, int8: Iterable[Any] | None = None) -> None:
        """Write the network as ONNX, for inputs of the example's size, replacing what is there.

        Args:
            path: of the file.
            int8: some 50 inputs, each like the example, to compute in 8-bit integers with the
                ranges of values that they show, as the engine `onnxruntime-int8` does (`quantize`);
                None to compute in float32.

        Raises:
            OutputError: it cannot be written.
            PruningError: the network cannot run on the inputs.
        """
        graph = self.example.graph_of(self.model)
        if int8 is not None:
            graph = quantize(graph, (Example.of(given).inputs() for given in int8))
        onnx.checker.check_model(graph)
        write_whole(graph.SerializeToString(), Path(path), overwrite=True)

    def report(self) -> dict[str, Any]:
        """Return all but the network, for JSON."""
        names = ("before", "after", "points", "kept_whole", "conditions")
        return {name: getattr(self, name) for name in names}

    def write_report(self, folder: Path | str) -> None:
        """Write report.md, .json and .png: times, scores, and the width of every layer.

        Raises:
            OutputError: they cannot be written.
        """
        folder = Path(folder)
        text = json.dumps(self.report(), indent=1)
        write_whole(text.encode(), folder / "report.json", overwrite=True)
        write_whole(self.markdown().encode(), folder / "report.md", overwrite=True)
        self._draw().savefig(folder / "report.png", dpi=110)

    def markdown(self) -> str:
        """Return the report as Markdown."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        shown = ", ".join(f"{name} {value}" for name, value in self.conditions.items())
        yield f"# Pruning\n\nTimes measured with {shown}.\n"
        if self.missed:
            yield f"The goal was missed: {self.missed}.\n"
        yield "| | ms | speedup | score |\n|---|---|---|---|"
        last = len(self.points) - 1
        for index, point in enumerate(self.points):
            name = "unpruned" if not index else f"after {point['removals']:.0f} removals"
            name = "result" if index == last else name
            score = f"{point['score']:.4f}" if "score" in point else ""
            yield f"| {name} | {point['measured_ms']:.3f} | {point['speedup']:.2f} | {score} |"
        yield "\n| layer | channels before | after | kept |\n|---|---|---|---|"
        for layer, before, after, share in kept_widths(self.before, self.after):
            yield f"| {layer} | {before} | {after} | {share:.0%} |"
        if self.kept_whole:
            yield "\n| kept whole | because |\n|---|---|"
            for layer, reason in self.kept_whole.items():
                yield f"| {layer} | {reason} |"

    def _draw(self) -> matplotlib.figure.Figure:
        figure = matplotlib.figure.Figure(figsize=(12, 7), layout="constrained")
        axes: Any = figure.subplots(2, 1)
        times = [point["measured_ms"] for point in self.points]
        scores = [point.get("score", point["speedup"]) for point in self.points]
        axes[0].plot(times[:-1], scores[:-1], "o-", label="while pruning")
        axes[0].plot(times[-1], scores[-1], "*", markersize=14, label="result")
        label = "score" if "score" in self.points[0] else "speedup"
        axes[0].set(xlabel="measured time (ms)", ylabel=label)
        axes[0].grid(alpha=0.3)
        axes[0].legend()
        shown = list(kept_widths(self.before, self.after))
        axes[1].bar(range(len(shown)), [before for _, before, *_ in shown], label="before")
        axes[1].bar(range(len(shown)), [after for _, _, after, _ in shown], label="after")
        axes[1].set(xlabel="layer, in order", ylabel="channels", yscale="log")
        axes[1].legend()
        return figure


def kept_widths(before: Counts, after: Counts) -> Iterator[tuple[str, int, int, float]]:
    """Yield, for each layer, the channels that it makes before, after, and the share left."""
    for layer, (_, made) in before.items():
        left = after[layer][1]
        yield layer, made, left, left / made


def save_network(model: nn.Module, path: Path) -> None:
    """Write a network's weights and channel counts, whole or not at all."""
    tensors = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
    metadata = {_COUNTS_KEY: json.dumps(channel_counts(model))}
    write_whole(save(tensors, metadata), path, overwrite=True)


def load(path: Path | str, model: nn.Module) -> nn.Module:
    """Return the pruned network of a file that `PrunedNetwork.save` wrote, in evaluation mode.

    Args:
        path: of the file.
        model: the network as it was before pruning, with any weights; it is not changed.

    Raises:
        CheckpointError: the file cannot be read, or its weights do not fit into the network. That
            other settings (strides, padding) differ is not seen.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            counts = json.loads((file.metadata() or {})[_COUNTS_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        resized = resize_layers(model, counts)
        resized.load_state_dict(tensors, strict=True)
    except KeyError as error:
        raise CheckpointError(
            f"{path} has no channel counts; expected a file that PrunedNetwork.save wrote"
        ) from error
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"cannot load {path} into {type(model).__name__}: {first_line(error)}"
        ) from error
    return resized.eval()
