"""What networks keep that are pruned by `saliency.pruning.prune`, and by torch-pruning.

    pip install torch-pruning scikit-learn
    python benchmarks/beside_torch_pruning.py --out DIR --tables     measures the latency tables
    python benchmarks/beside_torch_pruning.py --out DIR              trains and prunes
    python benchmarks/beside_torch_pruning.py --out DIR --times      measures all networks once more

Three networks learn from scratch to find handwritten digits (`cluttered_digits.py`). From there
each way prunes to a half and to a quarter of the measured time (ONNX Runtime, one thread); to a
third MobileNetV3-small, of which more than a quarter is left when each group has one channel. Ours
removes channels step by step and then fine-tunes. torch-pruning removes blocks of 8 channels at
once, at the smallest ratio that reaches the target, and fine-tunes for as many steps as ours
trained in all, with the same optimizer, rates, batches and new statistics of batch norms. What is
in DIR is not done again. Measure on a machine that does nothing else; the rest may share it.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import torch
from cluttered_digits import Trial, trial
from torch import nn

from saliency import pruning
from saliency.files import write_whole
from saliency.pruning.latency.engines import OnnxRuntimeEngine
from saliency.pruning.latency.exporting import export_copy
from saliency.pruning.latency.pace import measure_networks_ms
from saliency.pruning.latency.table_file import kept_table
from saliency.pruning.loop.comparison import NetworkComparison
from saliency.pruning.loop.example import Example
from saliency.pruning.loop.task import Task
from saliency.pruning.loop.tuning import fine_tune, measure_statistics

START_STEPS = {"ResNet-18": 400, "MobileNetV3-small": 800, "U-Net": 400}
SPEEDUPS = {"ResNet-18": (2.0, 4.0), "MobileNetV3-small": (2.0, 3.0), "U-Net": (2.0, 4.0)}
STEPS, TIME_SHARE, TUNING_STEPS = 12, 0.08, 200
START_RATE, RATE = 1e-3, 5e-4
GRADIENT_BATCHES = 20
MOST = 0.97  # of the ratio
RATIOS, SEARCHES = 16, 3  # tried evenly up to that, and then between the best two

OURS = "Fisher, measured time"
THEIRS: dict[str, tuple[str, dict[str, bool]]] = {
    "magnitude": ("GroupMagnitudeImportance", {}),
    "Taylor": ("GroupTaylorImportance", {}),
    "Taylor, global": ("GroupTaylorImportance", {"global_pruning": True}),
    "Hessian": ("GroupHessianImportance", {}),
    "Hessian, global": ("GroupHessianImportance", {"global_pruning": True}),
}


class Cell:
    """A network and a seed: what all ways of pruning start from."""

    def __init__(self, name: str, seed: int, out: Path) -> None:
        """Train the network, or read it."""
        self.name, self.seed = name, seed
        self.folder = folder_of(out, name, seed)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.table = out / f"{name}.json"
        self.trial: Trial = trial(name, seed=seed)
        self.example = self.trial.parts["test"][0][:1]
        self.model = self.trial.model.eval()
        kept = self.folder / "start.pt"
        if kept.exists():
            self.model.load_state_dict(torch.load(kept))
        else:
            steps, state = START_STEPS[name], self.folder / "start-state.pt"
            fine_tune(self.model, self.task(START_RATE), steps=steps, state=state)
            torch.save(self.model.state_dict(), kept)
            self.keep("start", 1.0, self.model, {})

    def task(self, rate: float) -> Task:
        """Return the task, with an optimizer of a rate."""
        optimizer = partial(torch.optim.AdamW, lr=rate)
        return Task(self.trial.batches, self.trial.loss, optimizer, self.seed)

    def validate(self, model: nn.Module) -> float:
        """Return the score on the validation images."""
        return self.trial.score(model, "validation")

    def keep(self, way: str, speedup: float, model: nn.Module, figures: dict[str, Any]) -> None:
        """Write a network's graph, its score on the test images, and other figures."""
        place = self.place(way, speedup)
        place.with_suffix(".onnx").write_bytes(export_copy(model, self.example).SerializeToString())
        figures = {"score": self.trial.score(model, "test"), **figures}
        write_whole(json.dumps(figures).encode(), place, overwrite=True)

    def place(self, way: str, speedup: float) -> Path:
        """Return the file of a result."""
        return self.folder / file_of(way, speedup)


def folder_of(out: Path, name: str, seed: int) -> Path:
    """Return the folder of a network and a seed."""
    return out / f"{name}-{seed}"


def file_of(way: str, speedup: float) -> str:
    """Return the name of the file of a result."""
    return f"{way.replace(', ', '-').replace(' ', '-')}-{speedup:g}.json"


def prune_ours(cell: Cell, speedup: float) -> None:
    """Prune by measured time; keep the network and how many steps it trained."""
    start = time.process_time()
    result = pruning.prune(
        cell.model,
        cell.example,
        cell.trial.batches,
        cell.trial.loss,
        validate=cell.validate,
        make_optimizer=partial(torch.optim.AdamW, lr=RATE),
        tuning_steps=TUNING_STEPS,
        table=cell.table,
        seed=cell.seed,
        speedup=speedup,
        steps=STEPS,
        time_share=TIME_SHARE,
    )
    steps = STEPS * int(result.points[-1]["removals"]) + TUNING_STEPS
    figures = {"steps": steps, "minutes": (time.process_time() - start) / 60}
    cell.keep(OURS, speedup, result.model, figures)


def prune_theirs(cell: Cell, way: str, speedup: float, measure: Any) -> None:
    """Prune by torch-pruning, and fine-tune for as many steps as ours trained."""
    start = time.process_time()
    steps = json.loads(cell.place(OURS, speedup).read_text())["steps"]
    comparison = NetworkComparison(
        cell.model, Example.of(cell.example), OnnxRuntimeEngine(), validate=None
    )
    comparison.measure_unpruned()
    fastest = 0.0

    def reaches(ratio: float) -> nn.Module | None:
        nonlocal fastest
        pruned = cut(cell, measure, ratio, THEIRS[way][1])
        reached = comparison.measure(pruned)["speedup"]
        fastest = max(fastest, reached)
        return pruned if reached >= speedup else None

    ratio, best = smallest(reaches)
    if best is None:
        figures = {"unreached": fastest}
        write_whole(json.dumps(figures).encode(), cell.place(way, speedup), overwrite=True)
        return
    state = cell.folder / f"{cell.place(way, speedup).stem}.pt"
    tuned = fine_tune(best, cell.task(RATE), steps=steps, state=state)
    measured = measure_statistics(tuned, cell.task(RATE))
    if measured is not None and cell.validate(measured) >= cell.validate(tuned):
        tuned = measured
    minutes = (time.process_time() - start) / 60
    cell.keep(way, speedup, tuned, {"steps": steps, "minutes": minutes, "ratio": ratio})


def smallest(reaches: Callable[[float], nn.Module | None]) -> tuple[float, nn.Module | None]:
    """Return about the smallest ratio that reaches a target, and its network; None if none does."""
    step = MOST / RATIOS
    ratio, best = MOST, None
    for k in range(1, RATIOS + 1):
        if (best := reaches(k * step)) is not None:
            ratio = k * step
            break
    for k in range(1, SEARCHES + 1) if best is not None else ():
        lower = ratio - step / 2**k
        if (found := reaches(lower)) is not None:
            ratio, best = lower, found
    return ratio, best


def importance(cell: Cell, kind: str) -> Any:
    """Return an importance of torch-pruning's; the model gets the gradients that it goes by."""
    import torch_pruning  # noqa: PLC0415  needed for this alone

    measure = getattr(torch_pruning.importance, kind)()
    model = cell.model
    model.zero_grad()
    if kind == "GroupMagnitudeImportance":
        return measure
    torch.manual_seed(cell.seed)
    for _, batch in zip(range(GRADIENT_BATCHES), cell.trial.batches, strict=False):
        losses = cell.trial.losses(model, batch)
        if kind == "GroupTaylorImportance":
            losses.mean().backward()
            continue
        for loss in losses:
            model.zero_grad()
            loss.backward(retain_graph=True)
            measure.accumulate_grad(model)
    return measure


def cut(cell: Cell, measure: Any, ratio: float, options: dict[str, bool]) -> nn.Module:
    """Return the model without a share of its channels, in blocks of 8."""
    import torch_pruning  # noqa: PLC0415  needed for this alone

    pruned, measure = copy.deepcopy((cell.model, measure))  # it knows the parameters themselves
    for copied, parameter in zip(pruned.parameters(), cell.model.parameters(), strict=True):
        copied.grad = None if parameter.grad is None else parameter.grad.clone()
    last = [one for one in pruned.modules() if isinstance(one, nn.Linear | nn.Conv2d)][-1]
    pruner = torch_pruning.pruner.BasePruner(
        pruned,
        cell.example,
        importance=measure,
        pruning_ratio=ratio,
        max_pruning_ratio=MOST,
        round_to=8,
        ignored_layers=[last],
        **options,
    )
    pruner.step()
    pruned.zero_grad(set_to_none=True)
    return pruned.eval()


def run(cell: Cell) -> None:
    """Prune by all ways to all targets what is not done yet."""
    for speedup in SPEEDUPS[cell.name]:
        if not cell.place(OURS, speedup).exists():
            prune_ours(cell, speedup)
    for way, (kind, _) in THEIRS.items():
        left = [speedup for speedup in SPEEDUPS[cell.name] if not cell.place(way, speedup).exists()]
        measure = importance(cell, kind) if left else None
        for speedup in left:
            prune_theirs(cell, way, speedup, measure)


def measure(name: str, kept: Path) -> None:
    """Measure the latency table of a network, if it is not there."""
    first = trial(name, seed=0)
    shape = (1, 3, first.pixels, first.pixels)
    kept_table(
        export_copy(first.model.eval(), torch.rand(shape)),
        OnnxRuntimeEngine(),
        input_shape=shape,
        input_size=(first.pixels, first.pixels),
        given=None,
        kept=kept,
        budget_seconds=60.0,
    )


def measure_times(folder: Path) -> None:
    """Add the measured time of every network in a folder to its figures."""
    start = folder / "start-1.json"
    places = [start, *(one for one in sorted(folder.glob("*.json")) if one != start)]
    places = [one for one in places if one.with_suffix(".onnx").exists()]
    graphs = [onnx.load(one.with_suffix(".onnx")) for one in places]
    (shape,) = {
        tuple(size.dim_value for size in graph.graph.input[0].type.tensor_type.shape.dim)
        for graph in graphs
    }
    inputs = {"input": torch.rand(shape).numpy()}
    times = measure_networks_ms(graphs, OnnxRuntimeEngine(), inputs=[inputs] * len(graphs))
    for place, time_ms in zip(places, times, strict=True):
        figures = json.loads(place.read_text())
        figures |= {"measured_ms": time_ms, "speedup": times[0] / time_ms}
        write_whole(json.dumps(figures).encode(), place, overwrite=True)


def lines(out: Path, names: list[str], seeds: list[int]) -> Iterator[str]:
    """Yield the lines of a table: for each network and way, speedup and score of each seed."""
    yield "| network | way | half the time | a quarter (a third) | steps | minutes |"
    yield "|---|---|---|---|---|---|"
    for name in names:
        for way in ("start", OURS, *THEIRS):
            shown, steps, minutes = [], [], []
            for speedup in (1.0,) if way == "start" else SPEEDUPS[name]:
                files = [folder_of(out, name, seed) / file_of(way, speedup) for seed in seeds]
                found = [json.loads(one.read_text()) for one in files if one.exists()]
                shown.append("; ".join(map(_cell, found)))
                steps += [one["steps"] for one in found if "steps" in one]
                minutes += [one["minutes"] for one in found if "minutes" in one]
            shown += ["–"] * (2 - len(shown))
            mean = f"{sum(minutes) / len(minutes):.1f}" if minutes else "–"
            range_ = f"{min(steps)}–{max(steps)}" if steps else "–"
            yield f"| {name} | {way} | {' | '.join(shown)} | {range_} | {mean} |"


def _cell(found: dict[str, float]) -> str:
    if "unreached" in found:
        return f"{found['unreached']:.2f} at most"
    return f"{found.get('speedup', float('nan')):.2f}, {100 * found['score']:.1f} %"


def main() -> None:
    """Do what is asked for and not done, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--networks", nargs="+", default=list(START_STEPS), choices=START_STEPS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--tables", action="store_true", help="measure the tables alone")
    parser.add_argument("--times", action="store_true", help="measure the networks alone")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.networks if arguments.tables else ():
        measure(name, arguments.out / f"{name}.json")
    for seed in () if arguments.tables else arguments.seeds:
        for name in arguments.networks:
            if arguments.times:
                measure_times(folder_of(arguments.out, name, seed))
            else:
                run(Cell(name, seed, arguments.out))
    if not arguments.tables:
        print("\n".join(lines(arguments.out, arguments.networks, arguments.seeds)))


if __name__ == "__main__":
    main()
