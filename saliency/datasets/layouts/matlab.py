"""Read MATLAB files of every version into the same plain values.

Up to version 7 a .mat file is MATLAB's own format, which SciPy reads; version 7.3 is HDF5, in
which arrays lie transposed, text as numbers of its characters, and what cells and struct arrays
hold behind references.

    MATLAB                  here
    matrix of numbers       array of two or more axes, as MATLAB shows it
    text                    str
    cell array              list, column by column
    struct                  dict by field; of several, a list of them
    []                      empty array
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float64
from numpy import ndarray
from scipy.io import loadmat

from saliency.errors import DatasetError, first_line

REMEDY = "unpack or download it again"


def read_matlab(path: Path) -> dict[str, Any]:
    """Return the variables of a MATLAB file by their names.

    Raises:
        DatasetError: there is no such file, or it is damaged.
    """
    if not path.is_file():
        raise DatasetError(
            f"{path}: expected a MATLAB file of the data set, found no such file; check the path "
            "after the colon, and that the whole archive was unpacked"
        )
    try:
        if h5py.is_hdf5(path):
            with h5py.File(path, "r") as file:
                return {key: _from_hdf5(file[key]) for key in file if not key.startswith("#")}
        contents = loadmat(path)
    # On a damaged file both readers raise whatever the damage leads them into: zlib.error,
    # TypeError, KeyError, MemoryError, OSError, …
    except Exception as error:
        raise DatasetError(
            f"{path}: expected a MATLAB file, got one that cannot be read ({first_line(error)}); "
            f"{REMEDY}"
        ) from error
    return {key: _from_scipy(value) for key, value in contents.items() if key[:2] != "__"}


def variable(path: Path, name: str) -> Any:
    """Return one variable of a MATLAB file.

    Raises:
        DatasetError: the file is missing or damaged, or has no such variable.
    """
    contents = read_matlab(path)
    if name not in contents:
        raise DatasetError(
            f"{path}: expected the variable `{name}`, got {', '.join(contents) or 'none'}; "
            "take the file from the data set's own archive"
        )
    return contents[name]


def items(value: Any) -> list[Any]:
    """Return the structs or cells of a value, one of them or several; none for `[]`."""
    if isinstance(value, list):
        return value
    return [] if isinstance(value, ndarray) and value.size == 0 else [value]


def field(struct: Any, name: str, where: object) -> Any:
    """Return a field of a struct.

    Raises:
        DatasetError: the value is not a struct, or has no such field.
    """
    if not isinstance(struct, dict) or name not in struct:
        raise DatasetError(
            f"{where}: expected a struct with the field `{name}`, got "
            f"{list(struct) if isinstance(struct, dict) else type(struct).__name__}; "
            "take the file from the data set's own archive"
        )
    return struct[name]


def rows(value: Any, columns: int, where: object) -> Float64[ndarray, "rows columns"]:
    """Return the first columns of a matrix of numbers; no rows for `[]`.

    Raises:
        DatasetError: the value is not a matrix of numbers, or has fewer columns.
    """
    array = np.asarray(value)
    if array.size == 0:
        return np.empty((0, columns))
    if array.dtype.kind not in "iufb" or array.ndim != 2 or array.shape[1] < columns:
        raise DatasetError(
            f"{where}: expected a matrix of numbers with {columns} columns, got {array.dtype.name} "
            f"of shape {array.shape}; take the file from the data set's own archive"
        )
    return array[:, :columns].astype(np.float64)


def _from_scipy(value: Any) -> Any:
    if isinstance(value, np.void):
        return {name: _from_scipy(value[name]) for name in value.dtype.names or ()}
    if not isinstance(value, ndarray):
        return value
    if value.dtype.names is not None or value.dtype == object:
        values = [_from_scipy(item) for item in value.ravel(order="F")]
        is_struct = value.dtype.names is not None
        return values[0] if is_struct and len(values) == 1 else values
    if value.dtype.kind == "U":
        return "\n".join(value.ravel().tolist())
    return value


def _from_hdf5(item: Any) -> Any:
    if isinstance(item, h5py.Group):
        return _struct_of(item)
    if item.attrs.get("MATLAB_empty", 0):
        return "" if _matlab_class(item) == "char" else np.empty((0, 0))
    if item.dtype == h5py.ref_dtype:
        return _referred(item)
    values = item[()]
    if _matlab_class(item) == "char":
        return "".join(map(chr, np.ravel(values, order="F")))
    return np.asarray(values).T


def _struct_of(group: Any) -> Any:
    """Return the struct of a group, or its list where the fields lie behind references."""
    is_array = len(group) > 0 and all(
        isinstance(item, h5py.Dataset) and item.dtype == h5py.ref_dtype and not _matlab_class(item)
        for item in group.values()
    )
    if not is_array:
        return {name: _from_hdf5(item) for name, item in group.items()}
    columns = {name: _referred(item) for name, item in group.items()}
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def _referred(item: Any) -> list[Any]:
    # Stored transposed, so row by row here is column by column in MATLAB.
    return [_from_hdf5(item.file[reference]) for reference in item[()].ravel()]


def _matlab_class(item: Any) -> str:
    value = item.attrs.get("MATLAB_class", b"")
    return value.decode() if isinstance(value, bytes) else str(value)
