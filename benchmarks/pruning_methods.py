"""Which method of pruning keeps most at half and at a quarter of the time: gates, sparsity, ranks.

    python benchmarks/pruning_methods.py MODEL.safetensors --data osie:PATH --table TABLE --out DIR

Every method prunes the same model with the same steps before each removal and the same fine-tuning,
for each seed. At each target a copy is fine-tuned and scored, and pruning goes on to the next
target with the copy's original. Only fixations are learned from. Times are those of the latency
table, never measured, so that a busy machine does not decide where a run stops; minutes are those
of the processor. What is done in DIR is not done again, so a run that was stopped goes on; several
seeds may run at once. It takes hours at the size of the model, less with --input-pixels.
"""

import argparse
import dataclasses
import json
import logging
import time
from pathlib import Path
from typing import Any

from saliency.commands.prune import TUNING
from saliency.compression.comparison import ModelComparison, timed_size
from saliency.compression.learner import PruningLearner
from saliency.errors import PruningError
from saliency.files import write_whole
from saliency.fixations.center_bias import fit_center_bias
from saliency.model.checkpoint import load_model, save_model
from saliency.model.export import saliency_graph
from saliency.model.network import SaliencyModel
from saliency.pruning.latency.engines import OnnxRuntimeEngine
from saliency.pruning.latency.onnx_graph import find_templates
from saliency.pruning.latency.table import LatencyTable
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


class PredictedComparison(ModelComparison):
    """Gives the times of the latency table, and no figures."""

    def __init__(self, *arguments: Any, table: LatencyTable, **keywords: Any) -> None:
        """Prepare the unpruned model, as for `ModelComparison`."""
        self.table = table
        super().__init__(*arguments, reference_ms=table.reference_ms, **keywords)

    def _times_ms(self, *models: SaliencyModel) -> list[float]:
        graphs = [self._unpruned_graph, *map(saliency_graph, models)]
        found = (find_templates(graph, input_shape=self.shape) for graph in graphs)
        return [
            self.table.call_ms + sum(self.table.latency_ms(one.operation) for one in templates)
            for templates in found
        ]

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
    comparison = PredictedComparison(
        start.load(),
        start.data,
        OnnxRuntimeEngine(),
        size=size,
        input_pixels=model.config.input_pixels,
        table=table,
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
    figures = []
    for speedup in start.speedups:
        kept = folder / f"{speedup:g}.json"
        if not kept.exists():
            run.options, run.passes = dataclasses.replace(run.options, speedup=speedup), 0
            figure = _reached(start, run, folder / f"{speedup:g}")
            write_whole(json.dumps(figure).encode(), kept, overwrite=True)
        figures.append(json.loads(kept.read_text()))
        if "error" in figures[-1]:
            break
    return figures


def _reached(start: Start, run: PruningRun, folder: Path) -> dict[str, Any]:
    """Return the figures of the model at the next target, pruned and fine-tuned."""
    began, first = time.process_time(), run.learner.step
    try:
        pruned = run.run()
    except PruningError as error:
        return {"error": str(error)}
    took = time.process_time() - began
    folder.mkdir(parents=True, exist_ok=True)
    save_model(pruned, folder / "pruned.safetensors")
    baseline = fit_center_bias(start.data.train, is_symmetric=True)
    bits = validate(pruned, start.data.validation, baseline=baseline)["information_gain_bits"]
    tuned = RunFolder(folder)
    if not (folder / "options.json").exists():
        tuned.start(start.training)
    began = time.process_time()
    train(start.data, start.training, tuned, start=pruned)
    took += time.process_time() - began
    return {
        "speedup": run.points[-1]["speedup"],
        "pruned_bits": bits,
        **validate(load_model(tuned.model), start.data.validation, baseline=baseline),
        "steps": run.learner.step - first,
        "minutes": took / 60,
    }


def unpruned_figures(start: Start, folder: Path) -> dict[str, float]:
    """Return the figures of the unpruned model after the fine-tuning that the others get."""
    run = RunFolder(folder)
    if not run.onnx.exists():
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "options.json").exists():
            run.start(start.training)
        train(start.data, start.training, run, start=start.load())
    baseline = fit_center_bias(start.data.train, is_symmetric=True)
    return validate(load_model(run.model), start.data.validation, baseline=baseline)


def tuning_options(seed: int, *, epochs: int, pixels: int) -> TrainingOptions:
    """Return how all models are fine-tuned: from the fixations alone, on one thread."""
    return dataclasses.replace(
        TUNING,
        epochs=epochs,
        teacher_weight=0.0,
        variants=1,
        workers=0,
        torch_threads=1,
        set_bias="shared",
        seed=seed,
        input_pixels=pixels,
    )


HEADER = """| method | seed | speedup | IG kept, pruned | fine-tuned | NSS | steps | minutes |
|---|---|---|---|---|---|---|---|"""


def row(name: str, seed: int, figure: dict[str, Any], unpruned: dict[str, float]) -> str:
    """Return a row of the table."""
    if "error" in figure:
        return f"| {name} | {seed} | {figure['error']} |"
    full = unpruned["information_gain_bits"]
    return (
        f"| {name} | {seed} | {figure['speedup']:.2f} | {figure['pruned_bits'] / full:.1%} "
        f"| {figure['information_gain_bits'] / full:.1%} | {figure['nss']:.3f} "
        f"| {figure['steps']} | {figure['minutes']:.1f} |"
    )


def main() -> None:
    """Run what is not done yet and print the table."""
    parser = argparse.ArgumentParser(description="Which method of pruning keeps most.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", action="append", required=True, metavar="LAYOUT:PATH")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--table", type=Path, required=True, help="of `saliency prune measure`")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--speedups", type=float, nargs="+", default=[2.0, 4.0])
    parser.add_argument("--epochs", type=int, default=1, help="of fine-tuning")
    parser.add_argument("--steps", type=int, default=8, help="before each removal")
    parser.add_argument("--time-share", type=float, default=0.08)
    parser.add_argument("--input-pixels", type=int, help="area of the photos that are learned from")
    parser.add_argument("--methods", nargs="+", default=[*METHODS], choices=[*METHODS])
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("saliency").setLevel(logging.INFO)
    for seed in arguments.seeds:
        pixels = arguments.input_pixels or load_model(arguments.model).config.input_pixels
        training = tuning_options(seed, epochs=arguments.epochs, pixels=pixels)
        data = read_training_data(arguments.data, photos=None, teachers=[])
        start = Start(
            arguments.model,
            dataclasses.replace(data, examples=arguments.out / f"examples-{seed}"),
            arguments.table,
            training,
            tuple(arguments.speedups),
            arguments.steps,
            arguments.time_share,
        )
        unpruned = unpruned_figures(start, arguments.out / f"unpruned-{seed}")
        rows = []
        for name in arguments.methods:
            folder = arguments.out / f"{name.replace(', ', '-')}-{seed}"
            figures = run_method(start, METHODS[name], folder)
            rows += [row(name, seed, figure, unpruned) for figure in figures]
            print(f"unpruned: {unpruned}", HEADER, *rows, sep="\n", flush=True)


if __name__ == "__main__":
    main()
