"""Make a network of torchvision faster on this machine, by Fisher pruning against measured times.

Run it with `python examples/prune_your_network.py`. Random photos and labels stand for your data.
"""

import argparse

import torch
from torchvision.models import mobilenet_v3_small

from saliency.pruning.compensation import remove_and_compensate
from saliency.pruning.costs import latency_cost
from saliency.pruning.groups import find_groups
from saliency.pruning.latency.engines import OnnxRuntimeEngine
from saliency.pruning.latency.exporting import export_copy
from saliency.pruning.latency.measuring import measure_table
from saliency.pruning.latency.onnx_graph import find_templates
from saliency.pruning.selection import Selection
from saliency.pruning.signals import SignalCollector


def main() -> None:
    """Prune until the predicted time is the share that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("share", 0.7), ("side", 96), ("width", 1.0), ("seconds", 60.0)):
        parser.add_argument(f"--{name}", type=type(value), default=value)
    wanted = parser.parse_args()
    shape = (example := torch.zeros(1, 3, wanted.side, wanted.side)).shape
    network = mobilenet_v3_small(num_classes=10, width_mult=wanted.width).eval()
    batches = [(torch.randn(8, *shape[1:]), torch.randint(10, (8,))) for _ in range(4)]
    groups, graph = find_groups(network, example), export_copy(network, example)
    sizes = {"input_shape": shape, "input_size": shape[2:], "budget_seconds": wanted.seconds}
    table = measure_table(graph, OnnxRuntimeEngine(threads=1), **sizes)
    cost = latency_cost(table, find_templates(graph, input_shape=shape), groups)
    collector = SignalCollector(groups, "fisher")
    for photos, labels in batches:
        with collector.watch(network):
            torch.nn.functional.cross_entropy(network(photos), labels).backward()
    selection = Selection(collector.signals(network), cost, sizes=groups.sizes())
    before_ms = after_ms = cost.total(selection.sizes)
    while after_ms > wanted.share * before_ms and selection.decide():
        after_ms = cost.total(selection.sizes)
    pruned = remove_and_compensate(network, groups, selection.removals, [batches[0][0]])
    print(f"{before_ms:.2f} ms before, {after_ms:.2f} ms after, by the table")
    print(f"output of the pruned network: {tuple(pruned(batches[0][0]).shape)}")


if __name__ == "__main__":
    main()
