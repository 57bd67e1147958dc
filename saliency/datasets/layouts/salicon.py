"""The layout in which SALICON is published: COCO photos, fixations by mouse, maps.

    images/{train,val,test}/*.jpg
    fixations/{train,val}/*.mat     or all of them in fixations/, one for each photo:
        image                       name of the photo, without its ending
        resolution                  [height width]
        gaze                        one struct per observer:
            location, timestamp     path of the mouse, not used here
            fixations               (x, y) in pixels; the middle of the first pixel is 1
    fixations_train2014.json, fixations_val2014.json
                                    the older form, in place of the .mat files; in COCO's words:
        images                      id, file_name, width, height
        annotations                 image_id, worker_id, fixations: (row, column) counted from 1

    maps/{train,val}/*.png          densities, used for photos without a file of fixations

The photos for testing have no published fixations, and count as unseen. The published parts are
those of their folders, or of their names where all lie in one.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from saliency.datasets.dataset import Dataset
from saliency.datasets.layouts.collector import Collector, find_images, missing_image, viewings
from saliency.datasets.layouts.matlab import field, items, read_matlab, rows
from saliency.errors import DatasetError, first_line


def read_salicon(root: Path) -> Dataset:
    """Return SALICON (Jiang et al. 2015): 640x480 photos of COCO, about 60 observers each.

    An observer's number is the place in the photo's list, as no names are published in the .mat
    files; so the same number is the same person only within one photo.

    Raises:
        DatasetError: a file is missing or damaged.
    """
    collector = Collector("salicon")
    images = find_images([root / "images"], collector.faults)
    tables = sorted((*root.glob("fixations_*2014.json"), *root.glob("fixations/*2014.json")))
    mats = {path.stem: path for path in sorted((root / "fixations").rglob("*.mat"))}
    if not tables and not mats and not (root / "maps").is_dir():
        raise DatasetError(
            f"{root / 'fixations'}: expected SALICON's .mat files, or fixations_train2014.json "
            f"in {root}, found neither; unpack the archive of fixations"
        )
    unlisted = set(images)
    if mats:
        for stem, mat in mats.items():
            name = f"{stem}.jpg"
            if name not in images:
                collector.faults.append(missing_image(root / "images" / name, mat))
                continue
            unlisted.discard(name)
            contents = read_matlab(mat)
            gaze = items(field(contents, "gaze", mat))
            each = [rows(field(one, "fixations", mat), 2, f"{mat}, gaze") for one in gaze]
            _add(collector, images[name], list(enumerate(each)), _resolution(contents, mat))
    else:
        for table in tables:
            unlisted -= _add_table(collector, table, images)
    maps = {path.stem: path for path in sorted((root / "maps").rglob("*.png"))}
    for name in sorted(unlisted):
        if Path(name).stem in maps:
            density = maps[Path(name).stem]
            collector.add_mapped(name, images[name], density, _published_part(images[name]))
        else:
            collector.add_unseen([name])
    return collector.dataset(root=root)


def _resolution(contents: Any, mat: Path) -> tuple[int, int] | None:
    """Return the width and height that a .mat file states, None where it states none."""
    if "resolution" not in contents:
        return None
    sizes = rows(contents["resolution"], 2, mat)
    return (int(sizes[0, 1]), int(sizes[0, 0])) if len(sizes) else None


def _add(
    collector: Collector,
    image: Path,
    each: list[tuple[int, Any]],
    stated_size: tuple[int, int] | None,
) -> None:
    """Add a photo with the fixations of each observer."""
    points, observers = viewings(each)
    collector.add(
        image.name,
        image,
        points,
        observers,
        first_pixel=1.0,
        stated_size=stated_size,
        published_part=_published_part(image),
    )


def _published_part(image: Path) -> str | None:
    """Return the part of a photo by its folder, or by its name, COCO_train2014_….jpg."""
    for place in (image.parent.name, image.name):
        if "train" in place:
            return "train"
        if "val" in place:
            return "validation"
    return None


def _add_table(collector: Collector, table: Path, images: dict[str, Path]) -> set[str]:
    """Add the photos of a table of the older form; return their file names."""
    try:
        contents = json.loads(table.read_text(encoding="utf-8"))
        name_of = {image["id"]: str(image["file_name"]) for image in contents["images"]}
        size_of = {
            str(image["file_name"]): (int(image["width"]), int(image["height"]))
            for image in contents["images"]
            if {"width", "height"} <= set(image)
        }
        seen: dict[str, list[tuple[int, Any]]] = {name: [] for name in name_of.values()}
        number_of: dict[Any, int] = {}
        for annotation in contents["annotations"]:
            points = np.array(annotation["fixations"], np.float64).reshape(-1, 2)[:, ::-1]
            worker = number_of.setdefault(annotation["worker_id"], len(number_of))
            seen[name_of[annotation["image_id"]]].append((worker, points))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{table}: expected SALICON's images and annotations as JSON, got a file that cannot "
            f"be read as such ({type(error).__name__}: {first_line(error)}); download it again"
        ) from error
    for name, each in seen.items():
        if name not in images:
            collector.faults.append(missing_image(table.parent / name, table))
            continue
        _add(collector, images[name], each, size_of.get(name))
    return set(seen)
