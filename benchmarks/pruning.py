"""Which way of pruning keeps most at equal measured time: ours, and those of torch-pruning.

    pip install torch-pruning
    python benchmarks/pruning.py MODEL.safetensors --data osie:PATH --data eyecrowd:PATH --out DIR

From the same model, with the same training between removals and the same fine-tuning, each way
prunes in two stages, to half and to a quarter of the measured time, for each seed. torch-pruning's
own importances (magnitude, Taylor, Hessian) choose the channels in one go at each stage, at the
global ratio whose measured time is the target, as that library has no cost in time; the steps that
the others train between removals are added to their fine-tuning, by which alone they make up for
what went. What is done in DIR is not done again, so a run that was stopped goes on. It takes hours.
"""

import argparse
import copy
import dataclasses
import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from models import HEADER, SIZE, graph_of, measured_ms, scored, show, speedup_of

from saliency.commands.prune import TUNING
from saliency.compression.comparison import ModelComparison
from saliency.compression.learner import PruningLearner
from saliency.files import write_whole
from saliency.model.checkpoint import load_model
from saliency.model.network import SaliencyModel
from saliency.pruning.latency.engines import OnnxRuntimeEngine
from saliency.pruning.latency.table_file import read_table
from saliency.pruning.loop.run import PruningRun
from saliency.pruning.methods.options import PruningOptions
from saliency.training.data import TrainingData, read_training_data
from saliency.training.losses import cross_entropy
from saliency.training.options import TrainingOptions
from saliency.training.run import train
from saliency.training.run_folder import RunFolder
from saliency.training.session import LearningSession

OURS = {
    "Fisher, measured time": {"signal": "fisher", "cost": "latency"},
    "Fisher, FLOPs": {"signal": "fisher", "cost": "flops"},
    "Taylor, measured time": {"signal": "taylor", "cost": "latency"},
    "magnitude, measured time": {"signal": "magnitude", "cost": "latency"},
    "random, measured time": {"signal": "random", "cost": "latency"},
}
THEIRS = ("magnitude", "taylor", "hessian")
SPEEDUPS = (2.0, 4.0)
STEPS, TIME_SHARE = 6, 0.13
WATCHED = 8  # each so-manyeth validation image is looked at while pruning; all are at the end


@dataclasses.dataclass(frozen=True)
class Start:
    """What every way starts from."""

    model: Path
    data: TrainingData
    table: Path
    training: TrainingOptions


def run_ours(start: Start, options: dict[str, str], folder: Path) -> list[Path]:
    """Prune in stages by one of our ways; return the fine-tuned models."""
    models, model, reached = [], start.model, 1.0
    for speedup in SPEEDUPS:
        run = RunFolder(folder / f"{speedup:g}")
        if not run.onnx.exists():
            pruned = prune_to(start, load_model(model), speedup / reached, options, run.path)
            tune(start, pruned, run, epochs=start.training.epochs)
        model = run.model
        reached = speedup_of(model, start.model)
        models.append(model)
    return models


def prune_to(
    start: Start, model: SaliencyModel, speedup: float, options: dict[str, str], folder: Path
) -> SaliencyModel:
    """Return the model so many times faster, by one of our ways."""
    table, engine = read_table(start.table), OnnxRuntimeEngine()
    few = dataclasses.replace(start.data, validation=start.data.validation[::WATCHED])
    comparison = ModelComparison(
        model,
        few,
        engine,
        size=SIZE,
        input_pixels=model.config.input_pixels,
        reference_ms=table.reference_ms,
    )
    pruning = PruningOptions(
        speedup=speedup,
        steps=STEPS,
        time_share=TIME_SHARE,
        size=SIZE,
        **options,  # type: ignore[arg-type]
    )
    learner = PruningLearner(
        model, few, options=pruning, training=start.training, run=RunFolder(folder)
    )
    state = folder / "pruning" / "state.pt"
    run = PruningRun(learner, comparison, options=pruning, table=table, state=state)
    return run.run()


def tune(start: Start, pruned: SaliencyModel, run: RunFolder, *, epochs: int) -> None:
    """Fine-tune a pruned model, or go on with that."""
    run.path.mkdir(parents=True, exist_ok=True)
    training = dataclasses.replace(start.training, epochs=epochs)
    if not (run.path / "options.json").exists():
        run.start(training)
    train(start.data, training, run, start=pruned)


def run_theirs(start: Start, importance: str, folder: Path) -> list[Path]:
    """Prune in stages by torch-pruning, at the ratio that measures as fast as it is to be."""
    models, model = [], load_model(start.model)
    unpruned = graph_of(model)
    removals = math.ceil(math.log(2) / -math.log(1 - TIME_SHARE))
    for speedup in SPEEDUPS:
        run = RunFolder(folder / f"{speedup:g}")
        if not run.onnx.exists():
            pruned = at_speedup(model, start, importance, unpruned, speedup)
            steps = len(start.data.train) // start.training.batch_size
            epochs = start.training.epochs + round(removals * STEPS / steps)
            tune(start, pruned, run, epochs=epochs)
        model = load_model(run.model)
        models.append(run.model)
    return models


def at_speedup(
    model: SaliencyModel, start: Start, importance: str, unpruned: Any, speedup: float
) -> SaliencyModel:
    """Return the model pruned at the least ratio that measures at least so much faster."""
    measure = importance_of(model, start, importance)
    low, high, best = 0.0, 0.95, None
    for _ in range(7):
        ratio = (low + high) / 2
        pruned = by_torch_pruning(model, measure, ratio)
        full_ms, pruned_ms = measured_ms(unpruned, graph_of(pruned), rounds=3)
        if full_ms / pruned_ms >= speedup:
            high, best = ratio, pruned
        else:
            low = ratio
    if best is None:
        raise SystemExit(f"{importance} of torch-pruning does not reach {speedup:g} times")
    return best


def importance_of(model: SaliencyModel, start: Start, importance: str) -> Any:
    """Return an importance of torch-pruning's; the model gets the gradients that it goes by."""
    import torch_pruning  # noqa: PLC0415  needed for this alone

    kinds: dict[str, Callable[[], Any]] = {
        "magnitude": lambda: torch_pruning.importance.GroupMagnitudeImportance(p=2),
        "taylor": torch_pruning.importance.GroupTaylorImportance,
        "hessian": torch_pruning.importance.GroupHessianImportance,
    }
    measure = kinds[importance]()
    if importance != "magnitude":
        model.train()
        _backward(model, start, measure if importance == "hessian" else None)
        model.eval()
    return measure


def by_torch_pruning(model: SaliencyModel, measure: Any, ratio: float) -> SaliencyModel:
    """Return the model without a share of its channels, in blocks of 8, as the others have."""
    import torch_pruning  # noqa: PLC0415  needed for this alone

    pruned, measure = copy.deepcopy((model, measure))  # it knows the parameters themselves
    for copied, parameter in zip(pruned.parameters(), model.parameters(), strict=True):
        copied.grad = None if parameter.grad is None else parameter.grad.clone()
    kept = [pruned.readout.score]
    if hasattr(pruned.readout, "sharpness"):
        kept.append(pruned.readout.sharpness)
    pruner = torch_pruning.pruner.BasePruner(
        pruned,
        torch.zeros(1, 64, 96, 3, dtype=torch.uint8),
        importance=measure,
        pruning_ratio=ratio,
        global_pruning=True,
        max_pruning_ratio=0.97,
        round_to=8,
        ignored_layers=kept,
    )
    pruner.step()
    pruned.zero_grad(set_to_none=True)
    return pruned.eval()


def _backward(model: SaliencyModel, start: Start, hessian: Any) -> None:
    """Give the weights the gradients of twenty batches, for Hessian each example's."""
    session = LearningSession(model, start.data, start.training, RunFolder(start.table.parent))
    batches = session.batches(0, 20, size_multiple=model.size_multiple)
    model.zero_grad()
    for photos, target, _ in batches:
        losses = cross_entropy(model(photos), target)
        if hessian is None:
            losses.mean().backward()
            continue
        for loss in losses:
            model.zero_grad()
            loss.backward(retain_graph=True)
            hessian.accumulate_grad(model)


def main() -> None:
    """Run what is not done yet and print the table."""
    parser = argparse.ArgumentParser(description="Which way of pruning keeps most.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", action="append", required=True, metavar="LAYOUT:PATH")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--table", type=Path, required=True, help="of `saliency prune measure`")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--epochs", type=int, default=1, help="of fine-tuning at each stage")
    parser.add_argument("--ways", nargs="+", default=[*OURS, *THEIRS], choices=[*OURS, *THEIRS])
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("saliency").setLevel(logging.INFO)
    arguments.out.mkdir(parents=True, exist_ok=True)
    data = read_training_data(arguments.data, photos=None, teachers=[str(arguments.model)])
    found: dict[str, Any] = {}
    for seed in arguments.seeds:
        # No features: of what another library pruned nobody knows which channels they were.
        training = dataclasses.replace(
            TUNING,
            epochs=arguments.epochs,
            feature_weight=0.0,
            batch_size=8,
            variants=1,
            seed=seed,
            input_pixels=load_model(arguments.model).config.input_pixels,
        )
        examples = arguments.out / f"examples-{seed}"
        data = dataclasses.replace(data, examples=examples)
        start = Start(arguments.model, data, arguments.table, training)
        for way in arguments.ways:
            folder = arguments.out / f"{way.replace(', ', '-').replace(' ', '-')}-{seed}"
            result = folder / "figures.json"
            if not result.exists():
                run = run_ours if way in OURS else run_theirs
                models = run(start, OURS.get(way, way), folder)  # type: ignore[operator]
                rows = scored([start.model, *models], start.data)
                write_whole(json.dumps(rows).encode(), result, overwrite=True)
            found[f"{way}, seed {seed}"] = json.loads(result.read_text())
            print(HEADER)
            for name, (unpruned, *stages) in found.items():
                show([name] * len(stages), stages, unpruned)


if __name__ == "__main__":
    main()
