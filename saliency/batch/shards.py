"""Photos as Ray datasets: a list of files, or Parquet files that contain photos, block by block."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saliency.batch.listing import ListedPhoto
from saliency.batch.ray_nodes import import_ray
from saliency.errors import PhotoError, first_line
from saliency.files import is_url, url_of

MOST_ROWS = 16
"""Photos of a block: what is done again when a worker is lost."""

_BLOCKS_PER_WORKER = 8
_READING_SHARE = 0.1  # of a core; see `cluster`


def list_dataset(photos: Sequence[ListedPhoto], *, worker_count: int) -> Any:
    """Return a dataset of photos that were listed: columns `path` and `folder`, in small blocks."""
    import pyarrow as pa  # noqa: PLC0415  of the extra

    rows = min(MOST_ROWS, max(1, len(photos) // (worker_count * _BLOCKS_PER_WORKER)))
    blocks = [
        pa.table(
            {
                "path": pa.array([_bytes_of(one.path) for one in part], pa.binary()),
                "folder": pa.array([os.fsencode(one.folder) for one in part], pa.binary()),
            }
        )
        for part in (photos[start : start + rows] for start in range(0, len(photos), rows))
    ]
    return import_ray().data.from_arrow(blocks)


def is_parquet(path: Path) -> bool:
    """Return whether a name is that of a Parquet file."""
    return path.suffix.lower() == ".parquet"


def parquet_dataset(paths: Sequence[Path]) -> Any:
    """Return a dataset of Parquet files: columns `path`, the photos' names, and `bytes`.

    Raises:
        PhotoError: a file cannot be read, or lacks these columns.
    """
    ray = import_ray()
    names = [url_of(path) if is_url(path) else str(path) for path in paths]
    for path in paths:
        if not is_url(path) and not path.exists():
            raise PhotoError(f"cannot read {path}: no such file")
    try:
        ds = ray.data.read_parquet(names, num_cpus=_READING_SHARE)
        columns = ds.schema().names
    except Exception as error:  # of the store, or of the file
        raise PhotoError(f"cannot read {', '.join(names)}: {first_line(error)}") from error
    if not {"path", "bytes"} <= set(columns):
        raise PhotoError(
            f"expected the columns path and bytes in {names[0]}, got {', '.join(columns)}"
        )
    return ds


def _bytes_of(path: Path) -> bytes:
    """Return a path as bytes, of a file's from the root, as nodes work in other folders."""
    return url_of(path).encode() if is_url(path) else os.fsencode(path)
