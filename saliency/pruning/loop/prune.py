"""Make any network fast on this machine, in one call."""

import dataclasses
import hashlib
import json
import tempfile
import warnings
from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from saliency.errors import CheckpointError
from saliency.files import create_folder, write_whole
from saliency.memory import keep_kernels, reuse_large_blocks
from saliency.pruning.channels.open_attention import open_heads
from saliency.pruning.latency.engines import create_engine
from saliency.pruning.latency.exporting import copy_network
from saliency.pruning.latency.table import LatencyTable
from saliency.pruning.latency.table_file import kept_table
from saliency.pruning.loop.comparison import NetworkComparison, Validate
from saliency.pruning.loop.example import Example
from saliency.pruning.loop.pruned_network import PrunedNetwork, load, save_network
from saliency.pruning.loop.run import Point, PruningRun
from saliency.pruning.loop.task import Loss, MakeOptimizer, Task, adamw
from saliency.pruning.loop.task_learner import TaskLearner
from saliency.pruning.loop.tuning import fine_tune, measure_statistics
from saliency.pruning.methods.options import PruningOptions
from saliency.pruning.surgery import layer_counts

_STATE = "pruning.pt"
_WRITTEN = ("report.md", "report.json", "report.png", "pruned.safetensors")


def prune(
    model: nn.Module,
    example: Any,
    batches: Iterable[Any],
    loss: Loss,
    *,
    validate: Validate | None = None,
    make_optimizer: MakeOptimizer = adamw,
    tuning_steps: int = 1000,
    table: Path | str | None = None,
    budget_seconds: float = 180.0,
    folder: Path | str | None = None,
    resume: bool = False,
    seed: int = 0,
    **options: Any,
) -> PrunedNetwork:
    """Remove channels of a network until it is fast enough, and train it meanwhile.

    Before each removal it trains for some steps, in which each channel's worth is estimated; the
    channels go whose loss is least for the time that they cost, and the layers that read them are
    refitted. The whole network is measured again and again, until the time is reached. Then it is
    fine-tuned, and the statistics of its batch norms are measured anew where that does not lower
    the score.

    The result is the same for the same seed if nothing but torch draws random numbers and times do
    not decide otherwise.

    Args:
        model: the trained network, in float32, on the device where it trains; it is not changed.
        example: its input, of the size that is to be timed; or a tuple of its arguments, or a
            mapping of them by keyword.
        batches: a DataLoader, or anything else that can be gone through again and again.
        loss: `loss(model, batch)` is the mean loss over the examples of a batch.
        validate: `validate(model)` is the score of a network on the CPU, the higher the better.
        make_optimizer: given parameters, an optimizer for them; AdamW without.
        tuning_steps: how long the pruned network is fine-tuned, with the optimizer's rate falling
            to zero.
        table: file of a latency table; without one it is measured.
        budget_seconds: how long that may take.
        folder: where the state of the run and its report go; None to keep neither.
        resume: go on with the run in `folder`, which was stopped, perhaps by `kill -9`.
        seed: of all that torch draws here; the caller draws as if nothing had been drawn.
        options: of `PruningOptions`; one of target_ms and speedup is needed.

    Raises:
        ValueError: an option cannot be, or there is no example.
        TypeError: there is no such option, or the network is no module.
        SaliencyError: the network cannot be pruned as asked, or a file not be read or written.
    """
    _check(model, make_optimizer, options, tuning_steps, budget_seconds)
    if resume and folder is None:
        raise ValueError("expected a folder to resume in")
    pruning = PruningOptions(**options)
    arguments, task = Example.of(example), Task(batches, loss, make_optimizer, seed)
    reuse_large_blocks()
    keep_kernels()
    with ExitStack() as stack:
        stack.enter_context(_torch_generators_kept(model))
        place = Path(folder or stack.enter_context(tempfile.TemporaryDirectory()))
        engine = create_engine(pruning.engine, threads=pruning.threads)
        unpruned = open_heads(copy_network(model).cpu().eval())
        arguments.try_out(unpruned)
        task.try_out(model)
        asked = dataclasses.asdict(pruning) | {"tuning_steps": tuning_steps, "seed": seed}
        _begin(place, asked | {"network": _digest(model, arguments)}, resume=resume)
        comparison = NetworkComparison(unpruned, arguments, engine, validate=validate)
        times = _measured(comparison, table, place / "latency.json", seconds=budget_seconds)
        learner = TaskLearner(open_heads(copy_network(model)), arguments, task, options=pruning)
        result = _run(learner, comparison, times, pruning, tuning_steps=tuning_steps, folder=place)
        if result.missed:
            warnings.warn(result.missed, stacklevel=2)
        if folder is not None:
            result.write_report(place)
            result.save(place / "pruned.safetensors")
    return result


def _check(
    model: nn.Module,
    make_optimizer: MakeOptimizer,
    options: dict[str, Any],
    tuning_steps: int,
    budget_seconds: float,
) -> None:
    """Refuse what `prune` cannot be given."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"expected a torch.nn.Module, got {type(model).__name__}")
    others = {one.dtype for one in model.parameters() if one.is_floating_point()} - {torch.float32}
    if others:
        raise ValueError(
            f"expected a network in float32, got {', '.join(sorted(map(str, others)))}; give "
            "model.float() and an example in float32, and train with torch.autocast in `loss`"
        )
    if not callable(make_optimizer):
        raise TypeError(
            "expected make_optimizer to be a function of the parameters, such as "
            "functools.partial(torch.optim.SGD, lr=0.01), got "
            f"{type(make_optimizer).__name__}"
        )
    names = [one.name for one in dataclasses.fields(PruningOptions) if one.name != "size"]
    for name in options:
        if name not in names:
            raise TypeError(f"expected an option of {', '.join(names)}, got {name}")
    for name, value in (("tuning_steps", tuning_steps), ("budget_seconds", budget_seconds)):
        if not value >= 0:
            raise ValueError(f"expected {name} of at least 0, got {value}")


def _torch_generators_kept(model: nn.Module) -> AbstractContextManager[None]:
    """Return a context after which torch draws for the caller as if nothing had been drawn."""
    devices = {one.device for one in model.parameters() if one.device.type == "cuda"}
    kept: AbstractContextManager[None] = torch.random.fork_rng(sorted(devices, key=str))
    return kept


def _measured(
    comparison: NetworkComparison, given: Path | str | None, kept: Path, *, seconds: float
) -> LatencyTable:
    """Return the table that is given or kept, or measure it."""
    first = comparison.shape[0]
    table = kept_table(
        comparison.graph,
        comparison.engine,
        input_shape=comparison.shape,
        input_size=(first[-2] if len(first) > 2 else 1, first[-1]),
        given=None if given is None else Path(given),
        kept=kept,
        budget_seconds=seconds,
    )
    comparison.reference_ms = table.reference_ms
    return table


def _run(
    learner: TaskLearner,
    comparison: NetworkComparison,
    table: LatencyTable,
    options: PruningOptions,
    *,
    tuning_steps: int,
    folder: Path,
) -> PrunedNetwork:
    """Prune, fine-tune, measure; go on with what is in the folder."""
    kept_whole = {group.name: reason for group, reason in learner.groups.unprunable}
    device = next(learner.model.parameters()).device
    state = folder / _STATE
    run = PruningRun(learner, comparison, options=options, table=table, state=state)
    smaller = _pruned(run, folder / "before-tuning.safetensors", comparison.unpruned)
    tuned = fine_tune(
        smaller.to(device), learner.task, steps=tuning_steps, state=folder / "tuning.pt"
    )
    best, last = _best(tuned, learner.task, comparison)
    last["removals"] = float(run.removals)
    return PrunedNetwork(
        model=best,
        example=comparison.example,
        before=layer_counts(comparison.unpruned),
        after=layer_counts(best),
        points=[*run.points, last],
        kept_whole=kept_whole | learner.unseen(),
        conditions=dataclasses.asdict(table.conditions),
        goal_ms=run.goal_ms,
    )


def _begin(folder: Path, asked: dict[str, Any], *, resume: bool) -> None:
    """Create the folder of a run, or check that the one in it is the one that is asked for.

    Raises:
        CheckpointError: it holds another run, one that is not to go on, or other files of the same
            names; or there is none to go on with.
    """
    path = folder / "options.json"
    if resume and not path.exists():
        raise CheckpointError(f"{folder} holds no run to go on with; name its folder")
    if not (folder / _STATE).exists():  # a run that ended before its first removal is replaced
        others = [] if path.exists() else [one for one in _WRITTEN if (folder / one).exists()]
        if others:
            raise CheckpointError(
                f"{folder} holds {others[0]}, which the run would replace; name another folder"
            )
        create_folder(folder)
        write_whole(json.dumps(asked, indent=1).encode(), path, overwrite=True)
        return
    if not resume:
        raise CheckpointError(f"{folder} holds a run already; resume it, or name another folder")
    try:
        stored = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from error
    if stored.get("network") != asked["network"]:
        raise CheckpointError(
            f"the run in {folder} was begun with another network, other weights or another size of "
            "the example; resume it with the same, or name another folder"
        )
    for name, value in asked.items():
        if stored.get(name) != value:
            raise CheckpointError(
                f"the run in {folder} was begun with {name} {stored.get(name)}, got {value}; "
                "resume it with the same options, or name another folder"
            )


def _digest(model: nn.Module, example: Example) -> str:
    """Return hex digits for a network's layers and weights, and the sizes of its example."""
    seen = hashlib.sha256(f"{model}{example.shapes()}".encode())
    for name, value in model.state_dict().items():
        seen.update(name.encode())
        if isinstance(value, Tensor):
            content = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            seen.update(content.numpy().tobytes())
    return seen.hexdigest()


def _pruned(run: PruningRun, kept: Path, unpruned: nn.Module) -> nn.Module:
    """Return the pruned network, before it is fine-tuned, computed or read."""
    if kept.exists():
        return load(kept, unpruned)
    smaller = run.run()
    run.save()
    save_network(smaller, kept)
    return smaller


def _best(tuned: nn.Module, task: Task, comparison: NetworkComparison) -> tuple[nn.Module, Point]:
    """Return the network, with other statistics where these are no worse, and its figures."""
    measured = measure_statistics(tuned, task)
    tuned = tuned.cpu().eval()
    if measured is not None:
        measured = measured.cpu()
        scores = comparison.score(measured), comparison.score(tuned)
        if scores[0] is not None and scores[1] is not None and scores[0] >= scores[1]:
            tuned = measured
    return tuned, comparison.measure(tuned)
