"""The layout in which OSIE and EyeCrowd are published: a MATLAB file and a folder of photos.

    data/stimuli/*.jpg
    data/eye/fixations.mat      struct array (or cell array of structs) `fixations`:
        img                     file name
        subjects                one struct per observer, in the same order for every image:
            fix_x, fix_y        pixels of the photo, one vector each; empty for an empty viewing

Coordinates are MATLAB's: the middle of the first pixel is 1. In EyeCrowd's 101,073 fixations here x
runs from exactly 1.0 to exactly 1024.0 = width and y ends at exactly 768.0 = height, which nothing
counted from 0 could; and the authors' own `computeFixationMaps.m` gives each fixation the pixel
`max(1, min(round(fix_x), w))`. So half a pixel comes off: the first and last become the middles of
the first and last pixel, and rounding there is rounding down here.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray
from scipy.io import loadmat

from saliency.datasets.dataset import Dataset, Fault
from saliency.datasets.images import list_images
from saliency.datasets.layouts.collector import Collector, missing_image
from saliency.errors import DatasetError

MATLAB_FIRST_PIXEL = 1.0


def read_osie(root: Path) -> Dataset:
    """Return OSIE (Xu et al. 2014): 800x600 photos of everyday scenes, 15 observers."""
    return read_matlab_layout(root, name="osie", degree_px=24.0)


def read_eyecrowd(root: Path) -> Dataset:
    """Return EyeCrowd (Jiang, Xu, Zhao 2014): 1024x768 photos of crowds, 16 observers."""
    return read_matlab_layout(root, name="eyecrowd", degree_px=26.0)


def read_matlab_layout(root: Path, *, name: str, degree_px: float) -> Dataset:
    """Return a data set of this layout.

    Args:
        root: the folder that holds `data`.
        name: of the data set, with which the scenes' names begin.
        degree_px: pixels for one degree of visual angle; the authors' `config.m` states it.

    Raises:
        DatasetError: a file is missing or corrupt.
    """
    mat_path = root / "data" / "eye" / "fixations.mat"
    stimuli = root / "data" / "stimuli"
    on_disk = set(list_images(stimuli))
    records = _read_records(mat_path)
    rows_of: dict[str, list[int]] = {}
    for row, record in enumerate(records, start=1):
        rows_of.setdefault(_file_name(record, mat_path, row), []).append(row)
    collector = Collector(name, degree_px=degree_px)
    for file_name, rows in rows_of.items():
        if len(rows) > 1:
            collector.faults.append(_listed_again(file_name, rows, mat_path))
        if file_name not in on_disk:
            listed_in = f"row {rows[0]} of {mat_path}"
            collector.faults.append(missing_image(stimuli / file_name, listed_in))
            continue
        record = records[rows[0] - 1]
        published, observers = _viewings(record, f"{mat_path}, image {file_name}")
        collector.add(
            file_name,
            stimuli / file_name,
            published,
            observers,
            first_pixel=MATLAB_FIRST_PIXEL,
            place=_Place(mat_path, file_name, observers),
        )
    collector.add_unseen(sorted(on_disk - set(rows_of)))
    return collector.dataset(root=root)


class _Place:
    """Return where in the MATLAB file a fixation of an image is, counted as MATLAB does."""

    def __init__(self, mat_path: Path, file_name: str, observers: Int64[ndarray, " fixations"]):
        self._image = f"{mat_path}, image {file_name}"
        self._observers = observers

    def __call__(self, index: int) -> str:
        observer = self._observers[index]
        order = int((self._observers[:index] == observer).sum()) + 1
        return f"{self._image}, observer {observer + 1}, fixation {order}"


def _read_records(mat_path: Path) -> list[Any]:
    """Return the struct of each image."""
    if not mat_path.is_file():
        raise DatasetError(
            f"{mat_path}: expected the fixations of the data set, found no such file; check the "
            "path after the colon, and that the whole archive was unpacked"
        )
    try:
        contents = loadmat(mat_path, variable_names=["fixations"])
    # On a damaged file scipy's reader raises whatever the damage leads it into: zlib.error,
    # TypeError, IndexError, MemoryError, its own MatReadError, …
    except Exception as error:
        raise DatasetError(
            f"{mat_path}: expected a MATLAB file of version 7 or older, got one that cannot be "
            f"read ({error}); unpack or download it again, or save it with MATLAB's -v7"
        ) from error
    records = _structs(contents["fixations"]) if "fixations" in contents else []
    if not records:
        raise DatasetError(
            f"{mat_path}: expected a struct array `fixations` with one struct per image, "
            "found none; take the file from the data set's own archive"
        )
    return records


def _structs(value: Any) -> list[Any]:
    """Return the structs of a struct array or of a cell array of structs, in order.

    MATLAB's file holds a 1x1 array around every single value, which is why nothing here is
    squeezed: squeezed, one observer and many would come out as different types. An empty cell
    keeps its place as None.
    """
    if value.dtype.names is not None:
        return list(value.flat)
    if value.dtype != object:
        return [None] if value.size == 0 else [value]
    return [struct for cell in value.flat for struct in _structs(np.asarray(cell))]


def _field(record: Any, name: str, where: str) -> Any:
    if not isinstance(record, np.void) or name not in (record.dtype.names or ()):
        raise DatasetError(
            f"{where}: expected a struct with the field `{name}`, got {type(record).__name__}; "
            "take the file from the data set's own archive"
        )
    return record[name]


def _file_name(record: Any, mat_path: Path, row: int) -> str:
    """Return the file name of an image; the row counts from 1, as MATLAB does."""
    where = f"{mat_path}, row {row}"
    value = _field(record, "img", where)
    while isinstance(value, ndarray) and value.size == 1:
        value = value.item()
    if not isinstance(value, str) or not value.strip():
        raise DatasetError(
            f"{where}: expected a file name in `img`, got {value!r}; "
            "take the file from the data set's own archive"
        )
    return value.strip()


def _listed_again(file_name: str, rows: list[int], mat_path: Path) -> Fault:
    return Fault(
        "images listed more than once",
        f"{mat_path}: expected each image once, got {file_name} in the rows {rows}; "
        "join or remove them",
    )


def _viewings(
    record: Any, where: str
) -> tuple[Float64[ndarray, "fixations xy=2"], Int64[ndarray, " fixations"]]:
    """Return all observers' fixations on one image as published, and who made each."""
    points: list[Float64[ndarray, "viewing xy=2"]] = [np.empty((0, 2))]
    observers: list[Int64[ndarray, " viewing"]] = [np.empty(0, np.int64)]
    for number, viewing in enumerate(_structs(np.asarray(_field(record, "subjects", where)))):
        if viewing is None:
            continue
        place = f"{where}, observer {number + 1}"
        x = _vector(_field(viewing, "fix_x", place), f"{place}, fix_x")
        y = _vector(_field(viewing, "fix_y", place), f"{place}, fix_y")
        if len(x) != len(y):
            raise DatasetError(
                f"{place}: expected as many fix_x as fix_y, got {len(x)} and {len(y)}; "
                "take the file from the data set's own archive"
            )
        points.append(np.stack([x, y], axis=1))
        observers.append(np.full(len(x), number, np.int64))
    return np.concatenate(points), np.concatenate(observers)


def _vector(value: Any, where: str) -> Float64[ndarray, " viewing"]:
    """Return a vector of numbers, whatever its orientation; empty for MATLAB's `[]`."""
    array = np.asarray(value)
    if array.dtype.kind not in "iufb":
        raise DatasetError(
            f"{where}: expected a vector of numbers, got {array.dtype.name}; "
            "take the file from the data set's own archive"
        )
    return array.astype(np.float64).ravel()
