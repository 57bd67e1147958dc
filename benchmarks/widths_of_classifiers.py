"""Whether pruning by time makes thick and thin layers alternate, in VGG-11 and DenseNet-121.

    python benchmarks/widths_of_classifiers.py vgg11 --out DIR

The network learns scikit-learn's digits from random weights, and is pruned to half its time on this
machine, by milliseconds and by FLOPs. It prints the accuracies, the correlation of the shares of
channels that neighbouring groups keep (−1: thick and thin alternate), and the shares.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy, interpolate
from torch.utils.data import DataLoader, TensorDataset
from torchvision.models import densenet121, vgg11_bn
from widths import alternation, draw_shares, shares

from saliency import pruning
from saliency.pruning.groups import find_groups


def vgg11() -> nn.Module:
    """Return VGG-11 with batch norm, and one linear layer at its end."""
    network = vgg11_bn(num_classes=10)
    network.avgpool, network.classifier = nn.Identity(), nn.Linear(512, 10)
    return network


NETWORKS = {"vgg11": vgg11, "densenet121": lambda: densenet121(num_classes=10)}


def main() -> None:
    """Train one of the networks, prune it by both costs, and print what is left."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--out", metavar="DIR", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--side", type=int, default=32, help="of the photo for which time counts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--figure", type=Path, metavar="FILE.png")
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    digits = load_digits()
    grey = torch.tensor(digits.images[:, None] / 16).float()
    photos, labels = interpolate(grey, size=32).repeat(1, 3, 1, 1), torch.tensor(digits.target)
    loader = DataLoader(TensorDataset(photos[:1400], labels[:1400]), batch_size=32, shuffle=True)

    def loss(network: nn.Module, batch: list[torch.Tensor]) -> torch.Tensor:
        return cross_entropy(network(batch[0]), batch[1])

    @torch.no_grad()
    def accuracy(network: nn.Module) -> float:
        return float((network(photos[1400:]).argmax(1) == labels[1400:]).float().mean())

    network = NETWORKS[arguments.network]()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for batch in (batch for _ in range(arguments.epochs) for batch in loader):
        optimizer.zero_grad()
        loss(network, batch).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    table: Path | None = None
    found: dict[str, dict[str, float]] = {}
    for cost in ("latency", "flops"):
        folder = arguments.out / f"{arguments.network}-{cost}-{arguments.seed}"
        given: dict[str, Any] = {"cost": cost, "speedup": 2.0, "steps": 5, "time_share": 0.1}
        result = pruning.prune(
            network,
            torch.zeros(1, 3, arguments.side, arguments.side),
            loader,
            loss,
            validate=accuracy,
            tuning_steps=44,
            seed=arguments.seed,
            table=table,
            folder=folder,
            **given,
        )
        table = table or folder / "latency.json"
        kept = shares(find_groups(network, photos[:1]), result.before, result.after)
        found["by time" if cost == "latency" else "by FLOPs"] = kept
        correlation, error = alternation(list(kept.values()))
        last = result.points[-1]
        print(
            f"{arguments.network}, by {cost}: accuracy {result.points[0]['score']:.3f} to "
            f"{last['score']:.3f}, {last['speedup']:.2f} times faster, neighbours correlate by "
            f"{correlation:.2f} ± {error:.2f}, {len(kept)} groups"
        )
        print(" ".join(f"{share:.2f}" for share in kept.values()), flush=True)
    if arguments.figure is not None:
        draw_shares(found, arguments.figure)


if __name__ == "__main__":
    main()
