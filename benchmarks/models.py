"""The measured time of models beside the first of them, and how well they predict.

    python benchmarks/models.py UNPRUNED.safetensors PRUNED.safetensors … --data osie:PATH

Times are medians in ONNX Runtime on one thread, all models measured in turns, for a photo of the
proportions 4:3 at the size at which each model looks at it: 384x288 unless it was trained for less.
Figures are means over the validation images, at that size too. Leave the machine alone meanwhile.
With `--areas 1 0.7 0.5`, each model looks at photos of such shares of its own area too, although it
did not learn at these: the curve of time against information gain.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from saliency.fixations.center_bias import fit_center_bias
from saliency.model.checkpoint import load_model
from saliency.model.export import saliency_graph
from saliency.model.network import SaliencyModel
from saliency.prediction.processing import working_size
from saliency.pruning.latency.engines import OnnxRuntimeEngine
from saliency.pruning.latency.onnx_graph import simplify
from saliency.pruning.latency.pace import measure_networks_ms
from saliency.training.data import TrainingData, read_training_data
from saliency.training.validation import validate

SIZE = (288, 384)
"""Of the photo, and of what most networks look at."""


def graph_of(model: SaliencyModel) -> Any:
    """Return the graph of a model at the size that is measured."""
    width, height = working_size(
        SIZE[::-1], input_pixels=model.config.input_pixels, size_multiple=model.size_multiple
    )
    return simplify(saliency_graph(model), input_shape=(1, height, width, 3))


def measured_ms(*graphs: Any, rounds: int = 7) -> list[float]:
    """Return the times of networks in ONNX Runtime on one thread."""
    shapes = [
        [dimension.dim_value for dimension in graph.graph.input[0].type.tensor_type.shape.dim]
        for graph in graphs
    ]
    inputs = [{"photos": np.zeros(shape, np.uint8)} for shape in shapes]
    return measure_networks_ms(graphs, OnnxRuntimeEngine(), inputs=inputs, rounds=rounds)


def speedup_of(model: Path, unpruned: Path) -> float:
    """Return how many times faster than the unpruned model another one is."""
    full_ms, pruned_ms = measured_ms(*(graph_of(load_model(path)) for path in (unpruned, model)))
    return full_ms / pruned_ms


def at_area(model: SaliencyModel, share: float) -> SaliencyModel:
    """Return a model that looks at photos of a share of its own area in pixels."""
    model.config = replace(model.config, input_pixels=round(share * model.config.input_pixels))
    return model


def scored(
    models: Sequence[Path], data: TrainingData, areas: Sequence[float] = (1.0,)
) -> list[dict[str, float]]:
    """Return the time and figures of models at each area, speedups over the first of them."""
    baseline = fit_center_bias(data.train, is_symmetric=True)
    loaded = [at_area(load_model(path), share) for path in models for share in areas]
    times = measured_ms(*map(graph_of, loaded))
    return [
        {
            "measured_ms": time_ms,
            "speedup": times[0] / time_ms,
            **validate(model, data.validation, baseline=baseline),
        }
        for model, time_ms in zip(loaded, times, strict=True)
    ]


def show(
    names: Sequence[str], rows: Sequence[dict[str, float]], unpruned: dict[str, float]
) -> None:
    """Print a line for each row."""
    for name, row in zip(names, rows, strict=True):
        kept = row["information_gain_bits"] / unpruned["information_gain_bits"]
        print(
            f"{name:<40} {row['measured_ms']:7.2f} {row['speedup']:8.2f} {kept:8.1%} "
            f"{row['information_gain_bits']:7.3f} {row['nss']:7.3f} {row['auc']:7.4f}"
        )


HEADER = f"{'':<40} {'ms':>7} {'speedup':>8} {'IG kept':>8} {'IG':>7} {'NSS':>7} {'AUC':>7}"


def main() -> None:
    """Measure, score and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.safetensors")
    parser.add_argument("--data", action="append", required=True, metavar="LAYOUT:PATH")
    parser.add_argument("--areas", nargs="+", type=float, default=[1.0], metavar="SHARE")
    arguments = parser.parse_args()
    data = read_training_data(arguments.data, photos=None, teachers=[])
    rows = scored(arguments.models, data, arguments.areas)
    names = [f"{path} {share:g}" for path in arguments.models for share in arguments.areas]
    print(HEADER)
    show(names, rows, rows[0])


if __name__ == "__main__":
    main()
