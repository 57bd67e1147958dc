"""The report of a pruning run: times, figures, widths and crop windows, before and after."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np

from saliency.compression.comparison import ModelComparison
from saliency.evaluation.crop_quality import compare_windows
from saliency.files import write_whole
from saliency.fixations.scene import Scene
from saliency.model.checkpoint import load_model
from saliency.pruning.loop.pruned_network import kept_widths
from saliency.pruning.loop.run import Point
from saliency.pruning.methods.options import PruningOptions
from saliency.pruning.surgery import Counts


@dataclasses.dataclass(frozen=True)
class PruningResult:
    """The result of a pruning run.

    Attributes:
        before: channels read and written by each layer of the unpruned model.
        after: the same of the pruned one.
        points: times and validation figures while pruning, the unpruned model's first.
        options: how it was pruned.
        size: height and width of the photo that was timed, as the pruned model gets it.
        result: time, speedup and figures of the pruned model, fine-tuned.
        windows: by aspect ratio, how far the crop windows moved.
    """

    before: Counts
    after: Counts
    points: Sequence[Point]
    options: PruningOptions
    size: tuple[int, int]
    result: Point = dataclasses.field(default_factory=dict)
    windows: dict[str, Point] = dataclasses.field(default_factory=dict)


def write_report(
    outcome: PruningResult, comparison: ModelComparison, scenes: Sequence[Scene], *, folder: Path
) -> PruningResult:
    """Measure the fine-tuned model against the unpruned one and write report.md, .json, .png.

    Args:
        outcome: of pruning.
        comparison: measures.
        scenes: whose crop windows are compared.
        folder: holds `unpruned.onnx` and the fine-tuned `model.onnx` and `model.safetensors`.
    """
    files = folder / "unpruned.onnx", folder / "model.onnx"
    complete = dataclasses.replace(
        outcome,
        result=comparison.measure(load_model(folder / "model.safetensors")),
        windows=compare_windows(*files, scenes),
    )
    values = dataclasses.asdict(complete) | {"alternation": alternation(complete)}
    write_whole(json.dumps(values, indent=1).encode(), folder / "report.json", overwrite=True)
    text = "\n".join(_lines(complete)) + "\n"
    write_whole(text.encode(), folder / "report.md", overwrite=True)
    _draw(complete).savefig(folder / "report.png", dpi=110)
    return complete


def alternation(outcome: PruningResult) -> float:
    """Return how thick and thin layers alternate: −1 if they do, 1 if neighbours are alike.

    It is the correlation of the shares of channels that neighbouring layers keep, in the order in
    which they run. (Theis et al. 2018 saw them alternate when pruned by time.)
    """
    kept = [share for _, _, _, share in kept_widths(outcome.before, outcome.after)]
    if len(kept) < 3 or np.std(kept[:-1]) == 0 or np.std(kept[1:]) == 0:
        return 0.0
    return float(np.corrcoef(kept[:-1], kept[1:])[0, 1])


def _lines(outcome: PruningResult) -> Iterator[str]:
    unpruned = outcome.points[0]
    gain = "information_gain_bits"
    yield "# Pruning\n"
    yield (
        f"Times for one photo, which reaches the pruned model as {outcome.size[1]}×"
        f"{outcome.size[0]} pixels, {outcome.options.engine}, {outcome.options.threads} thread(s). "
        "Figures on the validation images, at each model's own input size.\n"
    )
    yield "| | ms | speedup | IG (bit) | IG kept | NSS | AUC |\n|---|---|---|---|---|---|---|"
    rows: list[tuple[str, Point]] = [("unpruned", unpruned)]
    for point in outcome.points[1:]:
        removals = f"after {point['removals']:.0f} removals"
        rows.append((removals if point["removals"] else "with its smaller input", point))
    for name, row in [*rows, ("fine-tuned", outcome.result)]:
        yield (
            f"| {name} | {row['measured_ms']:.2f} | {row['speedup']:.2f} | {row[gain]:.4f} | "
            f"{row[gain] / unpruned[gain]:.1%} | {row['nss']:.3f} | {row['auc']:.4f} |"
        )
    yield "\n| crop | windows moved by | not moved | fixations kept before | after |"
    yield "|---|---|---|---|---|"
    for aspect, row in outcome.windows.items():
        yield (
            f"| {aspect} | {row['moved']:.1%} of the side | {row['unmoved']:.0%} | "
            f"{row['kept_before']:.1%} | {row['kept_after']:.1%} |"
        )
    number = alternation(outcome)
    relation = "alternate" if number < -0.2 else "go together" if number > 0.2 else "do neither"
    yield (
        f"\nThick and thin layers {relation}: the shares of channels that neighbouring layers keep "
        f"correlate by {number:.2f}.\n"
    )
    yield "| layer | channels before | after | kept |\n|---|---|---|---|"
    for layer, before, after, share in kept_widths(outcome.before, outcome.after):
        yield f"| {layer} | {before} | {after} | {share:.0%} |"


def _draw(outcome: PruningResult) -> matplotlib.figure.Figure:
    """Draw measured time against information gain and NSS, and the width of every layer."""
    figure = matplotlib.figure.Figure(figsize=(13, 8), layout="constrained")
    axes: Any = figure.subplot_mosaic([["gain", "nss"], ["widths", "widths"]])
    times = [point["measured_ms"] for point in outcome.points]
    for key, name, label in (
        ("gain", "information_gain_bits", "information gain (bit)"),
        ("nss", "nss", "NSS"),
    ):
        axes[key].plot(times, [p[name] for p in outcome.points], "o-", label="while pruning")
        result = outcome.result
        axes[key].plot(result["measured_ms"], result[name], "*", markersize=14, label="fine-tuned")
        axes[key].set(xlabel="measured time (ms)", ylabel=label)
        axes[key].grid(alpha=0.3)
        axes[key].legend()
    shown = list(kept_widths(outcome.before, outcome.after))
    axes["widths"].bar(range(len(shown)), [before for _, before, *_ in shown], label="before")
    axes["widths"].bar(range(len(shown)), [after for _, _, after, _ in shown], label="after")
    axes["widths"].set(xlabel="layer, in order", ylabel="channels", yscale="log")
    axes["widths"].legend()
    return figure
