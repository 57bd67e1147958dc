"""What means of predictions add: with the mirror image's, and of several models.

    python benchmarks/means.py MODEL.safetensors … [--mean] --data osie:PATH

Information gain in bits on the validation images of each set, of each model alone and of the mean
of its densities for the photo and for its mirror image, with the 95 % interval over images of the
difference. It takes twice the time. `--mean` adds the mean of all models, which must look at
pictures of the same size, without and with mirror images; the difference is to the first model.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy import ndarray
from sharpness import Seen, mean_of, see

from saliency.evaluation.bootstrap import spread_of_mean
from saliency.fixations.center_bias import fit_center_bias
from saliency.model.checkpoint import load_model
from saliency.training.data import read_training_data


def main() -> None:
    """Score the models and print a line for each data set and model."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.safetensors")
    parser.add_argument("--data", action="append", required=True, metavar="LAYOUT:PATH")
    parser.add_argument("--mean", action="store_true", help="of the models too")
    arguments = parser.parse_args()
    models = [load_model(path).eval() for path in arguments.models]
    for source in arguments.data:
        data = read_training_data([source], photos=None, teachers=[])
        bias = fit_center_bias(data.train, is_symmetric=True)
        views = [see(list(data.validation), [model], bias, bias) for model in models]
        for path, seen in zip(arguments.models, views, strict=True):
            alone = np.array([one.gain(one.members[0]) for one in seen])
            print_line(f"{source:30} {path.stem:10}", alone, gains_of_means([seen], True))
        if arguments.mean:
            first = np.array([one.gain(one.members[0]) for one in views[0]])
            print_line(f"{source:30} mean      ", first, gains_of_means(views, False))
            print_line(f"{source:30} mirrored  ", first, gains_of_means(views, True))


def gains_of_means(views: list[list[Seen]], is_mirrored: bool) -> ndarray:
    """Return the gain of the mean of the models' densities, in bits, for each photo."""
    return np.array(
        [
            of_photo[0].gain(
                mean_of(*(one.mirrored if is_mirrored else one.members[0] for one in of_photo))
            )
            for of_photo in zip(*views, strict=True)
        ]
    )


def print_line(name: str, before: ndarray, after: ndarray) -> None:
    """Print two means and the difference of them with its interval."""
    spread = spread_of_mean(after - before, seed=0)
    print(
        f"{name} {before.mean():.3f} {after.mean():.3f} "
        f"{(after - before).mean():+.3f} [{spread.low:+.3f}, {spread.high:+.3f}]"
    )


if __name__ == "__main__":
    main()
