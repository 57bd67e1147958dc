"""Whether the confidence of windows holds on a data set that it was not fitted to.

    python benchmarks/confidence.py MODEL --data osie:PATH --data eyecrowd:PATH --data fixatons:PATH

For each data set, the coefficients are fitted to the validation images of the others; printed are
the Brier score on this one, that of its base rate, and how often people preferred the windows to
which a confidence of at least 0.8 was given. (The model itself may have learned from all of them.)
"""

import argparse

import numpy as np

from saliency.datasets.layouts.registry import read_dataset
from saliency.datasets.splits import split_scenes
from saliency.evaluation.calibration.fit import fit_calibration, gather_cases, outcomes_of
from saliency.prediction.predictor import Predictor
from saliency.prediction.shipped_models import model_path

SURE = 0.8


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--data", action="append", required=True)
    arguments = parser.parse_args()
    predictor = Predictor(model_path(arguments.model), threads=1)
    names, cases = [], []
    for source in arguments.data:
        dataset = read_dataset(source)
        names.append(source.partition(":")[2].rstrip("/").rpartition("/")[2])
        cases.append(gather_cases(predictor, split_scenes(dataset.scenes, "validation")))
    print(f"{'left out':12} {'windows':>8} {'Brier':>7} {'base rate':>10} {'at 0.8 and above':>17}")
    for index, name in enumerate(names):
        others = [case for number, one in enumerate(cases) if number != index for case in one]
        calibration = fit_calibration(others)
        given = np.array([calibration.probability(case.evidence) for case in cases[index]])
        seen = outcomes_of(cases[index])
        rate = seen.mean()
        brier, base = np.mean((given - seen) ** 2), rate * (1 - rate)
        sure = seen[given >= SURE].mean()
        print(f"{name:12} {len(seen):8} {brier:7.3f} {base:10.3f} {sure:17.1%}")


if __name__ == "__main__":
    main()
