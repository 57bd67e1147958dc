"""The layout of FixaTons (Zanca et al. 2018): MIT1003, Toronto, Kootstra and SIENA12.

    STIMULI/<image>.jpeg
    SCANPATHS/<image>/<observer>    a row for each fixation, x y start end: pixels from the corner
                                    of the photo, seconds since it was shown

The first row of a viewing is where the observer was made to look before the photo was shown; it is
left out. So are fixations outside the photo, which are counted.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from saliency.datasets.dataset import Dataset, Fault
from saliency.datasets.layouts.collector import Collector, find_images, missing_image, viewings
from saliency.errors import DatasetError

CORNER = 0.5
COLUMNS = 4


def read_fixatons(root: Path) -> Dataset:
    """Return one of the data sets of FixaTons; its name is that of the folder, in lower case.

    Raises:
        DatasetError: `STIMULI` or `SCANPATHS` is missing, or no image has a fixation.
    """
    scanpaths = root / "SCANPATHS"
    _check_folders(root)
    collector = Collector(root.resolve().name.lower())
    images = find_images([root / "STIMULI"], collector.faults)
    folders = {path.name: path for path in sorted(scanpaths.iterdir()) if path.is_dir()}
    observers = sorted({path.name for folder in folders.values() for path in _files(folder)})
    number_of = {name: number for number, name in enumerate(observers)}
    for name, path in images.items():
        folder = folders.pop(path.stem, None)
        if folder is None:
            collector.add_unseen([name])
            continue
        read = [
            (number_of[file.name], _read_viewing(file, collector.faults)) for file in _files(folder)
        ]
        points, numbers = viewings(read)
        collector.add(name, path, points, numbers, first_pixel=CORNER)
    for stem, folder in folders.items():
        collector.faults.append(missing_image(root / "STIMULI" / stem, folder))
    return collector.dataset(root=root)


def _check_folders(root: Path) -> None:
    missing = [name for name in ("STIMULI", "SCANPATHS") if not (root / name).is_dir()]
    if not missing:
        return
    below = sorted(path.parent.name for path in root.glob("*/STIMULI"))
    advice = (
        f"name one of its data sets, such as {root / below[0]}"
        if below
        else "check the path after the colon, and that the whole archive was unpacked"
    )
    raise DatasetError(
        f"{root / missing[0]}: expected this folder of the data set, found none; {advice}"
    )


def _files(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")
    )


def _read_viewing(path: Path, faults: list[Fault]) -> Float64[ndarray, "fixations xy=2"]:
    """Return the (x, y) of one viewing without its first row; what is no table is a fault."""
    try:
        rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
        table = [[float(value) for value in row] for row in rows if row]
    except ValueError:
        table = [[]]
    if any(len(row) != COLUMNS for row in table):
        message = (
            f"{path}: expected rows of four numbers, x y start end, got others; "
            "take the file from the data set's own archive"
        )
        faults.append(Fault("viewings that are not a table", message))
        return np.empty((0, 2))
    return np.array(table, dtype=np.float64).reshape(-1, COLUMNS)[1:, :2]
