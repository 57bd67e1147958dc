"""Latency tables of saliency models, measured."""

from pathlib import Path

from saliency.compression.comparison import timed_size
from saliency.files import write_whole
from saliency.model.checkpoint import load_model
from saliency.model.config import ModelConfig
from saliency.model.export import saliency_graph
from saliency.model.network import SaliencyModel
from saliency.pruning.latency.engines import create_engine
from saliency.pruning.latency.table import LatencyTable
from saliency.pruning.latency.table_file import measure_shown, table_to_json


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
    size = size or timed_size(network)
    table = measure_shown(
        saliency_graph(network),
        create_engine(engine, threads=threads, device=device),
        input_shape=(1, *size, 3),
        input_size=size,
    )
    write_whole(table_to_json(table).encode(), out, overwrite=True)
    return table
