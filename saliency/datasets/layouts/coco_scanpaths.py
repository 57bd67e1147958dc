"""The layout of COCO-FreeView and COCO-Search18: scanpaths as JSON, photos padded to 1680x1050.

    images/<task>/*.jpg, coco_search18_images_TA/<task>/*.jpg
                    or anywhere below the folder; the same picture may lie under several tasks
    *.json          one or several tables, each a list of scanpaths:
        name        file name of the photo
        subject     number of the observer
        X, Y        pixels from the photo's corner, one list each
        split       train or valid: the published part of the photo
        T           milliseconds; task, condition, …: not used

Every table in the folder is read whose name begins as published (COCOFreeView_fixations…,
coco_search18_fixations…). In Search18 people look for a thing, not freely: all tasks on a photo are
taken together; a photo that is for validation in one of them is so in all.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from saliency.datasets.dataset import Dataset
from saliency.datasets.layouts.collector import Collector, find_images, missing_image, viewings
from saliency.errors import DatasetError, first_line


def read_coco_freeview(root: Path) -> Dataset:
    """Return COCO-FreeView (Chen et al. 2022): 10 observers looking freely.

    Raises:
        DatasetError: a file is missing or damaged.
    """
    return _read_scanpaths(root, name="coco-freeview", tables="cocofreeview_fixations")


def read_coco_search18(root: Path) -> Dataset:
    """Return COCO-Search18 (Chen et al. 2021): 10 observers looking for one of 18 things.

    Raises:
        DatasetError: a file is missing or damaged.
    """
    return _read_scanpaths(root, name="coco-search18", tables="coco_search18_fixations")


def _read_scanpaths(root: Path, *, name: str, tables: str) -> Dataset:
    collector = Collector(name)
    images = find_images([root], collector.faults)
    paths = [path for path in sorted(root.rglob("*.json")) if path.name.lower().startswith(tables)]
    if not paths:
        raise DatasetError(
            f"{root}: expected scanpaths in files named {tables}….json, found none; check the path "
            "after the colon, and that the fixations were downloaded too"
        )
    seen: dict[str, list[tuple[int, Any]]] = {}
    splits: dict[str, set[str]] = {}
    for path in paths:
        for number, scanpath in enumerate(_read_table(path), start=1):
            file_name, subject, points = _parse(scanpath, f"{path}, scanpath {number}")
            seen.setdefault(file_name, []).append((subject, points))
            splits.setdefault(file_name, set()).add(str(scanpath.get("split", "")))
    for file_name, each in sorted(seen.items()):
        if file_name not in images:
            listed_in = ", ".join(path.name for path in paths)
            collector.faults.append(missing_image(root / file_name, listed_in))
            continue
        points, observers = viewings(each)
        collector.add(
            file_name,
            images[file_name],
            points,
            observers,
            first_pixel=0.5,
            published_part=_published_part(splits[file_name]),
        )
    collector.add_unseen(name for name in images if name not in seen)
    return collector.dataset(root=root)


def _published_part(splits: set[str]) -> str | None:
    """Return the part of a photo by the words that its scanpaths state."""
    if splits & {"valid", "val", "validation"}:
        return "validation"
    return "train" if splits == {"train"} else None


def _read_table(path: Path) -> list[Any]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{path}: expected scanpaths as JSON, got a file that cannot be read as such "
            f"({first_line(error)}); download it again"
        ) from error
    if not isinstance(table, list):
        raise DatasetError(
            f"{path}: expected a list of scanpaths, got {type(table).__name__}; download it again"
        )
    return table


def _parse(scanpath: Any, where: str) -> tuple[str, int, Any]:
    """Return the photo's name, the observer and the fixations of a scanpath."""
    try:
        xs, ys = (np.array(scanpath[axis], np.float64).reshape(-1) for axis in ("X", "Y"))
        points = np.stack([xs, ys], axis=1)
        return str(scanpath["name"]), int(scanpath["subject"]), points
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"{where}: expected name, subject and as many X as Y, got something else "
            f"({type(error).__name__}: {first_line(error)}); download the file again"
        ) from error
