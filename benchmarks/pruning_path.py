r"""Whether a pruned network generalises better, and whether its norm says so in advance.

    python benchmarks/pruning_path.py MODEL --data osie:PATH --left-out fixatons:PATH \
      --table TABLE --out DIR

Fisher pruning takes the model from its full time to an eighth. At each point a copy is fine-tuned
for an epoch and scored on training images, validation images, and images of a set that no model
has seen, beside its Fisher-Rao norm (exact and diagonal) and the sum of its Fisher values on
training images. The last row is the unpruned model, trained for as many steps as the last pruned
one. Times are those of the latency table. What is done in DIR is not done again.
"""

import argparse
import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pruning_methods import Start, begin, tuning_options
from torch import Tensor

from saliency.datasets.layouts.registry import read_dataset
from saliency.files import write_whole
from saliency.fixations.center_bias import CenterBias, fit_center_bias
from saliency.fixations.scene import Scene
from saliency.model.checkpoint import load_model
from saliency.model.network import SaliencyModel
from saliency.pruning.penalties.fisher_rao import diagonal_fisher_rao_norm, fisher_rao_norm
from saliency.training.data import read_training_data
from saliency.training.fisher import (
    drawn_fixations,
    fisher_of_scenes,
    fixation_losses,
    spread_evenly,
)
from saliency.training.run import train
from saliency.training.run_folder import RunFolder
from saliency.training.validation import validate, working_photo

SPEEDUPS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
FISHER_IMAGES, SCORED_IMAGES = 96, 160


def norms(model: SaliencyModel, scenes: Sequence[Scene]) -> dict[str, float]:
    """Return the norms and the sum of Fisher values of a model on fixations of scenes."""
    fisher = fisher_of_scenes(model, scenes)

    def loss(log_density: Tensor, target: tuple[Scene, int]) -> Tensor:
        scene, index = target
        return fixation_losses(log_density[0], scene)[index]

    examples = [
        ((torch.tensor(working_photo(scene, model))[None],), (scene, index))
        for scene, drawn in drawn_fixations(scenes)
        for index in drawn
    ]
    return {
        "fisher_rao": fisher_rao_norm(model, examples, loss),
        "diagonal": diagonal_fisher_rao_norm(model, fisher),
        "fisher_sum": float(sum(value.sum() for value in fisher.values())),
    }


def figures_of(
    model: SaliencyModel,
    start: Start,
    left_out: tuple[Sequence[Scene], CenterBias],
    baseline: CenterBias,
) -> dict[str, float]:
    """Return the information gain on the three kinds of images, and the norms."""
    shown = spread_evenly(start.data.train, SCORED_IMAGES)
    found = {
        "training": validate(model, shown, baseline=baseline),
        "validation": validate(model, start.data.validation, baseline=baseline),
        "left_out": validate(model, left_out[0], baseline=left_out[1]),
    }
    bits = {name: one["information_gain_bits"] for name, one in found.items()}
    return bits | norms(model, spread_evenly(start.data.train, FISHER_IMAGES))


def walk(start: Start, left_out: tuple[Sequence[Scene], CenterBias], out: Path) -> list[Any]:
    """Return the figures of every point of the path, computing those that are missing."""
    run = begin(start, {}, out)
    baseline = fit_center_bias(start.data.train, is_symmetric=True)
    found = []

    def add(name: str, epochs: int, pruned: SaliencyModel, speedup: float) -> None:
        kept = out / f"{name}.json"
        if not kept.exists():
            folder = RunFolder(out / name)
            folder.path.mkdir(parents=True, exist_ok=True)
            training = dataclasses.replace(start.training, epochs=epochs, patience=epochs)
            if not (folder.path / "options.json").exists():
                folder.start(training)
            train(start.data, training, folder, start=pruned)
            figures = figures_of(load_model(folder.model), start, left_out, baseline)
            write_whole(json.dumps({"name": name, "speedup": speedup, **figures}).encode(), kept)
        found.append(json.loads(kept.read_text()))

    for speedup in start.speedups:
        name = f"{speedup:g}"
        if not (out / f"{name}.json").exists() and speedup > 1:
            run.options, run.passes = dataclasses.replace(run.options, speedup=speedup), 0
            pruned = run.run()
            add(name, 1, pruned, run.points[-1]["speedup"])
        else:
            add(name, 1, start.load(), 1.0)
    per_epoch = run.learner.session.steps_per_epoch
    add("unpruned-as-long", 1 + math.ceil(run.learner.step / per_epoch), start.load(), 1.0)
    return found


HEADER = (
    "| point | speedup | training | validation | gap | left out | norm | diagonal | Fisher sum |"
    "\n|---|---|---|---|---|---|---|---|---|"
)


def row(one: dict[str, Any]) -> str:
    """Return a row of the table."""
    return (
        f"| {one['name']} | {one['speedup']:.2f} | {one['training']:.3f} | {one['validation']:.3f} "
        f"| {one['training'] - one['validation']:.3f} | {one['left_out']:.3f} "
        f"| {one['fisher_rao']:.2f} | {one['diagonal']:.2f} | {one['fisher_sum']:.3g} |"
    )


def main() -> None:
    """Walk the path for each seed and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", action="append", required=True, metavar="LAYOUT:PATH")
    parser.add_argument("--left-out", required=True, metavar="LAYOUT:PATH")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--table", type=Path, required=True, help="of `saliency prune measure`")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--steps", type=int, default=8, help="before each removal")
    parser.add_argument("--input-pixels", type=int, help="area of the photos that are learned from")
    arguments = parser.parse_args()
    scenes = read_dataset(arguments.left_out).scenes
    left_out = (spread_evenly(scenes, SCORED_IMAGES), fit_center_bias(scenes, is_symmetric=True))
    for seed in arguments.seeds:
        pixels = arguments.input_pixels or load_model(arguments.model).config.input_pixels
        data = read_training_data(arguments.data, photos=None, teachers=[])
        start = Start(
            arguments.model,
            dataclasses.replace(data, examples=arguments.out / f"examples-{seed}"),
            arguments.table,
            tuning_options(seed, epochs=1, pixels=pixels),
            SPEEDUPS,
            arguments.steps,
            0.08,
        )
        found = walk(start, left_out, arguments.out / str(seed))
        print(f"seed {seed}", HEADER, *map(row, found), sep="\n", flush=True)


if __name__ == "__main__":
    main()
