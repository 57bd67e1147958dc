"""The plain form that anyone can produce: a folder of photos and one table of fixations.

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
from pathlib import Path

import numpy as np

from saliency.datasets.dataset import Dataset, MappedPhoto, list_images, upright_size
from saliency.errors import DatasetError
from saliency.fixations import Scene, bring_inside

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

    Scenes stand in the order of their file names. Without the column `observer` all fixations
    count as one observer's.

    Raises:
        DatasetError: a file is missing or corrupt, or a row is not what its column promises.
    """
    csv_path = root / "fixations.csv"
    images = root / "images"
    on_disk = set(list_images(images))
    rows_of_image: dict[str, list[_Row]] = {}
    number_of_observer: dict[str, int] = {}
    maps = _maps_of(root / "maps", on_disk)
    for row in _read_rows(csv_path) if csv_path.is_file() or not maps else ():
        if row.image not in on_disk:
            raise DatasetError(
                f"{csv_path}, line {row.line}: expected the path of an image in {images}, got "
                f"{row.image!r}, which is not there; add the image or remove its rows"
            )
        rows_of_image.setdefault(row.image, []).append(row)
        number_of_observer.setdefault(row.observer, len(number_of_observer))

    name = root.resolve().name
    scenes, clipped_count = [], 0
    for image, rows in sorted(rows_of_image.items()):
        scene, moved_count = _read_scene(
            f"{name}/{image}",
            images / image,
            rows,
            csv_path=csv_path,
            number_of_observer=number_of_observer,
        )
        scenes.append(scene)
        clipped_count += moved_count
    unlisted = sorted(on_disk - set(rows_of_image))
    mapped = [
        MappedPhoto(f"{name}/{image}", images / image, maps[image])
        for image in unlisted
        if image in maps
    ]
    unseen = tuple(image for image in unlisted if image not in maps)
    return Dataset(name, tuple(scenes), clipped_count, unseen, mapped=tuple(mapped))


def _maps_of(folder: Path, images: set[str]) -> dict[str, Path]:
    """Return the map of each image that has one; none where there is no such folder.

    Raises:
        DatasetError: a map belongs to no image, or to several.
    """
    if not folder.is_dir():
        return {}
    image_of: dict[str, str] = {}
    for image in sorted(images):
        image_of[str(Path(image).with_suffix(""))] = image
    maps: dict[str, Path] = {}
    for relative in list_images(folder):
        image = image_of.get(str(Path(relative).with_suffix("")), "")
        if not image or image in maps:
            raise DatasetError(
                f"{folder / relative}: expected the map of one image of the same name, got "
                f"{'a second one' if image else 'none of that name'}; rename or remove it"
            )
        maps[image] = folder / relative
    return maps


def _read_scene(
    name: str,
    path: Path,
    rows: list[_Row],
    *,
    csv_path: Path,
    number_of_observer: dict[str, int],
) -> tuple[Scene, int]:
    """Return one photo's scene, and how many of its fixations were moved to the border."""
    width, height = upright_size(path)
    fixations, moved_count = bring_inside(
        np.array([(row.x, row.y) for row in rows], np.float64),
        width=width,
        height=height,
        first_pixel=0.5,
        describe=lambda index: f"{csv_path}, line {rows[index].line} ({rows[index].image})",
    )
    observers = np.array([number_of_observer[row.observer] for row in rows], np.int64)
    return Scene(name, path, width, height, fixations, observers), moved_count


def _read_rows(csv_path: Path) -> Iterator[_Row]:
    """Yield the rows of the table, each checked on its own."""
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
                    yield _parse_row(values, columns, line=reader.line_num, csv_path=csv_path)
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


def _parse_row(values: list[str], columns: list[str], *, line: int, csv_path: Path) -> _Row:
    where = f"{csv_path}, line {line}"
    if len(values) != len(columns):
        raise DatasetError(
            f"{where}: expected the {len(columns)} values {','.join(columns)}, got {len(values)}; "
            "complete the row, or quote a value that holds a comma"
        )
    cells = dict(zip(columns, (value.strip() for value in values), strict=True))
    for column in ("image", "observer"):
        if cells.get(column) == "":
            raise DatasetError(
                f"{where}: expected a value in the column {column}, got none; complete the row"
            )
    if cells.get("duration_ms"):
        _parse_number(cells["duration_ms"], "duration_ms", where)
    return _Row(
        line=line,
        image=cells["image"],
        x=_parse_number(cells["x"], "x", where),
        y=_parse_number(cells["y"], "y", where),
        observer=cells.get("observer", ""),
    )


def _parse_number(text: str, column: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise DatasetError(
            f"{where}: expected a number in the column {column}, got {text!r}; "
            "correct the value or remove the row"
        )
    return number
