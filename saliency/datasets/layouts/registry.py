"""The layouts by name, and how a data set is read in any of them."""

import shlex
from collections.abc import Callable
from pathlib import Path

from saliency.datasets.dataset import Dataset
from saliency.datasets.layouts.cat2000 import read_cat2000
from saliency.datasets.layouts.coco_scanpaths import read_coco_freeview, read_coco_search18
from saliency.datasets.layouts.fixation_matrices import (
    read_dut_omron,
    read_figrim,
    read_pascal_s,
    read_toronto,
)
from saliency.datasets.layouts.fixatons import read_fixatons
from saliency.datasets.layouts.folder import read_folder
from saliency.datasets.layouts.mit1003 import read_mit1003
from saliency.datasets.layouts.osie import read_eyecrowd, read_osie
from saliency.datasets.layouts.pysaliency_hdf5 import read_pysaliency
from saliency.datasets.layouts.salicon import read_salicon
from saliency.errors import DatasetError

LAYOUTS: dict[str, Callable[[Path], Dataset]] = {
    "cat2000": read_cat2000,
    "coco-freeview": read_coco_freeview,
    "coco-search18": read_coco_search18,
    "dut-omron": read_dut_omron,
    "eyecrowd": read_eyecrowd,
    "figrim": read_figrim,
    "fixatons": read_fixatons,
    "folder": read_folder,
    "mit1003": read_mit1003,
    "osie": read_osie,
    "pascal-s": read_pascal_s,
    "pysaliency": read_pysaliency,
    "salicon": read_salicon,
    "toronto": read_toronto,
}


def read_dataset(spec: str, *, refuse_faults: bool = True) -> Dataset:
    """Return the data set that `spec` names, `LAYOUT:PATH`, such as `osie:downloads/osie`.

    Args:
        spec: of the data set.
        refuse_faults: whether a set with faults is an error; if not, the set lists them.

    Raises:
        DatasetError: the spec or the layout is unknown, or the files do not follow the layout.
    """
    layout, colon, path = spec.partition(":")
    if not colon or not path or layout not in LAYOUTS:
        raise DatasetError(
            f"expected a data set as LAYOUT:PATH with LAYOUT one of {', '.join(LAYOUTS)}, "
            f"got {spec!r}; see docs/data.md for what each of them holds"
        )
    root = Path(path).expanduser()
    if not root.is_dir():
        raise DatasetError(
            f"{root}: expected the folder of the data set {layout!r}, found none; "
            "check the path after the colon"
        )
    dataset = LAYOUTS[layout](root)
    if dataset.faults and refuse_faults:
        count = len(dataset.faults)
        command = f"saliency data check {shlex.quote(spec)}"
        more = f" (`{command}` lists all {count} faults)" if count > 1 else ""
        raise DatasetError(dataset.faults[0].message + more)
    return dataset
