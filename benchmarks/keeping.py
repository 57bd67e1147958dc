r"""What a model keeps of an old data set while it learns a new one: consolidation and its rivals.

    python benchmarks/keeping.py --first osie:PATH --then fixatons:PATH --out DIR
    python benchmarks/keeping.py --first osie:PATH --then fixatons:PATH --out DIR --start MODEL \\
      --portraits 30
    python benchmarks/keeping.py --first osie:PATH --first fixatons:PATH --then folder:PATH \\
      --start default --photos 30 --out DIR

A network learns the first sets, and then the second in each of several ways, for each seed. The
table gives the information gain on the validation images of both. With --start, that model has
learned the first sets already; a shipped one has its own Fisher values. With --portraits, the
second set is that many of its upright photos, and is validated on its other upright ones; with
--photos, that many of any, and as many as 60 others. Of photos with density maps, fixations are
drawn from the maps. What is done in DIR is not done again.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from saliency.datasets.dataset import MappedPhoto
from saliency.datasets.layouts.registry import read_dataset
from saliency.files import write_whole
from saliency.fixations.center_bias import fit_center_bias
from saliency.fixations.scene import Scene
from saliency.model.checkpoint import load_model
from saliency.model.network import SaliencyModel
from saliency.prediction.shipped_models import fisher_path, trainable_model
from saliency.pruning.penalties.ewc import read_fisher
from saliency.training.data import TrainingData, read_training_data
from saliency.training.fisher import fisher_of_scenes, spread_evenly
from saliency.training.options import TrainingOptions
from saliency.training.run import train
from saliency.training.run_folder import RunFolder
from saliency.training.validation import validate

WAYS: dict[str, dict[str, Any]] = {
    "nothing kept": {},
    "ewc, 1": {"keep": "ewc", "keep_strength": 1.0},
    "ewc, 10": {"keep": "ewc", "keep_strength": 10.0},
    "ewc, 100": {"keep": "ewc", "keep_strength": 100.0},
    "l2, 1": {"keep": "l2", "keep_strength": 1.0},
    "rehearse, 5 %": {},
}
FISHER_IMAGES = 256
REHEARSED = 0.05
DRAWN = 100
"""Fixations for each photo of which only the density is known."""


@dataclasses.dataclass(frozen=True)
class Task:
    """Two data sets, one learned after the other.

    Attributes:
        old: what was learned first.
        new: what is learned then.
        rehearsing: the same with some of the old images.
    """

    old: TrainingData
    new: TrainingData
    rehearsing: TrainingData


def read_task(first: list[str], then: str, *, portraits: int | None, photos: int | None) -> Task:
    """Return the data of a task, of the second set perhaps a few photos only."""
    old = read_training_data(first, photos=None, teachers=[])
    if portraits is None and photos is None:
        new = read_training_data([then], photos=None, teachers=[])
    else:
        new = few_photos(then, portraits or photos or 0, upright=portraits is not None)
    again = spread_evenly(old.train, round(REHEARSED * len(old.train)))
    return Task(old, new, dataclasses.replace(new, train=(*new.train, *again)))


def few_photos(spec: str, count: int, *, upright: bool) -> TrainingData:
    """Return so many photos of a set to learn from, and others of it to validate on."""
    dataset = read_dataset(spec)
    chosen: list[Any] = [*dataset.scenes, *dataset.mapped]
    if upright:
        chosen = [one for one in chosen if one.height > one.width]
    known = spread_evenly(chosen, count)
    others = [one for one in chosen if one not in known]
    return TrainingData(
        tuple(map(scene_of, known)), tuple(map(scene_of, spread_evenly(others, 60)))
    )


def scene_of(photo: Scene | MappedPhoto) -> Scene:
    """Return a photo with fixations; where only its density is known, they are drawn from that."""
    if isinstance(photo, Scene):
        return photo
    density = np.asarray(Image.open(photo.density).convert("L"), np.float64)
    height, width = density.shape
    random = np.random.default_rng(0)
    drawn = random.choice(density.size, DRAWN, p=density.ravel() / density.sum())
    points = np.stack([drawn % width, drawn // width], axis=1) + 0.5
    return Scene(photo.name, photo.path, width, height, points, np.arange(DRAWN))


def learned(
    data: TrainingData, options: TrainingOptions, folder: Path, **keywords: Any
) -> SaliencyModel:
    """Return a model that has learned the data, learning it now if it has not."""
    run = RunFolder(folder)
    if not run.onnx.exists():
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "options.json").exists():
            run.start(options)
        examples = folder.parent / f"examples-{len(data.train)}-{options.seed}"
        train(dataclasses.replace(data, examples=examples), options, run, **keywords)
    return load_model(run.model)


def figures_of(model: SaliencyModel, task: Task) -> dict[str, float]:
    """Return the information gain on both sets, each over its own center bias."""
    return {
        name: validate(
            model, data.validation, baseline=fit_center_bias(data.train, is_symmetric=True)
        )["information_gain_bits"]
        for name, data in (("old", task.old), ("new", task.new))
    }


def run_task(
    task: Task, options: TrainingOptions, out: Path, *, start: Path | None, epochs: tuple[int, int]
) -> list[dict[str, Any]]:
    """Return the figures before, and after each way of learning the second set."""
    first = dataclasses.replace(options, epochs=epochs[0], patience=epochs[0])

    def fresh() -> SaliencyModel:
        return load_model(start) if start else learned(task.old, first, out / "first")

    out.mkdir(parents=True, exist_ok=True)
    fisher: Any = None
    rows: list[dict[str, Any]] = []
    then = dataclasses.replace(
        options, epochs=epochs[1], patience=epochs[1], readout_rate=0.001, weights="none"
    )
    for name, keywords in [("(before)", None), *WAYS.items()]:
        kept = out / f"{name}.json"
        if not kept.exists():
            model = fresh()
            if keywords is not None:
                if keywords.get("keep") == "ewc" and fisher is None:
                    own = None if start is None else fisher_path(start)
                    if own is not None and own.exists():
                        fisher = read_fisher(own)
                    else:
                        shown = spread_evenly(task.old.train, FISHER_IMAGES)
                        fisher = fisher_of_scenes(model.eval(), shown)
                chosen = dataclasses.replace(then, **keywords)
                if start:
                    chosen = dataclasses.replace(chosen, input_pixels=model.config.input_pixels)
                data = task.rehearsing if name.startswith("rehearse") else task.new
                given = fisher if keywords.get("keep") == "ewc" else None
                model = learned(data, chosen, out / name, start=model, fisher=given)
            row = {"name": name, **figures_of(model, task)}
            write_whole(json.dumps(row).encode(), kept)
        rows.append(json.loads(kept.read_text()))
    return rows


def main() -> None:
    """Learn in every way and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first", action="append", required=True, metavar="LAYOUT:PATH")
    parser.add_argument("--then", required=True, metavar="LAYOUT:PATH")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=trainable_model, metavar="MODEL")
    few = parser.add_mutually_exclusive_group()
    few.add_argument("--portraits", type=int, metavar="N")
    few.add_argument("--photos", type=int, metavar="N")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--epochs", type=int, nargs=2, default=[5, 3], help="of first, and of then")
    parser.add_argument("--input-pixels", type=int, default=24_576)
    arguments = parser.parse_args()
    task = read_task(
        arguments.first, arguments.then, portraits=arguments.portraits, photos=arguments.photos
    )
    for seed in arguments.seeds:
        options = TrainingOptions(
            weights="package",
            input_pixels=arguments.input_pixels,
            batch_size=8,
            variants=1,
            workers=0,
            torch_threads=1,
            set_bias="shared",
            teacher_weight=0.0,
            feature_weight=0.0,
            picture_epochs=1000,
            seed=seed,
        )
        rows = run_task(
            task,
            options,
            arguments.out / str(seed),
            start=arguments.start,
            epochs=(arguments.epochs[0], arguments.epochs[1]),
        )
        print(f"seed {seed}\n| then | old | new |\n|---|---|---|")
        for row in rows:
            print(f"| {row['name']} | {row['old']:.3f} | {row['new']:.3f} |", flush=True)


if __name__ == "__main__":
    main()
