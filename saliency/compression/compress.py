"""From a trained model to a small one: measure, prune, fine-tune, report."""

import dataclasses
import json
import logging
import sys
from pathlib import Path
from typing import Any

import onnx
import torch
from tqdm import tqdm

from saliency.compression.comparison import Gauge, timed_size
from saliency.compression.options import PruningOptions
from saliency.compression.pruning_run import PruningRun
from saliency.compression.report import Outcome, write_report
from saliency.errors import PruningError
from saliency.files import write_whole
from saliency.model.checkpoint import load_model, save_model
from saliency.model.export import export_onnx, saliency_graph
from saliency.model.network import ModelConfig, SaliencyModel
from saliency.pruning.latency.engines import ENGINES, Engine
from saliency.pruning.latency.measuring import measure_table, setting_of
from saliency.pruning.latency.table import LatencyTable
from saliency.pruning.latency.table_file import read_table, table_to_json
from saliency.pruning.surgery import channel_counts
from saliency.training.data import TrainingData
from saliency.training.options import TrainingOptions
from saliency.training.run import train
from saliency.training.run_folder import RunFolder

log = logging.getLogger(__name__)


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
) -> Outcome:
    """Prune a model and fine-tune what is left; go on where an earlier call was stopped.

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
    times = _table(graph, engine, size, given=table, kept=folder / "latency.json")
    gauge = Gauge(
        unpruned, data, engine, size=size, input_pixels=pixels, reference_ms=times.reference_ms
    )
    pruned, points = folder / "pruned.safetensors", folder / "points.json"
    if not pruned.exists():
        run = PruningRun(
            start,
            data,
            options=options,
            training=training,
            folder=RunFolder(folder / "pruning"),
            run=RunFolder(folder),
            table=times,
            gauge=gauge,
        )
        smaller = run.run()
        write_whole(json.dumps(run.points, indent=1).encode(), points, overwrite=True)
        save_model(smaller, pruned)
    train(data, training, RunFolder(folder), start=load_model(pruned))
    outcome = Outcome(
        before=channel_counts(unpruned),
        after=channel_counts(load_model(pruned)),
        points=json.loads(points.read_text()),
        options=options,
        size=size,
    )
    gauge.unpruned_ms = outcome.points[0]["measured_ms"]
    return write_report(outcome, gauge, data.validation, folder=folder)


def measure(
    model: Path | None,
    *,
    engine: str,
    threads: int,
    device: str,
    size: tuple[int, int] | None,
    out: Path,
) -> LatencyTable:
    """Measure a model's latency table, or that of the default network, and write it.

    Without a size it is for a photo of 4:3 as the model gets it.

    Raises:
        SaliencyError: the model cannot be read or run, the engine is missing, or `out` cannot be
            written.
    """
    network = load_model(model) if model is not None else SaliencyModel(ModelConfig()).eval()
    table = measure_graph(
        saliency_graph(network),
        create_engine(engine, threads=threads, device=device),
        size or timed_size(network),
    )
    write_whole(table_to_json(table).encode(), out, overwrite=True)
    return table


def create_engine(name: str, *, threads: int, device: str = "cpu") -> Engine:
    """Return an engine; only torch has the choice of a device, the others use the processor.

    Raises:
        SaliencyError: it is not installed, or there is no such device.
    """
    keywords: dict[str, Any] = {"threads": threads}
    if name == "torch":
        best = "cuda" if torch.cuda.is_available() else "cpu"
        keywords["device"] = best if device == "auto" else device
    return ENGINES[name](**keywords)


def _table(
    graph: onnx.ModelProto,
    engine: Engine,
    size: tuple[int, int],
    *,
    given: Path | None,
    kept: Path,
) -> LatencyTable:
    """Return the table that was given or measured before; else measure it and keep it."""
    for path in (given, kept):
        if path is not None and path.exists():
            table = read_table(path)
            table.require(setting_of(engine, input_size=size))
            return table
    if given is not None:
        raise PruningError(f"no latency table at {given}; check the path, or leave --table out")
    log.info("measuring the latency table; leave the machine alone meanwhile")
    table = measure_graph(graph, engine, size)
    write_whole(table_to_json(table).encode(), kept, overwrite=True)
    return table


def measure_graph(
    graph: onnx.ModelProto, engine: Engine, size: tuple[int, int], **options: Any
) -> LatencyTable:
    """Return the table of a saliency network, with a progress bar; options of `measure_table`."""
    is_terminal = sys.stderr.isatty()
    with tqdm(desc="measuring", unit="row", mininterval=0.5 if is_terminal else 30) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return measure_table(
            graph,
            engine,
            input_shape=(1, *size, 3),
            input_size=size,
            progress=show,
            **options,
        )
