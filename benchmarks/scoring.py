"""Measure how long scoring takes beyond the network, with every metric but the ceiling.

A center bias with noise on it stands in for the model: it costs nothing to predict and is no
easier to score than a prediction. Reading and decoding the photos is included, as are the two
baselines beside the model. Also printed is the most memory that the process took.
"""

import argparse
import resource
import time

import numpy as np

from saliency.datasets.layouts.registry import read_dataset
from saliency.evaluation.reference import DatasetReference
from saliency.evaluation.scoring import evaluate_scenes


def main() -> None:
    """Print seconds for each image, and for the data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", metavar="LAYOUT:PATH", required=True, help="such as osie:PATH")
    parser.add_argument("--limit", metavar="COUNT", type=int, help="most images")
    arguments = parser.parse_args()
    dataset = read_dataset(arguments.data)
    scenes = dataset.scenes[: arguments.limit]
    start = time.perf_counter()
    reference = DatasetReference(dataset.scenes)
    prepared_s = time.perf_counter() - start
    first = scenes[0]
    noise = np.random.default_rng(0).normal(size=(first.height, first.width))
    log_density = reference.baseline_of(first) + noise
    log_density = (log_density - np.log(np.exp(log_density).sum())).astype(np.float32)
    alike = [s for s in scenes if (s.width, s.height) == (first.width, first.height)]
    start, start_cpu = time.perf_counter(), time.process_time()
    for _ in evaluate_scenes({"model": lambda _: log_density}, alike, reference):
        pass
    scored_s, cpu_s = time.perf_counter() - start, time.process_time() - start_cpu
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{len(alike)} images of {first.width}x{first.height}: {scored_s / len(alike):.3f} s each "
        f"({cpu_s / len(alike):.3f} s of all cores), {scored_s:.1f} s together; "
        f"{prepared_s:.1f} s before; at most {memory_mb:.0f} MB"
    )


if __name__ == "__main__":
    main()
