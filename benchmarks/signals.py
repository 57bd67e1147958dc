"""What it costs to collect the Fisher signal: seconds of a training step with and without it.

    python benchmarks/signals.py

The default network, random photos, both kinds of steps in turns. Run it on a machine that does
nothing else.
"""

import argparse
import time
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch

from saliency.memory import reuse_large_blocks
from saliency.model.config import ModelConfig
from saliency.model.network import SaliencyModel
from saliency.pruning.groups import find_groups
from saliency.pruning.signals import SignalCollector
from saliency.training.losses import cross_entropy


def main() -> None:
    """Print the median times of both kinds of steps."""
    parser = argparse.ArgumentParser(description="What it costs to collect the Fisher signal.")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--size", type=int, nargs=2, default=(288, 384))
    parser.add_argument("--rounds", type=int, default=12)
    arguments = parser.parse_args()
    reuse_large_blocks()
    torch.manual_seed(0)
    model = SaliencyModel(ModelConfig()).train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    shape = (arguments.batch_size, *arguments.size)
    photos = torch.randint(0, 256, (*shape, 3), dtype=torch.uint8)
    target = torch.rand(shape).flatten(1).softmax(dim=1).view(shape)
    collector = SignalCollector(find_groups(model, photos[:1, :64, :96]), "fisher")

    def step(context: AbstractContextManager[None]) -> float:
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with context:
            cross_entropy(model(photos), target).mean().backward()
        optimizer.step()
        return time.perf_counter() - start

    times = [(step(nullcontext()), step(collector.watch(model))) for _ in range(arguments.rounds)]
    plain, watched = np.median(times[2:], axis=0)
    print(f"plain {plain:.3f} s, with signal {watched:.3f} s: {watched / plain - 1:+.1%}")


if __name__ == "__main__":
    main()
