"""The plain layout that anyone can produce: a folder of photos and one table of fixations.

    images/             photos, in folders below it if you like
    fixations.csv       UTF-8, header `image,x,y`, and as you have them `observer,duration_ms`:
        image           path of the photo below `images/`
        x, y            pixels of the upright photo from its top left corner, fractions allowed
        observer        any label; the same label is the same person
        duration_ms     milliseconds

A fixation a row, in any order; the columns in any order too.

    maps/               grey pictures, each of the size and with the path of its photo, but for the
                        ending: densities of photos that have no row in the table, which may then
                        be missing
"""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from saliency.datasets.dataset import Dataset, Fault
from saliency.datasets.images import list_images
from saliency.datasets.layouts.collector import Collector
from saliency.errors import DatasetError

REQUIRED_COLUMNS = ("image", "x", "y")
OPTIONAL_COLUMNS = ("observer", "duration_ms")


@dataclass(frozen=True)
class _Row:
    line: int
    image: str
    x: float
    y: float
    observer: str


def read_folder(root: Path) -> Dataset:
    """Return a data set of the plain form; its name is that of the folder.

    Scenes are in the order of their file names. Without the column `observer` all fixations
    count as one observer's.

    Raises:
        DatasetError: a file is missing or corrupt, or the table has no header or no rows.
    """
    csv_path = root / "fixations.csv"
    images = root / "images"
    on_disk = set(list_images(images))
    collector = Collector(root.resolve().name)
    faults = collector.faults
    maps = _maps_of(root / "maps", on_disk, faults)
    rows_of: dict[str, list[_Row]] = {}
    number_of: dict[str, int] = {}
    has_maps = bool(maps or faults)
    for row in _read_rows(csv_path, faults) if csv_path.is_file() or not has_maps else ():
        if row.image not in on_disk:
            faults.append(_row_of_no_image(row, csv_path, images))
            continue
        rows_of.setdefault(row.image, []).append(row)
        number_of.setdefault(row.observer, len(number_of))

    for image, rows in sorted(rows_of.items()):
        collector.add(
            image,
            images / image,
            np.array([(row.x, row.y) for row in rows], np.float64),
            np.array([number_of[row.observer] for row in rows], np.int64),
            first_pixel=0.5,
            place=partial(_place, csv_path, rows),
        )
    for image in sorted(on_disk - set(rows_of)):
        if image in maps:
            collector.add_mapped(image, images / image, maps[image])
        else:
            collector.add_unseen([image])
    return collector.dataset(root=root)


def _place(csv_path: Path, rows: list[_Row], index: int) -> str:
    """Return where in the table the row of an index is."""
    return f"{csv_path}, line {rows[index].line} ({rows[index].image})"


def _row_of_no_image(row: _Row, csv_path: Path, images: Path) -> Fault:
    return Fault(
        "rows of images that are not there",
        f"{csv_path}, line {row.line}: expected the path of an image in {images}, got "
        f"{row.image!r}, which is not there; add the image or remove its rows",
    )


def _maps_of(folder: Path, images: set[str], faults: list[Fault]) -> dict[str, Path]:
    """Return the map of each image that has one; empty if the folder does not exist.

    Args:
        folder: of the maps.
        images: all there are.
        faults: gets one for each map that does not belong to exactly one image.
    """
    if not folder.is_dir():
        return {}
    images_of: dict[str, list[str]] = {}
    for image in sorted(images):
        images_of.setdefault(str(Path(image).with_suffix("")), []).append(image)
    maps: dict[str, Path] = {}
    for relative in list_images(folder):
        called = images_of.get(str(Path(relative).with_suffix("")), [])
        if len(called) == 1 and called[0] not in maps:
            maps[called[0]] = folder / relative
            continue
        got = "a second one" if len(called) == 1 else " and ".join(called) or "none of that name"
        message = (
            f"{folder / relative}: expected the map of one image of the same name, got {got}; "
            "rename or remove all but one"
        )
        faults.append(Fault("maps that are not of one image", message))
    return maps


def _read_rows(csv_path: Path, faults: list[Fault]) -> Iterator[_Row]:
    """Yield the rows of the table, each checked; a bad row is a fault."""
    if not csv_path.is_file():
        raise DatasetError(
            f"{csv_path}: expected a table of fixations, found no such file; write one with the "
            f"header {','.join(REQUIRED_COLUMNS)} beside the folder images"
        )
    has_rows = False
    try:
        # utf-8-sig: spreadsheets write a byte order mark in front.
        with csv_path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            columns = [column.strip() for column in next(reader, [])]
            _check_header(columns, csv_path)
            for values in reader:
                if values:
                    has_rows = True
                    row = _parse_row(values, columns, line=reader.line_num, csv_path=csv_path)
                    if isinstance(row, Fault):
                        faults.append(row)
                    else:
                        yield row
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(
            f"{csv_path}: expected a comma-separated table in UTF-8, got a file that cannot be "
            f"read as one ({error}); save it as CSV UTF-8"
        ) from error
    if not has_rows:
        raise DatasetError(
            f"{csv_path}: expected at least one fixation, got a table without rows; "
            "write one row for each fixation"
        )


def _check_header(columns: list[str], csv_path: Path) -> None:
    known = REQUIRED_COLUMNS + OPTIONAL_COLUMNS
    is_complete = set(REQUIRED_COLUMNS) <= set(columns) <= set(known)
    if not is_complete or len(set(columns)) < len(columns):
        raise DatasetError(
            f"{csv_path}, line 1: expected the header {','.join(REQUIRED_COLUMNS)}, with "
            f"{' and '.join(OPTIONAL_COLUMNS)} if you have them, got {','.join(columns)!r}; "
            "rename or remove columns, and separate them by commas"
        )


def _parse_row(values: list[str], columns: list[str], *, line: int, csv_path: Path) -> _Row | Fault:
    where = f"{csv_path}, line {line}"
    if len(values) != len(columns):
        return Fault(
            "rows of another length than the header",
            f"{where}: expected the {len(columns)} values {','.join(columns)}, got {len(values)}; "
            "complete the row, or quote a value that holds a comma",
        )
    cells = dict(zip(columns, (value.strip() for value in values), strict=True))
    for column in ("image", "observer"):
        if cells.get(column) == "":
            return Fault(
                "rows without a value",
                f"{where}: expected a value in the column {column}, got none; complete the row",
            )
    for column in ("x", "y", "duration_ms"):
        text = cells.get(column, "")
        if not _is_number(text) and (text or column in REQUIRED_COLUMNS):
            return Fault(
                "rows with a value that is no number",
                f"{where}: expected a number in the column {column}, got {text!r}; "
                "correct the value or remove the row",
            )
    x, y = float(cells["x"]), float(cells["y"])
    return _Row(line, cells["image"], x, y, cells.get("observer", ""))


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
