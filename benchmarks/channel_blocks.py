"""Whether a better approximation of the Fisher information chooses other channels, and better ones.

    python benchmarks/channel_blocks.py MODEL.safetensors --data osie:PATH

Three approximations estimate by how much the loss rises without a set S of a group's channels:

- parameters: the diagonal over single weights, the sum of 1/2 F w^2 over the weights that make S;
- channels: the diagonal over channels, the sum of 1/2 E[g_k^2] over S (Fisher pruning);
- block: all channels of the group together, 1/2 E[(sum of g_k over S)^2], S chosen greedily.

g_k is the gradient of an image's loss in a gate on channel k. Each removes the same number of
channels from every group, so that only the choice within groups differs. The table gives the share
of channels that a choice has in common with that of Fisher pruning, the rise of the loss that it
promises, and the rise that is measured on the images of the estimate and on validation images: with
the channels closed, and with the layers that read them refitted.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from saliency.compression.learner import EXAMPLE
from saliency.fixations.scene import Scene
from saliency.model.checkpoint import load_model
from saliency.model.network import SaliencyModel
from saliency.pruning.compensation import remove_and_compensate
from saliency.pruning.gates import gated, ones
from saliency.pruning.groups import ChannelGroups, find_groups
from saliency.training.data import read_training_data
from saliency.training.fisher import fixation_losses, log_density_of, spread_evenly
from saliency.training.validation import working_photo

SHARES = (0.125, 0.25, 0.5)
COMPENSATING = 32
"""Images by which layers are refitted."""

Removals = dict[str, list[int]]


class Estimates:
    """What the three approximations follow from.

    Attributes:
        gradients: by group, (images, channels).
        weights: by group, the sum of 1/2 F w^2 over the weights that make each channel.
    """

    def __init__(
        self, model: SaliencyModel, groups: ChannelGroups, scenes: Sequence[Scene]
    ) -> None:
        """Differentiate the loss of every image."""
        self.groups = groups
        found: dict[str, list[Any]] = {group.name: [] for group in groups.prunable}
        named = dict(model.named_parameters())
        squares = {name: torch.zeros_like(value) for name, value in named.items()}
        for scene in tqdm(scenes):
            gates = ones(groups)
            with gated(model, groups, gates):
                loss = fixation_losses(log_density_of(model, scene), scene).mean()
            wanted = [*gates.values(), *named.values()]
            gradients = torch.autograd.grad(loss, wanted, allow_unused=True)
            for name, gradient in zip(gates, gradients, strict=False):
                found[name].append(gradient.double().numpy())
            for name, gradient in zip(named, gradients[len(gates) :], strict=True):
                if gradient is not None:
                    squares[name] += gradient.square() / len(scenes)
        self.gradients = {name: np.stack(each) for name, each in found.items()}
        self.weights = {}
        for group in groups.prunable:
            total = np.zeros(group.size)
            for part in group.slices:
                if part.side == "out":
                    name = f"{part.layer}.weight"
                    signals = (squares[name] * named[name].detach().square() / 2).flatten(1).sum(1)
                    total += [float(signals[list(covered)].sum()) for covered in part.channels]
            self.weights[group.name] = total

    def by_parameters(self, share: float) -> Removals:
        """Return the channels whose weights have the least signals."""
        return self._least(lambda name: self.weights[name], share)

    def by_channels(self, share: float) -> Removals:
        """Return the channels of least signal."""
        return self._least(lambda name: np.square(self.gradients[name]).mean(axis=0), share)

    def by_blocks(self, share: float) -> Removals:
        """Return channels that are cheap together, one after the other."""
        chosen = {}
        for name, gradients in self.gradients.items():
            products = gradients.T @ gradients / len(gradients)
            rise, gone = np.diag(products).copy(), []
            for _ in range(int(share * len(products))):
                rise_or_never = np.where(np.isin(np.arange(len(rise)), gone), np.inf, rise)
                best = int(np.argmin(rise_or_never))
                gone.append(best)
                rise += 2 * products[best]
            chosen[name] = gone
        return chosen

    def promised(self, removals: Removals) -> float:
        """Return the rise of the loss by the blocks of all groups, in nats."""
        return sum(
            float(np.square(self.gradients[name][:, gone].sum(axis=1)).mean()) / 2
            for name, gone in removals.items()
        )

    def _least(self, signals: Callable[[str], Any], share: float) -> Removals:
        return {
            name: np.argsort(signals(name), kind="stable")[: int(share * each.shape[1])].tolist()
            for name, each in self.gradients.items()
        }


def mean_loss(model: SaliencyModel, scenes: Sequence[Scene]) -> float:
    """Return the mean negative log-likelihood of fixations, in nats."""
    with torch.inference_mode():
        losses = [fixation_losses(log_density_of(model, one), one).mean() for one in scenes]
    return float(torch.stack(losses).mean())


def closed_loss(
    model: SaliencyModel, groups: ChannelGroups, removals: Removals, scenes: Sequence[Scene]
) -> float:
    """Return the mean loss with channels closed."""
    gates = {name: gate.detach() for name, gate in ones(groups).items()}
    for name, gone in removals.items():
        gates[name][gone] = 0.0
    with gated(model, groups, gates):
        return mean_loss(model, scenes)


def main() -> None:
    """Estimate, choose, close, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", action="append", required=True, metavar="LAYOUT:PATH")
    parser.add_argument("--images", type=int, nargs="+", default=[128, 512])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = read_training_data(arguments.data, photos=None, teachers=[])
    model = load_model(arguments.model)
    groups = find_groups(model, EXAMPLE)
    validation_loss = mean_loss(model, data.validation)
    print("| images | share | choice | in common | promised | seen | validation | refitted |")
    print("|---|---|---|---|---|---|---|---|")
    for count in arguments.images:
        scenes = spread_evenly(data.train, count)
        seen = scenes[:: max(1, len(scenes) // 128)]
        seen_loss = mean_loss(model, seen)
        estimates = Estimates(model, groups, scenes)
        photos = [torch.tensor(working_photo(one, model))[None] for one in scenes[:COMPENSATING]]
        for share in SHARES:
            usual = estimates.by_channels(share)
            for name, removals in (
                ("parameters", estimates.by_parameters(share)),
                ("channels", usual),
                ("block", estimates.by_blocks(share)),
            ):
                same = sum(len(set(gone) & set(usual[key])) for key, gone in removals.items())
                refitted = remove_and_compensate(model, groups, removals, photos)
                assert isinstance(refitted, SaliencyModel)
                there = closed_loss(model, groups, removals, data.validation)
                print(
                    f"| {len(scenes)} | {share:.1%} | {name} "
                    f"| {same / sum(map(len, usual.values())):.0%} "
                    f"| {estimates.promised(removals):.3f} "
                    f"| {closed_loss(model, groups, removals, seen) - seen_loss:.3f} "
                    f"| {there - validation_loss:.3f} "
                    f"| {mean_loss(refitted.eval(), data.validation) - validation_loss:.3f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
