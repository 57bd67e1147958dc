"""Make a classifier of handwritten digits, a ResNet of torchvision, twice as fast."""

import argparse

import torch
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy, interpolate
from torch.utils.data import DataLoader, TensorDataset
from torchvision.models import resnet18

from saliency import pruning


def main() -> None:
    """Train a network, prune it, and print what it took before and after."""
    parser = argparse.ArgumentParser(description=__doc__)
    defaults = {"speedup": 2.0, "epochs": 8, "steps": 10, "tuning": 300, "budget": 180.0}
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    wanted = parser.parse_args()
    torch.manual_seed(0)
    digits = load_digits()
    photos = interpolate(torch.tensor(digits.images[:, None] / 16).float(), size=32).repeat(1, 3, 1, 1)  # fmt: skip # noqa: E501
    labels = torch.tensor(digits.target)
    loader = DataLoader(TensorDataset(photos[:1400], labels[:1400]), batch_size=32, shuffle=True)

    def loss(network: torch.nn.Module, batch: list[torch.Tensor]) -> torch.Tensor:
        return cross_entropy(network(batch[0]), batch[1])

    @torch.no_grad()
    def accuracy(network: torch.nn.Module) -> float:
        return (network(photos[1400:]).argmax(1) == labels[1400:]).float().mean().item()

    network = resnet18(num_classes=10)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for batch in (batch for _ in range(wanted.epochs) for batch in loader):
        optimizer.zero_grad()
        loss(network, batch).backward()
        optimizer.step()
    options = {"speedup": wanted.speedup, "steps": wanted.steps, "tuning_steps": wanted.tuning, "budget_seconds": wanted.budget}  # fmt: skip # noqa: E501
    result = pruning.prune(network, photos[:1], loader, loss, validate=accuracy, **options)
    for name, point in (("before", result.points[0]), ("after", result.points[-1])):
        print(f"{name}: {point['measured_ms']:.2f} ms, accuracy {point['score']:.3f}")
    result.save("digits.safetensors")  # and back: pruning.load


if __name__ == "__main__":
    main()
