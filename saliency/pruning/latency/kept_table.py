"""Latency tables that are read from a file, or measured and kept in one."""

import logging
import sys
from pathlib import Path
from typing import Any

import onnx
from tqdm import tqdm

from saliency.errors import PruningError
from saliency.files import write_whole
from saliency.pruning.latency.engines import Engine
from saliency.pruning.latency.measuring import conditions_of, measure_table
from saliency.pruning.latency.onnx_graph import Shapes
from saliency.pruning.latency.table import LatencyTable
from saliency.pruning.latency.table_file import read_table, table_to_json

log = logging.getLogger(__name__)


def kept_table(
    graph: onnx.ModelProto,
    engine: Engine,
    *,
    input_shape: Shapes,
    input_size: tuple[int, int],
    given: Path | None,
    kept: Path,
    **options: Any,
) -> LatencyTable:
    """Return the table that was given or kept before; otherwise measure and keep it.

    Args:
        graph: the unpruned network.
        engine: what will run it.
        input_shape: of its inputs.
        input_size: the height and width in it.
        given: a file of a table; None without.
        kept: the file where it is kept.
        options: of `measure_table`.

    Raises:
        SaliencyError: there is no such file, or it is of another engine, machine or size.
    """
    for path in (given, kept):
        if path is not None and path.exists():
            table = read_table(path)
            table.require(conditions_of(engine, input_size=input_size))
            return table
    if given is not None:
        raise PruningError(
            f"no latency table at {given}; check the path, or have the times measured"
        )
    log.info("measuring the latency table; leave the machine alone meanwhile")
    table = measure_shown(graph, engine, input_shape=input_shape, input_size=input_size, **options)
    write_whole(table_to_json(table).encode(), kept, overwrite=True)
    return table


def measure_shown(
    graph: onnx.ModelProto,
    engine: Engine,
    *,
    input_shape: Shapes,
    input_size: tuple[int, int],
    **options: Any,
) -> LatencyTable:
    """Return a network's table, measured with a progress bar; options of `measure_table`."""
    is_terminal = sys.stderr.isatty()
    with tqdm(desc="measuring", unit="row", mininterval=0.5 if is_terminal else 30) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return measure_table(
            graph,
            engine,
            input_shape=input_shape,
            input_size=input_size,
            progress=show,
            **options,
        )
