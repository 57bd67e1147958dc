"""Latency tables of saliency models: measured, or read from a file."""

import logging
import sys
from pathlib import Path
from typing import Any

import onnx
import torch
from tqdm import tqdm

from saliency.compression.comparison import timed_size
from saliency.errors import PruningError
from saliency.files import write_whole
from saliency.model.checkpoint import load_model
from saliency.model.config import ModelConfig
from saliency.model.export import saliency_graph
from saliency.model.network import SaliencyModel
from saliency.pruning.latency.engines import ENGINES, Engine
from saliency.pruning.latency.measuring import conditions_of, measure_table
from saliency.pruning.latency.table import LatencyTable
from saliency.pruning.latency.table_file import read_table, table_to_json

log = logging.getLogger(__name__)


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

    Without a size it is for a photo of 4:3 as the model sees it.

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
    """Return the table that was given or measured before; otherwise measure and save it."""
    for path in (given, kept):
        if path is not None and path.exists():
            table = read_table(path)
            table.require(conditions_of(engine, input_size=size))
            return table
    if given is not None:
        raise PruningError(
            f"no latency table at {given}; check the path, or have the times measured"
        )
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
