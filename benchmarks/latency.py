"""How well a latency table predicts the time of whole networks.

    python benchmarks/latency.py --size 240x320 --table table.json --plot latency.png
    python benchmarks/latency.py --network densenet121 --size 224x224 --networks 8 --budget 150

Prunes a network at random, a fifth to nine tenths of its channels, measures the table of the whole
network (or reads it), and between the table's rounds the pruned networks, and compares
the time predicted with the time measured: for networks that keep multiples of 8 channels, as
pruning against a table makes them, and for networks that keep any number. `saliency prune` measures
the unpruned network before it prunes and corrects the table's times by it: that error is told too.
Weights are arbitrary: time does not depend on them. Run it on a machine that does nothing else.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
import torch
from matplotlib.figure import Figure as Canvas
from scipy.stats import spearmanr
from torch import Tensor, nn
from torchvision.models import get_model

from saliency.commands.prune import image_size
from saliency.files import write_whole
from saliency.model.config import ModelConfig
from saliency.model.export import saliency_graph
from saliency.model.network import SaliencyModel
from saliency.pruning.costs import NetworkCost, latency_cost
from saliency.pruning.groups import ChannelGroups, find_groups
from saliency.pruning.latency.engines import ENGINES
from saliency.pruning.latency.exporting import export_copy
from saliency.pruning.latency.measuring import conditions_of
from saliency.pruning.latency.onnx_graph import find_templates, simplify
from saliency.pruning.latency.pace import NetworkTimes
from saliency.pruning.latency.table import LatencyTable
from saliency.pruning.latency.table_file import measure_shown, read_table, table_to_json
from saliency.pruning.surgery import remove_channels

DEFAULT = "saliency"

Times = tuple[list[float], list[float]]
"""Milliseconds of networks, the unpruned one first: predicted (and corrected by it), measured."""


@dataclass(frozen=True)
class Network:
    """What is pruned at random: a network, its input, and how it is exported."""

    model: nn.Module
    example: Tensor
    export: Callable[[nn.Module], onnx.ModelProto]

    @property
    def shape(self) -> tuple[int, ...]:
        """Return that of its input."""
        return tuple(self.example.shape)


def network_of(name: str, size: tuple[int, int]) -> Network:
    """Return the default network or one of torchvision's, with arbitrary weights."""
    torch.manual_seed(0)
    if name == DEFAULT:
        example = torch.zeros(1, *size, 3, dtype=torch.uint8)
        return Network(SaliencyModel(ModelConfig()).eval(), example, saliency_graph)
    photo = torch.rand(1, 3, *size)
    model = get_model(name, weights=None).eval()
    return Network(model, photo, lambda pruned: export_copy(pruned, photo))


@dataclass(frozen=True)
class Pruned:
    """What is left of a network: how many channels each group has, and the graph."""

    sizes: dict[str, int]
    graph: onnx.ModelProto


def random_networks(
    network: Network, groups: ChannelGroups, *, count: int, step: int
) -> list[Pruned]:
    """Return a network, and it with 20 % to 90 % of its channels removed at random.

    Every group keeps a multiple of `step` channels, or all of fewer.
    """
    random = np.random.default_rng(0)
    found = [Pruned(groups.sizes(), network.export(network.model))]
    for share in np.linspace(0.2, 0.9, count):
        removals = {}
        for group in groups.prunable:
            kept = group.size * (1 - min(share * random.uniform(0.6, 1.4), 0.95))
            kept = max(step, round(kept / step) * step)
            if kept < group.size:
                removals[group.name] = random.permutation(group.size)[kept:].tolist()
        graph = network.export(remove_channels(network.model, groups, removals))
        sizes = {name: size - len(removals.get(name, ())) for name, size in groups.sizes().items()}
        found.append(Pruned(sizes, graph))
    return found


def compare(
    table: LatencyTable, cost: NetworkCost, times: NetworkTimes, networks: list[Pruned]
) -> Times:
    """Print predicted and measured times of pruned networks, and how well they agree.

    The first network, the unpruned one, gives the correction. What is drawn is returned.
    """
    predicted = [cost.total(one.sizes) for one in networks]
    measured = times.medians_ms(reference_ms=table.reference_ms)
    correction = measured[0] / predicted[0]
    ratios = np.divide(predicted[1:], measured[1:])
    print("  predicted ms  measured ms   error  corrected")
    for expected, actual, ratio in zip(predicted[1:], measured[1:], ratios, strict=True):
        print(f"{expected:14.2f}{actual:13.2f}{ratio - 1:8.1%}{correction * ratio - 1:11.1%}")
    errors = [np.median(np.abs(factor * ratios - 1)) for factor in (1, correction)]
    rank = spearmanr(predicted[1:], measured[1:]).statistic
    print(
        f"median error {errors[0]:.1%}, corrected by the unpruned network {errors[1]:.1%}, "
        f"rank correlation {rank:.3f}, {table.conditions.device}"
    )
    return [correction * expected for expected in predicted], list(measured)


def draw(compared: Mapping[str, Times]) -> bytes:
    """Return a PNG of the predicted against the measured times."""
    canvas = Canvas(figsize=(5, 5), layout="constrained")
    axes = canvas.subplots()
    axes.axline((2, 2), (40, 40), color="#bbbbbb", linewidth=1, zorder=0)
    for (label, (predicted, measured)), marker, colour in zip(
        compared.items(), "os", ("#0072b2", "#d55e00"), strict=True
    ):
        axes.plot(measured, predicted, marker, color=colour, markersize=5, label=label)
    axes.set(
        xscale="log",
        yscale="log",
        xlim=(2, 40),
        ylim=(2, 40),
        xlabel="measured, ms",
        ylabel="predicted, ms, corrected by the unpruned network",
    )
    ticks = [2, 3, 5, 10, 20, 40]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.grid(color="#eeeeee")
    axes.legend(title="channels left")
    buffer = BytesIO()
    canvas.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()


def main() -> None:
    """Measure or read a table, then compare."""
    parser = argparse.ArgumentParser(description="How well a latency table predicts.")
    parser.add_argument("--network", default=DEFAULT, metavar="NAME", help="or of torchvision")
    parser.add_argument("--engine", choices=ENGINES, default="onnxruntime")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--size", type=image_size, default=(240, 320), metavar="HEIGHTxWIDTH")
    parser.add_argument("--networks", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--table", type=Path, help="read from here if there, else written")
    parser.add_argument("--plot", type=Path, help="where to draw the comparison, as PNG")
    parser.add_argument("--budget", type=float, default=540.0, help="seconds for the table")
    arguments = parser.parse_args()
    engine, size = ENGINES[arguments.engine](threads=arguments.threads), arguments.size
    network = network_of(arguments.network, size)
    inputs = {
        "photos" if arguments.network == DEFAULT else "input": network.example.numpy(),
    }
    groups = find_groups(network.model, network.example)
    networks = {
        step: random_networks(network, groups, count=arguments.networks, step=step)
        for step in (8, 1)
    }
    times = {
        step: NetworkTimes(
            [simplify(one.graph, input_shape=network.shape) for one in pruned],
            engine,
            [inputs] * len(pruned),
        )
        for step, pruned in networks.items()
    }

    def visit() -> None:
        for visited in times.values():
            visited.visit()

    if arguments.table is not None and arguments.table.exists():
        table = read_table(arguments.table)
        table.require(conditions_of(engine, input_size=size))
        for _ in range(arguments.rounds):
            visit()
    else:
        table = measure_shown(
            network.export(network.model),
            engine,
            input_shape=network.shape,
            input_size=size,
            rounds=arguments.rounds,
            budget_seconds=arguments.budget,
            after_round=visit,
        )
        if arguments.table is not None:
            write_whole(table_to_json(table).encode(), arguments.table, overwrite=True)
    compared = {}
    unpruned = networks[8][0].graph
    templates = find_templates(unpruned, input_shape=network.shape)
    cost = latency_cost(table, templates, groups)
    for step, pruned in networks.items():
        print(f"channels in multiples of {step}")
        name = "any number" if step == 1 else f"multiples of {step}"
        compared[name] = compare(table, cost, times[step], pruned)
    if arguments.plot is not None:
        write_whole(draw(compared), arguments.plot, overwrite=True)


if __name__ == "__main__":
    main()
