"""The layout in which the training part of CAT2000 is published.

    trainSet/Stimuli/<Category>/*.jpg
    trainSet/FIXATIONLOCS/<Category>/*.mat  `fixLocs`: a matrix of the image's size, not zero where
                                            somebody fixated; who it was is not in it

All images were padded with grey to 1920x1080. No photo looks like that, so the picture inside
is cut out, and fixations on the border are left out and counted. No page of the set states which
grey, so it is that of the corner, where that is a middle grey; a line of pixels is border where all
its values are within 10 of it. Cut-out pictures are kept as PNG in the cache folder
(`saliency.files`), by the SHA-256 of the published file; it is safe to delete.
"""

import json
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, UInt8
from numpy import ndarray

from saliency.datasets.dataset import Dataset
from saliency.datasets.images import list_images
from saliency.datasets.layouts.collector import (
    Collector,
    check_unpacked,
    first_folder,
    marked_pixels,
)
from saliency.datasets.layouts.matlab import variable
from saliency.errors import DatasetError
from saliency.files import cache_folder, content_hash, write_whole
from saliency.photo.reading import read_photo

GREYS = (96, 160)
"""Least and greatest value of a corner that may be border."""

GREY_TOLERANCE = 10

Box = tuple[int, int, int, int]


def read_cat2000(root: Path) -> Dataset:
    """Return the training part of CAT2000 (Borji, Itti 2015), without its grey borders.

    Raises:
        DatasetError: a file is missing or damaged, or a matrix is not of its image's size.
        SaliencyError: a cut-out picture cannot be written.
    """
    folder = first_folder(root, "trainSet", ".")
    stimuli, locations = folder / "Stimuli", folder / "FIXATIONLOCS"
    collector = Collector("cat2000")
    # The archive holds maps among the images.
    names = [name for name in list_images(stimuli) if "output" not in name.lower()]
    check_unpacked(((locations / name).with_suffix(".mat") for name in names), root=root)
    mats = sorted(mat.relative_to(locations) for mat in locations.rglob("*.mat"))
    check_unpacked((stimuli / mat.with_suffix(".jpg") for mat in mats), root=root)
    for name in names:
        mat = (locations / name).with_suffix(".mat")
        marks = np.asarray(variable(mat, "fixLocs")) != 0
        path, (left, top, *_), size = _inner_picture(stimuli / name)
        if marks.shape != size[::-1]:
            raise DatasetError(
                f"{mat}: expected a matrix of {size[0]}x{size[1]} like {stimuli / name}, got "
                f"{'x'.join(map(str, marks.shape[::-1]))}; take both from the same archive"
            )
        points = marked_pixels(marks) - (left, top)
        observers = np.zeros(len(points), np.int64)
        collector.add(name, path, points, observers, first_pixel=0.0)
    return collector.dataset(root=root)


def _inner_picture(path: Path) -> tuple[Path, Box, tuple[int, int]]:
    """Return the file of the picture inside, its box, and the (width, height) with the border."""
    digest = content_hash(path)
    inner = cache_folder() / "cat2000" / f"{digest}.png"
    record = inner.with_suffix(".json")
    try:
        stored = json.loads(record.read_text(encoding="utf-8"))
        box, size = tuple(stored["box"]), tuple(stored["size"])
        if inner.is_file() or box == (0, 0, *size):
            return (inner if inner.is_file() else path), box, size
    except (OSError, ValueError, KeyError, TypeError):
        pass  # missing or damaged: it is made again
    photo = read_photo(path)
    left, top, right, bottom = box = inner_box(photo)
    size = (photo.shape[1], photo.shape[0])
    inner.parent.mkdir(parents=True, exist_ok=True)
    if box != (0, 0, *size):
        cut = np.ascontiguousarray(photo[top:bottom, left:right, ::-1])
        _, png = cv2.imencode(".png", cut, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        write_whole(png.tobytes(), inner, overwrite=True)
    text = json.dumps({"box": box, "size": size})
    write_whole(text.encode(), record, overwrite=True)
    return (path if box == (0, 0, *size) else inner), box, size


def inner_box(photo: UInt8[ndarray, "height width 3"]) -> Box:
    """Return (left, top, right, bottom) inside the grey border, or of the whole image."""
    corner = photo[0, 0].astype(np.int16)
    is_grey = corner.max() - corner.min() <= GREY_TOLERANCE
    if not is_grey or not GREYS[0] <= corner.mean() <= GREYS[1]:
        return 0, 0, photo.shape[1], photo.shape[0]
    distance = np.abs(photo - corner).max(axis=2)
    top, bottom = _inside(distance.max(axis=1) <= GREY_TOLERANCE)
    left, right = _inside(distance.max(axis=0) <= GREY_TOLERANCE)
    return left, top, right, bottom


def _inside(is_border: Bool[ndarray, " lines"]) -> tuple[int, int]:
    inside = np.flatnonzero(~is_border)
    return (int(inside[0]), int(inside[-1]) + 1) if len(inside) else (0, len(is_border))
