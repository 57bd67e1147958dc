r"""Whether thick and thin layers alternate: the widths that pruning leaves, as a figure.

    saliency prune MODEL.safetensors --data osie:PATH --speedup 2 --cost latency --out by-time
    saliency prune MODEL.safetensors --data osie:PATH --speedup 2 --cost flops --out by-flops
    python benchmarks/widths.py MODEL.safetensors by-time/model.safetensors \
      by-flops/model.safetensors --out widths.png

Prints for each pruned model the correlation of the shares of channels that neighbouring layers
keep: from -1, where thick and thin layers alternate, to 1. Layers of one channel group, whose
channels go together, count once.
"""

import argparse
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np

from saliency.compression.learner import EXAMPLE
from saliency.model.checkpoint import load_model
from saliency.pruning.groups import ChannelGroups, find_groups
from saliency.pruning.surgery import Counts, layer_counts

MOST_NAMED = 40  # groups in a figure


def shares(groups: ChannelGroups, before: Counts, after: Counts) -> dict[str, float]:
    """Return, for each channel group in order, the share of its channels that is left."""
    found = {}
    for group in groups.prunable:
        layer, _, first = group.name.partition("[")
        if not first:  # of a layer whose channels belong to several groups, all count together
            found[group.name] = after[layer][1] / before[layer][1]
    return found


def shares_of_files(unpruned: Path, pruned: Path) -> dict[str, float]:
    """Return the shares of two saliency models."""
    model = load_model(unpruned)
    after = layer_counts(load_model(pruned))
    return shares(find_groups(model, EXAMPLE), layer_counts(model), after)


def alternation(kept: list[float]) -> tuple[float, float]:
    """Return the correlation of neighbours, and its standard error by leaving out one pair."""
    pairs = np.array([kept[:-1], kept[1:]])
    count = pairs.shape[1]
    without = [np.corrcoef(np.delete(pairs, k, axis=1))[0, 1] for k in range(count)]
    error = np.sqrt((count - 1) / count * np.sum((without - np.mean(without)) ** 2))
    return float(np.corrcoef(pairs)[0, 1]), float(error)


def draw_shares(found: dict[str, dict[str, float]], path: Path) -> None:
    """Draw the shares of some pruned networks of one origin, as a PNG file."""
    figure = matplotlib.figure.Figure(figsize=(11, 4), layout="constrained")
    axes: Any = figure.subplots()
    for name, kept in found.items():
        correlation, _ = alternation(list(kept.values()))
        axes.plot(range(len(kept)), list(kept.values()), "o-", label=f"{name}: {correlation:.2f}")
        if len(kept) <= MOST_NAMED:
            axes.set_xticks(range(len(kept)), list(kept), rotation=90, fontsize=7)
        else:
            axes.set_xlabel("channel group, in order")
    axes.set(ylabel="share of channels kept", ylim=(0, 1.05))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=80, pil_kwargs={"optimize": True})


def main() -> None:
    """Print the correlations and draw the widths."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("unpruned", type=Path, metavar="MODEL.safetensors")
    parser.add_argument("pruned", type=Path, nargs="+", metavar="PRUNED.safetensors")
    parser.add_argument("--names", nargs="+", help="of the pruned models, in the figure")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png")
    arguments = parser.parse_args()
    names = arguments.names or [path.parent.name for path in arguments.pruned]
    found = {
        name: shares_of_files(arguments.unpruned, path)
        for name, path in zip(names, arguments.pruned, strict=True)
    }
    for name, kept in found.items():
        correlation, error = alternation(list(kept.values()))
        print(
            f"{name}: neighbours correlate by {correlation:.2f} ± {error:.2f}, {len(kept)} groups"
        )
    draw_shares(found, arguments.out)


if __name__ == "__main__":
    main()
