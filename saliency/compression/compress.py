"""From a trained model to a small one: measure, prune, fine-tune, report."""

import dataclasses
import json
from pathlib import Path

import onnx

from saliency.compression.comparison import ModelComparison, timed_size
from saliency.compression.learner import PruningLearner
from saliency.compression.report import PruningResult, write_report
from saliency.files import write_whole
from saliency.model.checkpoint import load_model, save_model
from saliency.model.export import export_onnx
from saliency.model.network import SaliencyModel
from saliency.pruning.latency.engines import create_engine
from saliency.pruning.latency.table_file import kept_table
from saliency.pruning.loop.run import PruningRun
from saliency.pruning.methods.options import PruningOptions
from saliency.pruning.surgery import layer_counts
from saliency.training.data import TrainingData
from saliency.training.options import TrainingOptions
from saliency.training.run import train
from saliency.training.run_folder import RunFolder


def unpruned_path(folder: Path) -> Path:
    """Return where a run keeps the unpruned model, which is also the usual teacher."""
    return folder / "unpruned.safetensors"


def prune(
    model: Path,
    data: TrainingData,
    *,
    options: PruningOptions,
    training: TrainingOptions,
    folder: Path,
    table: Path | None = None,
) -> PruningResult:
    """Prune a model and fine-tune what is left; continue where an earlier call was stopped.

    Args:
        model: a `.safetensors` file.
        data: what to learn from; its teachers may name `unpruned_path(folder)`.
        options: how to prune.
        training: how to train on, and to fine-tune; with `input_pixels`, the model is to look at
            photos of that area from the start.
        folder: where all files go.
        table: a latency table; without one it is measured.

    Raises:
        SaliencyError: the model cannot be pruned as asked, or something cannot be read or written.
    """
    if not unpruned_path(folder).exists():
        export_onnx(load_model(model), unpruned_path(folder).with_suffix(".onnx"))
        save_model(load_model(model), unpruned_path(folder))
    unpruned, start = (load_model(unpruned_path(folder)) for _ in range(2))
    pixels = training.input_pixels or start.config.input_pixels
    start.config = dataclasses.replace(start.config, input_pixels=pixels)
    size = options.size or timed_size(start)
    engine = create_engine(options.engine, threads=options.threads, device=training.device)
    graph = onnx.load(unpruned_path(folder).with_suffix(".onnx"))
    times = kept_table(
        graph,
        engine,
        input_shape=(1, *size, 3),
        input_size=size,
        given=table,
        kept=folder / "latency.json",
    )
    comparison = ModelComparison(
        unpruned, data, engine, size=size, input_pixels=pixels, reference_ms=times.reference_ms
    )
    pruned, points = folder / "pruned.safetensors", folder / "points.json"
    if not pruned.exists():
        learner = PruningLearner(
            start, data, options=options, training=training, run=RunFolder(folder)
        )
        state = folder / "pruning" / "state.pt"
        run = PruningRun(learner, comparison, options=options, table=times, state=state)
        smaller = run.run()
        assert isinstance(smaller, SaliencyModel)
        write_whole(json.dumps(run.points, indent=1).encode(), points, overwrite=True)
        save_model(smaller, pruned)
    train(data, training, RunFolder(folder), start=load_model(pruned))
    outcome = PruningResult(
        before=layer_counts(unpruned),
        after=layer_counts(load_model(pruned)),
        points=json.loads(points.read_text()),
        options=options,
        size=size,
    )
    comparison.unpruned_ms = outcome.points[0]["measured_ms"]
    return write_report(outcome, comparison, data.validation, folder=folder)
