"""The file of a run's results: one row for each photo, as JSON Lines or Parquet.

While the run lasts, rows are appended to FILE.part, so that a run that is stopped has lost nothing;
a later one with --resume appends to it. At its end the last row of each photo becomes FILE.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from saliency.cropping.report import json_line
from saliency.errors import OutputError, first_line
from saliency.files import check_writable, url_of

_ROWS_OF_A_GROUP = 10_000


def result_key(photo: Path) -> str:
    """Return what a photo is called in the results of every run: 32 digits of a SHA-256."""
    return hashlib.sha256(os.fsencode(url_of(photo))).hexdigest()[:32]


class Results:
    """The rows of a run, appended as photos are done; `close` makes the file of them."""

    def __init__(self, path: Path, *, overwrite: bool = False, resume: bool = False) -> None:
        """Begin a file, or go on with one.

        Args:
            path: ends in `.jsonl` or `.parquet`.
            overwrite: replace a file of that name.
            resume: keep its rows, and those of a run that was stopped, for photos that are done.

        Raises:
            OutputError: it cannot be written, or exists and is to stay.
        """
        check_writable(path, overwrite=overwrite or resume)
        self._path, self._part = path, path.with_name(f"{path.name}.part")
        if self._part.exists() and not (overwrite or resume):
            raise OutputError(
                f"{self._part} is of a run that was stopped; go on with --resume, or begin anew "
                "with --overwrite"
            )
        try:
            if not resume:
                self._part.unlink(missing_ok=True)
            elif not self._part.exists() and path.exists():
                self._copy_rows()
            self._file: IO[bytes] = self._part.open("a+b")
            self._kept = {row["key"] for _, row in self._rows() if _is_done(row)}
        except (OSError, ValueError, KeyError) as error:
            raise OutputError(f"cannot go on with {self._part}: {first_line(error)}") from error
        self._keys: set[str] = set()

    def add(self, photo: Path, report: dict[str, Any]) -> None:
        """Append the row of a photo, unless it is done and has one already.

        Raises:
            OutputError: it cannot be written.
        """
        key = result_key(photo)
        self._keys.add(key)
        if report["status"] == "present" and key in self._kept:
            return
        try:
            self._file.write(json_line({"key": key} | report).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise OutputError(
                f"cannot write {self._part}: {error.strerror or error}; make room, then go on with "
                "--resume"
            ) from error

    def close(self) -> None:
        """Make the file of the last row of each photo of this run.

        Raises:
            OutputError: it cannot be written; the rows stay in FILE.part.
        """
        last = {row["key"]: offset for offset, row in self._rows()}
        final = {offset for key, offset in last.items() if key in self._keys}
        rows = (row for offset, row in self._rows() if offset in final)
        whole = self._path.with_name(f".{self._path.name}.tmp")
        try:
            (_write_parquet if self._path.suffix == ".parquet" else _write_lines)(rows, whole)
            self._file.close()
            whole.replace(self._path)
            self._part.unlink()
        except OSError as error:
            raise OutputError(
                f"cannot write {self._path}: {error.strerror or error}; "
                f"its rows are in {self._part}"
            ) from error
        finally:
            whole.unlink(missing_ok=True)

    def _rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the rows written so far, and where each begins; cut off a row that is not whole."""
        self._file.flush()
        with self._part.open("rb") as file:
            offset = 0
            for line in file:
                if not line.endswith(b"\n"):
                    self._file.truncate(offset)
                    return
                yield offset, json.loads(line)
                offset += len(line)

    def _copy_rows(self) -> None:
        """Begin with the rows of a file that is finished."""
        with self._part.open("wb") as file:
            for row in read_results(self._path):
                file.write(json_line(row).encode() + b"\n")


def read_results(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file of results, as JSON.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file.
    """
    if path.suffix == ".parquet":
        from pyarrow import parquet  # noqa: PLC0415  of the extra

        for batch in parquet.ParquetFile(path).iter_batches(columns=["report"]):
            yield from (json.loads(one.as_py()) for one in batch["report"])
        return
    with path.open("rb") as file:
        yield from map(json.loads, file)


def _is_done(row: dict[str, Any]) -> bool:
    return row["status"] in ("cropped", "present")


def _write_lines(rows: Iterator[dict[str, Any]], path: Path) -> None:
    """Write rows as JSON Lines."""
    with path.open("wb") as file:
        file.writelines(json_line(row).encode() + b"\n" for row in rows)


def _write_parquet(rows: Iterator[dict[str, Any]], path: Path) -> None:
    """Write rows as Parquet: some columns to select by, and the whole JSON as `report`."""
    import pyarrow as pa  # noqa: PLC0415  of the extra
    from pyarrow import parquet  # noqa: PLC0415

    texts = ("key", "photo", "status", "error", "report")
    schema = pa.schema(
        [(name, pa.string()) for name in texts]
        + [("width", pa.int32()), ("height", pa.int32()), ("files", pa.list_(pa.string()))]
    )

    def flush(group: list[dict[str, Any]]) -> None:
        writer.write_table(pa.Table.from_pylist(group, schema=schema))

    with parquet.ParquetWriter(path, schema) as writer:
        group: list[dict[str, Any]] = []
        for row in rows:
            group.append(_columns_of(row))
            if len(group) == _ROWS_OF_A_GROUP:
                flush(group)
                group = []
        flush(group)


def _columns_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of a row; bytes of names that are no Unicode become escapes."""
    files = [window["file"] for window in row.get("windows", ()) if window["file"] is not None]
    shown: dict[str, Any] = {
        name: row.get(name) for name in ("key", "photo", "status", "error", "width", "height")
    }
    shown |= {"files": files}
    shown = {name: _as_unicode(value) for name, value in shown.items()}
    return shown | {"report": json_line(row)}


def _as_unicode(value: Any) -> Any:
    """Return a value whose texts can be encoded."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return [_as_unicode(one) for one in value] if isinstance(value, list) else value
