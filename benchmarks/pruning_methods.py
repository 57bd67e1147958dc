"""Which method of pruning keeps most at half and at a quarter of the time, in equal minutes.

    python benchmarks/pruning_methods.py MODEL.safetensors --data osie:PATH --table TABLE --out DIR
    python benchmarks/pruning_methods.py MODEL.safetensors ... --out DIR --time

Every method prunes the same model until the measured time is that of the target; a copy is
fine-tuned for what is left of the minutes and scored, and pruning goes on to the next target. The
minutes of a target are those of the processor, for all pruning up to it and for its fine-tuning.
Only fixations are learned from. With --time, all networks are timed once more in turns, which wants
an idle machine, and the table is printed. What is done in DIR is not done again, so a run that was
stopped goes on; several seeds may run at once.
"""

import argparse
import copy
import dataclasses
import json
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from saliency.commands.prune import TUNING
from saliency.compression.comparison import ModelComparison, timed_size
from saliency.compression.learner import PruningLearner
from saliency.errors import PruningError
from saliency.evaluation.bootstrap import spread_of_ratio
from saliency.files import write_whole
from saliency.fixations.center_bias import fit_center_bias
from saliency.model.checkpoint import load_model, save_model
from saliency.model.network import SaliencyModel
from saliency.pruning.latency.engines import OnnxRuntimeEngine
from saliency.pruning.latency.table_file import read_table
from saliency.pruning.loop.run import Point, PruningRun
from saliency.pruning.methods.options import PruningOptions
from saliency.training.data import TrainingData, read_training_data
from saliency.training.options import TrainingOptions
from saliency.training.run import train
from saliency.training.run_folder import RunFolder
from saliency.training.validation import validate

METHODS: dict[str, dict[str, Any]] = {
    "fisher": {},
    "l0, hard-concrete": {"method": "l0", "estimator": "hard-concrete"},
    "l0, reinforce": {"method": "l0", "estimator": "reinforce"},
    "l0, rebar": {"method": "l0", "estimator": "rebar"},
    "l0, relax": {"method": "l0", "estimator": "relax"},
    "lasso": {"method": "lasso"},
    "slimming": {"method": "slimming"},
    "magnitude": {"signal": "magnitude"},
    "magnitude, held": {"signal": "magnitude", "least": 0.125},
    "random": {"signal": "random"},
    "random, held": {"signal": "random", "least": 0.125},
    "fisher, held": {"least": 0.125},
    "fisher, FLOPs": {"cost": "flops"},
}


class TimedComparison(ModelComparison):
    """Gives measured times, and no figures."""

    def _point(self, model: SaliencyModel, *, speedup: float) -> Point:  # noqa: ARG002
        return {"measured_ms": self.unpruned_ms / speedup, "speedup": speedup}


@dataclasses.dataclass(frozen=True)
class Start:
    """What every method starts from."""

    model: Path
    data: TrainingData
    table: Path
    training: TrainingOptions
    speedups: tuple[float, ...]
    steps: int
    time_share: float
    minutes: float

    def load(self) -> SaliencyModel:
        """Return the unpruned model, which looks at photos of the area of the training."""
        model = load_model(self.model)
        pixels = self.training.input_pixels or model.config.input_pixels
        model.config = dataclasses.replace(model.config, input_pixels=pixels)
        return model


def begin(start: Start, given: dict[str, Any], folder: Path) -> PruningRun:
    """Return a run, at its beginning or where its folder's last state left off."""
    size, table = timed_size(load_model(start.model)), read_table(start.table)
    model = start.load()
    comparison = TimedComparison(
        start.load(),
        start.data,
        OnnxRuntimeEngine(),
        size=size,
        input_pixels=model.config.input_pixels,
        reference_ms=table.reference_ms,
    )
    (folder / "pruning").mkdir(parents=True, exist_ok=True)
    options = PruningOptions(
        speedup=max(start.speedups),
        steps=start.steps,
        time_share=start.time_share,
        size=size,
        **given,
    )
    learner = PruningLearner(
        model, start.data, options=options, training=start.training, run=RunFolder(folder)
    )
    state = folder / "pruning" / "state.pt"
    return PruningRun(learner, comparison, options=options, table=table, state=state)


def run_method(start: Start, given: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Prune by one method to every target; return the figures there, or why there are none."""
    run = begin(start, given, folder)
    figures: list[dict[str, Any]] = []
    for speedup in start.speedups:
        kept = folder / f"{speedup:g}.json"
        if not kept.exists():
            run.options, run.passes = dataclasses.replace(run.options, speedup=speedup), 0
            spent = sum(figure["pruning_minutes"] for figure in figures)
            figure = _reached(start, run, folder / f"{speedup:g}", spent=spent)
            write_whole(json.dumps(figure).encode(), kept, overwrite=True)
        figures.append(json.loads(kept.read_text()))
        if "error" in figures[-1]:
            break
    return figures


def _reached(start: Start, run: PruningRun, folder: Path, *, spent: float) -> dict[str, Any]:
    """Return the figures of the model at the next target, pruned and fine-tuned."""
    began, first = time.process_time(), run.learner.step
    try:
        pruned: Any = run.run()
    except PruningError as error:
        return {"error": str(error), "pruning_minutes": 0.0}
    pruning_minutes = (time.process_time() - began) / 60
    folder.mkdir(parents=True, exist_ok=True)
    save_model(pruned, folder / "pruned.safetensors")
    before = gains_of(pruned, start.data)["gains"]
    return {
        "speedup": run.points[-1]["speedup"],
        "pruned_gains": before,
        "steps": run.learner.step - first,
        "pruning_minutes": pruning_minutes,
        **fine_tuned(start, pruned, folder, minutes=start.minutes - spent - pruning_minutes),
    }


def fine_tuned(
    start: Start, model: SaliencyModel, folder: Path, *, minutes: float
) -> dict[str, Any]:
    """Return the figures of a model after some minutes of fine-tuning, one epoch at least."""
    folder.mkdir(parents=True, exist_ok=True)
    epochs = max(1, round(minutes / minutes_of_epoch(model, start)))
    options = dataclasses.replace(start.training, epochs=epochs, patience=epochs)
    run = RunFolder(folder)
    if not (folder / "options.json").exists():
        run.start(options)
    began = time.process_time()
    train(start.data, options, run, start=model)
    took = (time.process_time() - began) / 60
    return {"epochs": epochs, "tuning_minutes": took, **gains_of(load_model(run.model), start.data)}


def minutes_of_epoch(model: SaliencyModel, start: Start) -> float:
    """Return the minutes of the processor that an epoch of training takes, from a few steps."""
    learner = copy.deepcopy(model).train()
    height, width = timed_size(model, start.training.input_pixels)
    shape = (start.training.batch_size, height, width, 3)
    photos = torch.randint(0, 256, shape, dtype=torch.uint8)
    times = []
    for _ in range(6):
        began = time.process_time()
        learner(photos).mean().backward()
        times.append(time.process_time() - began)
    steps = len(start.data.train) // start.training.batch_size
    return float(np.median(times[1:])) * steps / 60


def gains_of(model: SaliencyModel, data: TrainingData) -> dict[str, Any]:
    """Return the information gain of each validation image, and the mean NSS."""
    baseline = fit_center_bias(data.train, is_symmetric=True)
    found = [validate(model, [scene], baseline=baseline) for scene in data.validation]
    return {
        "gains": [one["information_gain_bits"] for one in found],
        "nss": float(np.mean([one["nss"] for one in found])),
    }


def unpruned_figures(start: Start, folder: Path) -> dict[str, Any]:
    """Return the figures of the unpruned model after as many minutes of fine-tuning."""
    kept = folder / "1.json"
    if not kept.exists():
        figures = fine_tuned(start, start.load(), folder, minutes=start.minutes)
        write_whole(json.dumps(figures).encode(), kept, overwrite=True)
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


def tuning_options(seed: int, *, pixels: int) -> TrainingOptions:
    """Return how all models are fine-tuned: from the fixations alone, on one thread."""
    return dataclasses.replace(
        TUNING,
        teacher_weight=0.0,
        variants=1,
        workers=0,
        torch_threads=1,
        set_bias="shared",
        seed=seed,
        input_pixels=pixels,
    )


HEADER = """| method | target | measured | IG kept, pruned | IG kept, fine-tuned | NSS | minutes |
|---|---|---|---|---|---|---|"""


def row(
    name: str, target: float, figures: list[dict[str, Any]], unpruned: list[dict[str, Any]]
) -> str:
    """Return a row of the table: of all seeds, the interval over images."""
    errors = [figure["error"] for figure in figures if "error" in figure]
    if errors:
        return f"| {name} | {target:g} | {errors[0]} |"
    times = ", ".join(f"{one.get('timed', one['speedup']):.2f}" for one in figures)
    before, after = (kept(key, figures, unpruned) for key in ("pruned_gains", "gains"))
    minutes = np.mean([one["pruning_minutes"] for one in figures])
    tuning = np.mean([one["tuning_minutes"] for one in figures])
    return (
        f"| {name} | {target:g} | {times} | {before} | {after} "
        f"| {np.mean([one['nss'] for one in figures]):.2f} | {minutes:.1f} + {tuning:.1f} |"
    )


def kept(key: str, figures: list[dict[str, Any]], unpruned: list[dict[str, Any]]) -> str:
    """Return the share of the information gain that is left: mean, its interval, each seed."""
    part, whole = (
        np.array([one[name] for one in rows])
        for name, rows in ((key, figures), ("gains", unpruned))
    )
    spread = spread_of_ratio(part.mean(axis=0), whole.mean(axis=0), seed=0)
    each = ", ".join(f"{share:.1%}" for share in part.mean(axis=1) / whole.mean(axis=1))
    return f"{part.mean() / whole.mean():.1%} [{spread.low:.1%}, {spread.high:.1%}] ({each})"


def time_all(starts: list[Start], out: Path) -> None:
    """Time all pruned networks in turns with the unpruned one; add how much faster they are."""
    files = sorted(out.glob("*/*/pruned.safetensors"))
    files = [file for file in files if file.parent.with_suffix(".json").exists()]
    start, table = starts[0], read_table(starts[0].table)
    comparison = TimedComparison(
        start.load(),
        start.data,
        OnnxRuntimeEngine(),
        size=timed_size(load_model(start.model)),
        input_pixels=start.load().config.input_pixels,
        reference_ms=table.reference_ms,
    )
    for first in range(0, len(files), 8):
        part = files[first : first + 8]
        unpruned_ms, *times_ms = comparison._times_ms(*map(load_model, part))
        for file, time_ms in zip(part, times_ms, strict=True):
            kept_file = file.parent.with_suffix(".json")
            figure = json.loads(kept_file.read_text()) | {"timed": unpruned_ms / time_ms}
            write_whole(json.dumps(figure).encode(), kept_file, overwrite=True)


def main() -> None:
    """Run what is not done yet and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", action="append", required=True, metavar="LAYOUT:PATH")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--table", type=Path, required=True, help="of `saliency prune measure`")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--speedups", type=float, nargs="+", default=[2.0, 4.0])
    parser.add_argument("--minutes", type=float, default=3.0, help="of pruning and fine-tuning")
    parser.add_argument("--steps", type=int, default=8, help="before each removal")
    parser.add_argument("--time-share", type=float, default=0.08)
    parser.add_argument("--input-pixels", type=int, help="area of the photos that are learned from")
    parser.add_argument("--methods", nargs="+", default=[*METHODS], choices=[*METHODS])
    parser.add_argument("--time", action="store_true", help="time what is done, once more")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("saliency").setLevel(logging.INFO)
    torch.set_num_threads(1)
    pixels = arguments.input_pixels or load_model(arguments.model).config.input_pixels
    data = read_training_data(arguments.data, photos=None, teachers=[])
    starts = [
        Start(
            arguments.model,
            dataclasses.replace(data, examples=arguments.out / f"examples-{seed}"),
            arguments.table,
            tuning_options(seed, pixels=pixels),
            tuple(arguments.speedups),
            arguments.steps,
            arguments.time_share,
            arguments.minutes,
        )
        for seed in arguments.seeds
    ]
    if arguments.time:
        time_all(starts, arguments.out)
    unpruned = [
        unpruned_figures(start, arguments.out / f"unpruned-{seed}")
        for seed, start in zip(arguments.seeds, starts, strict=True)
    ]
    rows = []
    for name in arguments.methods:
        folders = [arguments.out / f"{name.replace(', ', '-')}-{seed}" for seed in arguments.seeds]
        found = [
            run_method(start, METHODS[name], folder)
            for start, folder in zip(starts, folders, strict=True)
        ]
        for target, figures in zip(arguments.speedups, zip(*found, strict=False), strict=False):
            rows.append(row(name, target, list(figures), unpruned))
    print(HEADER, *rows, sep="\n", flush=True)


if __name__ == "__main__":
    main()
