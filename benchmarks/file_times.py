"""The time of .onnx models as they are stored, beside the first of them.

    python benchmarks/file_times.py UNPRUNED.onnx fast default best

Medians in ONNX Runtime on one thread, all models measured in turns, for a photo of 4:3 at the size
at which each of them looks at it. Leave the machine alone meanwhile. (`benchmarks/models.py` times
the networks of .safetensors files, which are in float32, and scores them.)
"""

import argparse
from pathlib import Path

import numpy as np
import onnx

from saliency.prediction.predictor import Predictor
from saliency.prediction.shipped_models import runnable_model
from saliency.pruning.latency.engines import OnnxRuntimeEngine
from saliency.pruning.latency.pace import measure_networks_ms

PHOTO = (4000, 3000)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=runnable_model, metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    models: list[Path] = arguments.models
    sizes = [Predictor(path, threads=1).input_size(PHOTO) for path in models]
    random = np.random.default_rng(0)
    inputs = [
        {"photos": random.integers(0, 256, (1, height, width, 3), dtype=np.uint8)}
        for width, height in sizes
    ]
    graphs = [onnx.load(path) for path in models]
    times = measure_networks_ms(graphs, OnnxRuntimeEngine(), inputs=inputs, rounds=arguments.rounds)
    for path, (width, height), time_ms in zip(models, sizes, times, strict=True):
        share = times[0] / time_ms
        print(f"{path.name:<24} {width}x{height} {time_ms:7.2f} ms {share:7.2f} times as fast")


if __name__ == "__main__":
    main()
