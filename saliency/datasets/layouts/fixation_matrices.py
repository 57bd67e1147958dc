"""Data sets whose fixations are published as matrices: Toronto, PASCAL-S, DUT-OMRON, FIGRIM.

    toronto     eyetrackingdata/fixdens/Original Image Set/N.jpg
                eyetrackingdata/fixdens/origfixdata.mat: cell array `white`, for each image a matrix
                of its size with a one at each fixation; who made it is not published
    pascal-s    datasets/imgs/pascal/N.jpg
                datasets/fixations/pascalFix.mat (version 7.3): cell array `fixCell`, for each image
                a row (y, x, observer) for each fixation, all counted from 1
    dut-omron   DUT-OMRON-image/*.jpg
                DUT-OMRON-eye-fixations/mat/*.mat: matrix `s` of (x, y, observer), of which the row
                of observer 0 is the image's size; coordinates of 0 occur, so they count from 0
    figrim      Targets/<category>/*.jpg, Fillers/<category>/*.jpg
                allImages_release.mat, allImages_fillers.mat: struct array `allImages`:
                    filename, category
                    userdata        one struct per observer: `trial`, empty for who did not see it,
                                    and `fixations` with (x, y) of the first viewing in `enc`, of
                                    later ones in `rec` and `rec2`

In FIGRIM the first viewing is read only: in later ones people look for what they remember.
"""

from pathlib import Path
from typing import Any

import numpy as np

from saliency.datasets.dataset import Dataset
from saliency.datasets.images import upright_size
from saliency.datasets.layouts.collector import (
    Collector,
    check_unpacked,
    find_images,
    first_folder,
    marked_pixels,
    missing_image,
    viewings,
)
from saliency.datasets.layouts.matlab import field, items, rows, variable
from saliency.errors import DatasetError


def read_toronto(root: Path) -> Dataset:
    """Return Toronto (Bruce, Tsotsos 2007): 681x511 photos, 20 observers taken together.

    Raises:
        DatasetError: a file is missing or damaged, or a matrix is not of its image's size.
    """
    folder = first_folder(root, "eyetrackingdata/fixdens", "fixdens", ".")
    images = first_folder(folder, "Original Image Set")
    mat = folder / "origfixdata.mat"
    collector = Collector("toronto")
    for number, marks in enumerate(items(variable(mat, "white")), start=1):
        path = images / f"{number}.jpg"
        if not path.is_file():
            collector.faults.append(missing_image(path, mat))
            continue
        marked = np.asarray(marks) > 0
        _check_size(marked, path, f"{mat}, image {number}")
        points = marked_pixels(marked)
        observers = np.zeros(len(points), np.int64)
        collector.add(path.name, path, points, observers, first_pixel=0.0)
    return collector.dataset(root=root)


def read_pascal_s(root: Path) -> Dataset:
    """Return PASCAL-S (Li et al. 2014): 850 photos of PASCAL VOC.

    Raises:
        DatasetError: a file is missing or damaged.
    """
    folder = first_folder(root, "datasets", ".")
    mat = folder / "fixations" / "pascalFix.mat"
    collector = Collector("pascal-s")
    for number, listed in enumerate(items(variable(mat, "fixCell")), start=1):
        path = folder / "imgs" / "pascal" / f"{number}.jpg"
        if not path.is_file():
            collector.faults.append(missing_image(path, mat))
            continue
        table = rows(listed, 3, f"{mat}, image {number}")
        observers = table[:, 2].astype(np.int64) - 1
        collector.add(path.name, path, table[:, 1::-1], observers, first_pixel=1.0)
    return collector.dataset(root=root)


def read_dut_omron(root: Path) -> Dataset:
    """Return DUT-OMRON (Yang et al. 2013): 5168 photos of at most 400 px, 5 observers.

    Raises:
        DatasetError: a file is missing or damaged.
    """
    collector = Collector("dut-omron")
    images = find_images([first_folder(root, "DUT-OMRON-image")], collector.faults)
    mats = first_folder(root, "DUT-OMRON-eye-fixations/mat", "DUT-OMRON-eye-fixations")
    check_unpacked((mats / f"{path.stem}.mat" for path in images.values()), root=root)
    unlisted = sorted(
        set(mats.glob("*.mat")) - {mats / f"{Path(name).stem}.mat" for name in images}
    )
    check_unpacked((root / "DUT-OMRON-image" / f"{mat.stem}.jpg" for mat in unlisted), root=root)
    for name, path in images.items():
        mat = mats / f"{path.stem}.mat"
        table = rows(variable(mat, "s"), 3, f"{mat}, s")
        table = table[table[:, 2] > 0]
        observers = table[:, 2].astype(np.int64) - 1
        collector.add(name, path, table[:, :2], observers, first_pixel=0.0)
    return collector.dataset(root=root)


def read_figrim(root: Path) -> Dataset:
    """Return FIGRIM (Bylinskii et al. 2015): 1000x1000 photos of scenes, their first viewings.

    Raises:
        DatasetError: a file is missing or damaged.
    """
    collector = Collector("figrim")
    folders = [first_folder(root, "Targets"), first_folder(root, "Fillers")]
    images = find_images(folders, collector.faults)
    listed: set[str] = set()
    for mat in (root / "allImages_release.mat", root / "allImages_fillers.mat"):
        for number, record in enumerate(items(variable(mat, "allImages")), start=1):
            where = f"{mat}, row {number}"
            name = str(field(record, "filename", where))
            if name not in images:
                collector.faults.append(missing_image(root / name, mat))
                continue
            listed.add(name)
            users = items(field(record, "userdata", where))
            points, observers = viewings(
                [(user, _first_viewing(one, where)) for user, one in enumerate(users)]
            )
            collector.add(name, images[name], points, observers, first_pixel=0.5)
    collector.add_unseen(name for name in images if name not in listed)
    return collector.dataset(root=root)


def _first_viewing(user: Any, where: str) -> Any:
    if np.size(field(user, "trial", where)) == 0:
        return np.empty((0, 2))
    return rows(field(field(user, "fixations", where), "enc", where), 2, f"{where}, enc")


def _check_size(marked: np.ndarray, path: Path, where: str) -> None:
    width, height = upright_size(path)
    if marked.shape != (height, width):
        raise DatasetError(
            f"{where}: expected a map of {width}x{height} like {path}, got "
            f"{'x'.join(map(str, marked.shape[::-1]))}; take both from the same archive"
        )
