"""What the mean with the prediction for the mirror image adds to models.

    python benchmarks/mirrored.py MODEL.safetensors … --data osie:PATH

Information gain in bits on the validation images of each set, of the model alone and of the mean of
its densities for the photo and for its mirror image, with the 95 % interval over images of the
difference. It takes twice the time.
"""

import argparse
from pathlib import Path

import numpy as np
from sharpness import see

from saliency.evaluation.bootstrap import spread_of_mean
from saliency.fixations.center_bias import fit_center_bias
from saliency.model.checkpoint import load_model
from saliency.training.data import read_training_data


def main() -> None:
    """Score the models and print a line for each data set and model."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.safetensors")
    parser.add_argument("--data", action="append", required=True, metavar="LAYOUT:PATH")
    arguments = parser.parse_args()
    models = [load_model(path).eval() for path in arguments.models]
    for source in arguments.data:
        data = read_training_data([source], photos=None, teachers=[])
        bias = fit_center_bias(data.train, is_symmetric=True)
        for path, model in zip(arguments.models, models, strict=True):
            seen = see(list(data.validation), [model], bias, bias)
            alone = np.array([one.gain(one.members[0]) for one in seen])
            mirrored = np.array([one.gain(one.mirrored) for one in seen])
            change = mirrored - alone
            spread = spread_of_mean(change, seed=0)
            print(
                f"{source:30} {path.stem:10} {alone.mean():.3f} {mirrored.mean():.3f} "
                f"{change.mean():+.3f} [{spread.low:+.3f}, {spread.high:+.3f}]"
            )


if __name__ == "__main__":
    main()
