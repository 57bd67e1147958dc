r"""What makes a density right photo by photo, judged on a data set that was left out.

    python benchmarks/sharpness.py MEMBER.safetensors OTHER.safetensors --known osie:PATH \
      --known osie:PATH --left-out fixatons:PATH

Both models learned the known sets, with different seeds. Each way changes their log densities by a
few numbers, which are fitted to the validation images of the known sets (maximum likelihood of the
fixations). The table gives the information gain there, and on images of the set that was left out,
with the 95 % interval over images of what the way changes.

- one temperature: a log p, the same a for all photos;
- temperature by shape: (a + b h) log p, where h is the entropy of p, so that a photo where nothing
  stands out may get another temperature than one with a clear peak;
- center bias by shape: (a + b h) log p + (c + d h) log bias;
- mirrored: mean of the densities of the photo and of its mirror image;
- two members: mean of the two models' densities;
- temperature by disagreement: (a + b j) log of that mean, j the divergence of the members.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy import ndarray
from scipy.optimize import minimize
from scipy.special import logsumexp

from saliency.datasets.layouts.registry import read_dataset
from saliency.evaluation.bootstrap import spread_of_mean
from saliency.evaluation.metrics import information_gain_bits
from saliency.fixations.center_bias import CenterBias, fit_center_bias
from saliency.fixations.scene import Scene, rescale_fixations
from saliency.model.checkpoint import load_model
from saliency.model.network import SaliencyModel
from saliency.training.data import read_training_data
from saliency.training.fisher import spread_evenly
from saliency.training.validation import predict, working_photo


@dataclass(frozen=True)
class Seen:
    """What the models say of a photo, and where people looked.

    Attributes:
        members: log density of each model, (height, width).
        mirrored: mean log density of the first for the photo and its mirror image.
        bias: log density of the known sets' center bias.
        baseline: log density of the center bias of the photo's own set.
        fixations: in pixels of these.
    """

    members: tuple[ndarray, ...]
    mirrored: ndarray
    bias: ndarray
    baseline: ndarray
    fixations: ndarray

    def gain(self, log_density: ndarray) -> float:
        """Return the information gain of a density that need not sum to one, in bits."""
        normed = log_density - logsumexp(log_density)
        return float(information_gain_bits(normed, self.fixations, baseline=self.baseline))


def mean_of(*log_densities: ndarray) -> ndarray:
    """Return the log of the mean of densities."""
    mean: ndarray = logsumexp(np.stack(log_densities), axis=0) - np.log(len(log_densities))
    return mean


def entropy(log_density: ndarray) -> float:
    """Return the entropy relative to that of an even density, in nats: 0 for even, below else."""
    return float(-(np.exp(log_density) * log_density).sum() - np.log(log_density.size))


def divergence(seen: Seen) -> float:
    """Return the Jensen-Shannon divergence of the members, in nats."""
    mean = mean_of(*seen.members)
    return entropy(mean) - float(np.mean([entropy(one) for one in seen.members]))


Way = Callable[[Seen, Sequence[float]], ndarray]

WAYS: dict[str, tuple[Way, list[float]]] = {
    "as it is": (lambda seen, _: seen.members[0], []),
    "one temperature": (lambda seen, x: x[0] * seen.members[0], [1.0]),
    "temperature by shape": (
        lambda seen, x: (x[0] + x[1] * entropy(seen.members[0])) * seen.members[0],
        [1.0, 0.0],
    ),
    "center bias by shape": (
        lambda seen, x: (
            (x[0] + x[1] * entropy(seen.members[0])) * seen.members[0]
            + (x[2] + x[3] * entropy(seen.members[0])) * seen.bias
        ),
        [1.0, 0.0, 0.0, 0.0],
    ),
    "mirrored": (lambda seen, _: seen.mirrored, []),
    "two members": (lambda seen, _: mean_of(*seen.members), []),
    "temperature by disagreement": (
        lambda seen, x: (x[0] + x[1] * divergence(seen)) * mean_of(*seen.members),
        [1.0, 0.0],
    ),
}


def see(
    scenes: Sequence[Scene], models: Sequence[SaliencyModel], bias: CenterBias, own: CenterBias
) -> list[Seen]:
    """Return what the models say of some photos."""
    found = []
    for scene in scenes:
        photo = working_photo(scene, models[0])
        members = tuple(predict(model, photo) for model in models)
        flipped = predict(models[0], np.ascontiguousarray(photo[:, ::-1]))[:, ::-1]
        size = members[0].shape
        points = rescale_fixations(
            scene.fixations, from_size=(scene.width, scene.height), to_size=size[::-1]
        )
        found.append(
            Seen(
                members,
                mean_of(members[0], flipped),
                bias.log_density(size),
                own.log_density(size),
                points,
            )
        )
    return found


def main() -> None:
    """Fit each way to the known sets and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("members", type=Path, nargs=2, metavar="MODEL.safetensors")
    parser.add_argument("--known", action="append", required=True, metavar="LAYOUT:PATH")
    parser.add_argument("--left-out", required=True, metavar="LAYOUT:PATH")
    parser.add_argument("--images", type=int, default=300, help="of the set that was left out")
    arguments = parser.parse_args()
    models = [load_model(path).eval() for path in arguments.members]
    known = read_training_data(arguments.known, photos=None, teachers=[])
    bias = fit_center_bias(known.train, is_symmetric=True)
    others = read_dataset(arguments.left_out).scenes
    fitting = see(known.validation, models, bias, bias)
    judging = see(
        spread_evenly(others, arguments.images),
        models,
        bias,
        fit_center_bias(others, is_symmetric=True),
    )
    plain = np.array([seen.gain(seen.members[0]) for seen in judging])
    print("| way | numbers | known sets | left out | change there |\n|---|---|---|---|---|")
    for name, (way, first) in WAYS.items():

        def loss(x: Sequence[float], way: Way = way) -> float:
            return -float(np.mean([seen.gain(way(seen, x)) for seen in fitting]))

        best = minimize(loss, first, method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-5})
        x = list(best.x) if first else []
        gains = np.array([seen.gain(way(seen, x)) for seen in judging])
        change = spread_of_mean(gains - plain, seed=0)
        numbers = ", ".join(f"{value:.2f}" for value in x)
        print(
            f"| {name} | {numbers} | {-loss(x):.3f} | {gains.mean():.3f} "
            f"| {(gains - plain).mean():+.3f} [{change.low:+.3f}, {change.high:+.3f}] |",
            flush=True,
        )


if __name__ == "__main__":
    main()
