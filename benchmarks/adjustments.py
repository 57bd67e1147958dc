"""Simpler and richer adjustments of a density than the one that `saliency calibrate` fits.

    python benchmarks/adjustments.py MODEL.safetensors --known osie:PATH --known osie:PATH \
      [--left-out fixatons:PATH]

Each is fitted to the validation images of the known sets (maximum likelihood of the fixations). The
table gives its numbers and what it adds to the information gain, in bits, there and on images of a
set that the model never saw. s is the map, b the center bias, h the entropy of the map's density
relative to that of an even one:

- constant: x0 s + x1 b
- lines, which `saliency calibrate` fits: (x0 + x1 h) s + (x2 + x3 h) b
- squares: the same with h^2
- blur: the lines, of the map blurred by a Gaussian of x4 cells
- even share: the lines' density mixed with an even one
- center share: the lines' density mixed with the center bias, by a line in h
"""

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor
from torch.nn import functional

from saliency.datasets.layouts.registry import read_dataset
from saliency.datasets.splits import split_scenes
from saliency.evaluation.calibration.density import Seen, see
from saliency.model.checkpoint import load_model
from saliency.model.network import SaliencyModel
from saliency.model.readout import EntropyAdjustment
from saliency.training.fisher import spread_evenly

Parts = tuple[Tensor, Tensor, Tensor]
"""Map, center bias and entropy of a photo."""


def parts_of(seen: Seen) -> Parts:
    """Return map, center bias and entropy."""
    log_share = torch.log_softmax(seen.scores.flatten(), dim=0)
    entropy = -(log_share.exp() * log_share).sum() - math.log(log_share.numel())
    return seen.scores, seen.bias, entropy


def lines(x: Tensor, parts: Parts) -> Tensor:
    """Return what `EntropyAdjustment` makes."""
    scores, bias, entropy = parts
    return (x[0] + x[1] * entropy) * scores + (x[2] + x[3] * entropy) * bias


def squares(x: Tensor, parts: Parts) -> Tensor:
    """Return the lines with squares beside them."""
    scores, bias, entropy = parts
    return lines(x, parts) + entropy**2 * (x[4] * scores + x[5] * bias)


def blurred(x: Tensor, parts: Parts) -> Tensor:
    """Return the lines of a map that is blurred first."""
    scores, bias, entropy = parts
    offsets = torch.arange(-6, 7).float()
    kernel = torch.softmax(-(offsets**2) / (2 * x[4] ** 2 + 1e-3), dim=0)
    padded = functional.pad(scores, (6,) * 4, mode="replicate")
    rows = functional.conv2d(padded, kernel.view(1, 1, -1, 1))
    return lines(x, (functional.conv2d(rows, kernel.view(1, 1, 1, -1)), bias, entropy))


def mixed(adjusted: Tensor, other: Tensor, logit: Tensor) -> Tensor:
    """Return the log of a density mixed with a share of another."""
    one, two = (torch.log_softmax(it.flatten(), dim=0) for it in (adjusted, other))
    mixture = torch.logaddexp(
        one + functional.logsigmoid(-logit), two + functional.logsigmoid(logit)
    )
    return mixture.view_as(adjusted)


WAYS: dict[str, tuple[Callable[[Tensor, Parts], Tensor], list[float]]] = {
    "constant": (lambda x, parts: x[0] * parts[0] + x[1] * parts[1], [1, 0]),
    "lines": (lines, [1, 0, 0, 0]),
    "squares": (squares, [1, 0, 0, 0, 0, 0]),
    "blur": (blurred, [1, 0, 0, 0, 0.5]),
    "even share": (
        lambda x, parts: mixed(lines(x, parts), torch.zeros_like(parts[0]), x[4] - 6),
        [1, 0, 0, 0, 0],
    ),
    "center share": (
        lambda x, parts: mixed(lines(x, parts), parts[1], x[4] - 4 + x[5] * parts[2]),
        [1, 0, 0, 0, 0, 0],
    ),
}


def at_fixations(model: SaliencyModel, adjusted: Tensor, seen: Seen) -> Tensor:
    """Return the mean log density at a photo's fixations."""
    return model.density_of(adjusted, seen.photo)[0][seen.rows, seen.columns].mean()


def main() -> None:
    """Fit each and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--known", action="append", required=True, metavar="LAYOUT:PATH")
    parser.add_argument("--left-out", metavar="LAYOUT:PATH")
    parser.add_argument("--images", type=int, default=200, help="of the set that was left out")
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    model.adjustment = EntropyAdjustment()
    scenes = [
        scene
        for spec in arguments.known
        for scene in split_scenes(read_dataset(spec).scenes, "validation")
    ]
    sets = [see(model, scenes)]
    if arguments.left_out:
        others = read_dataset(arguments.left_out).scenes
        sets.append(see(model, spread_evenly(others, arguments.images)))
    print("| adjustment | numbers | known | left out |\n|---|---|---|---|")
    for name, (way, first) in WAYS.items():
        numbers = fitted(model, sets[0], way, first)
        gains = [gain(model, seen, way, numbers) for seen in sets]
        shown = ", ".join(f"{number:.2f}" for number in numbers)
        print(f"| {name} | {shown} | " + " | ".join(f"{one:+.4f}" for one in gains) + " |")


def fitted(model: SaliencyModel, seen: Sequence[Seen], way: Any, first: Sequence[float]) -> Tensor:
    """Return the numbers under which the fixations are likeliest."""

    def loss(numbers: Any) -> tuple[float, Any]:
        free = torch.tensor(numbers, dtype=torch.float32, requires_grad=True)
        values = [at_fixations(model, way(free, parts_of(one)), one) for one in seen]
        (-torch.stack(values).mean()).backward()  # type: ignore[no-untyped-call]
        assert free.grad is not None
        return -float(np.mean([value.item() for value in values])), free.grad.double().numpy()

    found = minimize(loss, np.array(first, dtype=float), jac=True, method="L-BFGS-B").x
    return torch.tensor(found, dtype=torch.float32)


def gain(model: SaliencyModel, seen: Sequence[Seen], way: Any, numbers: Tensor) -> float:
    """Return what an adjustment adds, in bits per fixation."""
    with torch.inference_mode():
        changes = [
            at_fixations(model, way(numbers, parts_of(one)), one)
            - at_fixations(model, one.scores, one)
            for one in seen
        ]
    return float(torch.stack(changes).mean()) / math.log(2)


if __name__ == "__main__":
    main()
