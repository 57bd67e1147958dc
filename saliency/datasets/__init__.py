"""Read eye-tracking data sets in their published layouts, and split them by image."""

from collections.abc import Callable
from pathlib import Path

from saliency.datasets.dataset import Dataset, Part, split_folds, split_scenes
from saliency.datasets.folder import read_folder
from saliency.datasets.osie import read_eyecrowd, read_osie
from saliency.errors import DatasetError

__all__ = ["LAYOUTS", "Dataset", "Part", "read_dataset", "split_folds", "split_scenes"]

LAYOUTS: dict[str, Callable[[Path], Dataset]] = {
    "eyecrowd": read_eyecrowd,
    "folder": read_folder,
    "osie": read_osie,
}


def read_dataset(spec: str) -> Dataset:
    """Return the data set that `spec` names, `LAYOUT:PATH`, such as `osie:downloads/osie`.

    Raises:
        DatasetError: the spec or the layout is unknown, or the files are not what it promises.
    """
    layout, colon, path = spec.partition(":")
    if not colon or not path or layout not in LAYOUTS:
        raise DatasetError(
            f"expected a data set as LAYOUT:PATH with LAYOUT one of {', '.join(LAYOUTS)}, "
            f"got {spec!r}; see data/README.md for what each of them holds"
        )
    root = Path(path).expanduser()
    if not root.is_dir():
        raise DatasetError(
            f"{root}: expected the folder of the data set {layout!r}, found none; "
            "check the path after the colon"
        )
    return LAYOUTS[layout](root)
