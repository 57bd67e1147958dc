"""Latency tables in files: JSON with the conditions at its head, then a row on a line."""

import dataclasses
import json
import logging
import math
import sys
from pathlib import Path
from typing import Any

import onnx
from tqdm import tqdm

from saliency.errors import LatencyTableError, PruningError
from saliency.files import write_whole
from saliency.pruning.latency.engines import Engine
from saliency.pruning.latency.measuring import conditions_of, measure_table
from saliency.pruning.latency.onnx_graph import Shapes
from saliency.pruning.latency.table import Conditions, LatencyTable, Row

log = logging.getLogger(__name__)

FORMAT_VERSION = 1

REMEDY = "measure a new one with `saliency prune measure`"


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


def table_to_json(table: LatencyTable) -> str:
    """Return a table as JSON, a row on a line."""
    head = {"format_version": FORMAT_VERSION, **dataclasses.asdict(table.conditions)}
    head |= {"reference_ms": table.reference_ms, "call_ms": table.call_ms}
    lines = ",\n".join(f"  {json.dumps(dataclasses.asdict(row))}" for row in table.rows)
    return json.dumps(head, indent=1)[:-2] + f',\n "rows": [\n{lines}\n ]\n}}\n'


def table_from_json(text: str) -> LatencyTable:
    """Return the table that `table_to_json` wrote.

    Raises:
        LatencyTableError: the text is damaged or of another version.
    """
    try:
        values = json.loads(text)
    except ValueError as error:
        raise LatencyTableError(f"expected a latency table, got no JSON; {REMEDY}") from error
    if not isinstance(values, dict) or "format_version" not in values:
        raise LatencyTableError(f"expected a latency table, got other JSON; {REMEDY}")
    version = values.pop("format_version")
    if version != FORMAT_VERSION:
        raise LatencyTableError(
            f"expected a latency table of version {FORMAT_VERSION}, got {version}; {REMEDY}"
        )
    try:
        return _table(**values)
    except (ValueError, TypeError) as error:
        raise LatencyTableError(f"the latency table is damaged: {error}; {REMEDY}") from error


def read_table(path: Path) -> LatencyTable:
    """Return the table in a file.

    Raises:
        LatencyTableError: it cannot be read, is damaged or of another version.
    """
    try:
        return table_from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise LatencyTableError(f"cannot read the latency table {path}: {reason}") from error
    except LatencyTableError as error:
        raise LatencyTableError(f"{path}: {error}") from error


def _table(
    reference_ms: Any, call_ms: Any, rows: Any, threads: Any, input_size: Any, **names: Any
) -> LatencyTable:
    """Return the table of values from JSON; `ValueError` or `TypeError` where they are wrong."""
    height, width = input_size
    conditions = Conditions(
        **{name: _text(value) for name, value in names.items()},
        threads=_whole(threads),
        input_size=(_whole(height), _whole(width)),
    )
    measured = tuple(_row(**row) for row in rows)
    table = LatencyTable(conditions, _time_ms(reference_ms), _time_ms(call_ms), measured)
    for signature, grids in table.grids.items():
        for grid in grids.values():
            is_single = all(reads == writes for reads, writes in grid.times_ms)
            if not is_single and len(grid.times_ms) != len(grid.in_counts) * len(grid.out_counts):
                raise ValueError(f"rows of {signature} are missing")
    return table


def _row(
    *,
    signature: Any,
    in_channels: Any,
    out_channels: Any,
    median_ms: Any,
    spread_ms: Any,
    runs: Any,
) -> Row:
    return Row(
        signature=_text(signature),
        in_channels=_whole(in_channels),
        out_channels=_whole(out_channels),
        median_ms=_time_ms(median_ms),
        spread_ms=_time_ms(spread_ms),
        runs=_whole(runs),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected a text, got {value!r}")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"expected a whole number, got {value!r}")
    return value


def _time_ms(value: Any) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError(f"expected milliseconds, got {value!r}")
    return float(value)
