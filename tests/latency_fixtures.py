"""Toy networks whose operations are written out, and an engine whose clock the test sets."""

import math
from collections.abc import Callable

import torch
from torch import nn

from saliency.pruning.latency.exporting import export_copy


class Toy(nn.Module):
    """A stem, a residual depthwise block and a pointwise head, 8 channels wide."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8))
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.heads = nn.ModuleList([nn.Conv2d(16, 2, 1)])

    def forward(self, images):
        maps = torch.relu(self.stem(images))
        summed = maps + self.depthwise(maps)
        return self.heads[0](torch.cat([maps, summed], dim=1))


def toy_graph():
    torch.manual_seed(0)
    return export_copy(Toy(), torch.zeros(1, 3, 16, 24))


class CountingEngine:
    """Runs nothing: a run takes as many milliseconds as the graph has nodes."""

    name, version, device, threads, dtype = "counting", "1", "none", 1, "float32"

    def __init__(self):
        self.now_ns = 0
        self.graphs = []

    def prepare(self, model, inputs) -> Callable[[], object]:
        self.graphs.append((model, inputs))

        def run():
            self.now_ns += 1_000_000 * len(model.graph.node)

        return run

    def clock_ns(self):
        return self.now_ns


class SizeEngine:
    """Runs nothing: a run takes a microsecond for every ten weights, and ten for every node.

    That is for photos of 64x64; for larger ones it takes as much longer as they are larger.
    """

    name, version, device, threads, dtype = "size", "1", "none", 1, "float32"

    def __init__(self, *, threads=1):
        assert threads == 1
        self.now_ns = 0

    def prepare(self, model, inputs) -> Callable[[], object]:
        weights = sum(math.prod(item.dims) for item in model.graph.initializer)
        area = math.prod(inputs["photos"].shape[1:3]) / 64**2 if "photos" in inputs else 1
        taken_ns = round(area * (100 * weights + 10_000 * len(model.graph.node)))

        def run():
            self.now_ns += taken_ns

        return run

    def clock_ns(self):
        return self.now_ns
