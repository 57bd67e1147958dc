"""MATLAB files in both formats, as the tests of the layouts write them.

`savemat` is SciPy's, for version 5. `write_v73` follows MATLAB's conventions for HDF5: arrays
transposed, text as uint16, what cells and struct arrays hold under `#refs#`, the class of each
variable in an attribute.
"""

import h5py
import numpy as np
from PIL import Image


def column_of(values):
    """Return a cell array, n x 1, of any values."""
    cells = np.empty((len(values), 1), object)
    for row, value in enumerate(values):
        cells[row, 0] = value
    return cells


def struct_array(structs):
    """Return a struct array, 1 x n, of dicts with the same keys."""
    array = np.empty((1, len(structs)), [(name, object) for name in structs[0]])
    for index, struct in enumerate(structs):
        array[0, index] = tuple(struct.values())
    return array


def write_v73(path, contents):
    """Write dicts (struct), lists (cell), lists of dicts in a tuple (struct array), str, arrays."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in contents.items():
            _write(file, file, name, value)


def photo(path, width=80, height=60, colour=(9, 90, 200)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), colour).save(path)


def _write(file, group, name, value):
    if isinstance(value, dict):
        struct = group.create_group(name)
        _mark(struct, "struct")
        for key, item in value.items():
            _write(file, struct, key, item)
    elif isinstance(value, tuple):
        struct = group.create_group(name)
        _mark(struct, "struct")
        for key in value[0]:
            struct[key] = _references(file, [item[key] for item in value])
    elif isinstance(value, list):
        group[name] = _references(file, value)
        _mark(group[name], "cell")
    elif isinstance(value, str):
        group[name] = np.array([[ord(letter)] for letter in value], np.uint16)
        _mark(group[name], "char")
    elif np.size(value) == 0:
        group[name] = np.array([0, 0], np.uint64)
        group[name].attrs["MATLAB_empty"] = np.uint8(1)
        _mark(group[name], "double")
    else:
        group[name] = np.asarray(value).T
        _mark(group[name], "double")


def _references(file, values):
    home = file.require_group("#refs#")
    references = np.empty((1, len(values)), h5py.ref_dtype)
    for index, value in enumerate(values):
        name = f"r{len(home)}"
        _write(file, home, name, value)
        references[0, index] = home[name].ref
    return references


def _mark(item, name):
    item.attrs["MATLAB_class"] = np.bytes_(name)
