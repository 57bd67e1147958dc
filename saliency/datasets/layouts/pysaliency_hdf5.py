"""pysaliency's HDF5 files, in both directions: what it can read is trained on, and the reverse.

    stimuli.hdf5                `FileStimuli`: `filenames` from the folder of the file, `shapes`;
                                or `Stimuli`: the pixels of each image, under its number
    fixations.hdf5              `Fixations`: x, y, n (number of the image), subject (before 2024:
                                subjects);
                                or `ScanpathFixations` (since 2024): in the group scanpaths xs, ys
                                padded with NaN, n, and scanpath_attributes/subject;
                                or `FixationTrains`: train_xs, train_ys padded with NaN, train_ns,
                                train_subjects

and pairs such as stimuli_train.hdf5 and fixations_train.hdf5, which are taken together. There x
is the column of the pixel, perhaps with a fraction: rounded down it names the same pixel as here.
Images that are kept as pixels are written as PNG into the cache folder (`saliency.files`).
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from saliency.datasets.dataset import Dataset
from saliency.datasets.layouts.collector import Collector
from saliency.errors import DatasetError, SaliencyError, first_line
from saliency.files import cache_folder, write_whole
from saliency.fixations.scene import Scene

Table = tuple[
    Float64[ndarray, "fixations 2"], Int64[ndarray, " fixations"], Int64[ndarray, " fixations"]
]


def read_pysaliency(root: Path) -> Dataset:
    """Return the images and fixations that pysaliency stored in a folder, named like the folder.

    Raises:
        DatasetError: a file is missing, damaged, of another kind, or names a file that is no image.
    """
    collector = Collector(root.resolve().name)
    pairs = sorted(root.glob("stimuli*.hdf5"))
    for stimuli in pairs:
        fixations = stimuli.with_name(stimuli.name.replace("stimuli", "fixations", 1))
        if not fixations.is_file():
            continue  # images for testing, whose fixations are kept secret
        try:
            with h5py.File(stimuli, "r") as file:
                images, sizes = _images(file, stimuli), _stated_sizes(file)
            with h5py.File(fixations, "r") as file:
                points, numbers, observers = _fixations(file, fixations)
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise DatasetError(
                f"{stimuli}: expected it and {fixations.name} as pysaliency writes them, got files "
                f"that cannot be read as such ({first_line(error)}); write them again"
            ) from error
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(images):
            raise DatasetError(
                f"{fixations}: expected numbers of the {len(images)} images of {stimuli.name}, got "
                f"{numbers.min()} to {numbers.max()}; take files that belong together"
            )
        for number, (name, path) in enumerate(images):
            own = numbers == number
            collector.add(
                name,
                path,
                points[own],
                observers[own],
                first_pixel=0.5,
                stated_size=sizes.get(number),
            )
    if not pairs:
        raise DatasetError(
            f"{root}: expected stimuli.hdf5 and fixations.hdf5, found none; write them with "
            "pysaliency's to_hdf5, both into this folder"
        )
    return collector.dataset(root=root)


def write_pysaliency(scenes: Sequence[Scene], folder: Path) -> tuple[Path, Path]:
    """Write scenes as stimuli.hdf5 and fixations.hdf5, which pysaliency reads; return both.

    Images stay where they are: the first file names them from its folder.

    Raises:
        SaliencyError: a file cannot be written.
    """
    stimuli, fixations = folder / "stimuli.hdf5", folder / "fixations.hdf5"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with h5py.File(stimuli, "w") as file:
            names = [os.path.relpath(scene.path, folder) for scene in scenes]
            file["filenames"] = np.array(names, dtype=h5py.string_dtype())
            shapes = file.create_dataset("shapes", (len(scenes),), h5py.vlen_dtype(np.int64))
            for number, scene in enumerate(scenes):
                shapes[number] = np.array([scene.height, scene.width, 3])
            file.attrs["size"] = len(scenes)
            _describe(file, "FileStimuli", "2.1", [])
        with h5py.File(fixations, "w") as file:
            _write_fixations(file, scenes)
    except OSError as error:
        raise SaliencyError(f"{folder}: cannot be written to ({first_line(error)})") from error
    return stimuli, fixations


def _write_fixations(file: Any, scenes: Sequence[Scene]) -> None:
    counts = [len(scene.fixations) for scene in scenes]
    points = np.concatenate([scene.fixations for scene in scenes])
    file["x"], file["y"] = points.T
    file["n"] = np.repeat(np.arange(len(scenes)), counts)
    file["t"] = np.concatenate([np.arange(count, dtype=np.float64) for count in counts])
    for axis in ("x_hist", "y_hist", "t_hist"):  # what came before is not known: one column, empty
        file[axis] = np.full((len(points), 1), np.nan)
    file["subjects"] = np.concatenate([scene.observers for scene in scenes])
    _describe(file, "Fixations", "1.0", ["subjects"])


def _describe(file: Any, kind: str, version: str, attributes: list[str]) -> None:
    file.attrs["type"] = np.bytes_(kind)
    file.attrs["version"] = np.bytes_(version)
    file.attrs["__attributes__"] = np.bytes_(json.dumps(attributes))


def _kind(file: Any) -> str:
    return _text(file.attrs["type"])


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _images(file: Any, path: Path) -> list[tuple[str, Path]]:
    """Return the name and the file of each image."""
    if _kind(file) == "FileStimuli":
        names = [_text(name) for name in file["filenames"][...]]
        paths = [path.parent / name for name in names]
        for image in paths:
            if not image.is_file():
                raise DatasetError(
                    f"{image}: expected this image, listed in {path}, found no such file; move it "
                    "there, or write the file again beside the images"
                )
        return list(zip(names, paths, strict=True))
    if _kind(file) == "Stimuli":
        count = int(file.attrs["size"])
        return [
            (f"{path.stem}-{number}", _as_png(file[str(number)][...])) for number in range(count)
        ]
    raise DatasetError(
        f"{path}: expected FileStimuli or Stimuli, got {_kind(file)}; write images with to_hdf5"
    )


def _as_png(pixels: ndarray) -> Path:
    """Return the file of pixels in the cache folder, written if it is not there."""
    colours = np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels[..., :3]
    bgr = np.ascontiguousarray(colours[..., ::-1].astype(np.uint8))
    digest = hashlib.sha256(repr(bgr.shape).encode() + bgr.tobytes()).hexdigest()
    path = cache_folder() / "pysaliency" / f"{digest}.png"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(cv2.imencode(".png", bgr)[1].tobytes(), path, overwrite=True)
    return path


def _fixations(file: Any, path: Path) -> Table:
    """Return (x, y), the number of the image and the observer of each fixation."""
    kind = _kind(file)
    if kind == "FixationTrains":
        return _unpadded(*(file[f"train_{key}"][...] for key in ("xs", "ys", "ns", "subjects")))
    if kind == "ScanpathFixations":
        group = file["scanpaths"]
        names = ("xs", "ys", "n", "scanpath_attributes/subject")
        return _unpadded(*(group[name][...] for name in names))
    if kind != "Fixations":
        raise DatasetError(
            f"{path}: expected Fixations, FixationTrains or ScanpathFixations, got {kind}; write "
            "fixations with to_hdf5"
        )
    observers = file["subject" if "subject" in file else "subjects"][...]
    points = np.stack([file["x"][...], file["y"][...]], axis=1).astype(np.float64)
    return points, file["n"][...].astype(np.int64), _observer_numbers(observers)


def _unpadded(xs: ndarray, ys: ndarray, images: ndarray, observers: ndarray) -> Table:
    """Return scanpaths, padded with NaN to one length, as fixations."""
    is_there = ~np.isnan(xs)
    paths = np.broadcast_to(np.arange(len(xs))[:, None], xs.shape)[is_there]
    points = np.stack([xs[is_there], ys[is_there]], axis=1).astype(np.float64)
    return points, images[paths].astype(np.int64), _observer_numbers(observers)[paths]


def _observer_numbers(observers: ndarray) -> Int64[ndarray, " fixations"]:
    """Return a number for each observer, who may be named by text."""
    if observers.dtype.kind in "iuf":
        return observers.astype(np.int64)
    return np.unique(observers, return_inverse=True)[1].astype(np.int64)


def _stated_sizes(file: Any) -> dict[int, tuple[int, int]]:
    """Return the width and height of each image where the file states them."""
    if "shapes" not in file:
        return {}
    shapes = [np.asarray(shape).ravel() for shape in file["shapes"]]
    return {
        number: (int(shape[1]), int(shape[0]))
        for number, shape in enumerate(shapes)
        if len(shape) >= 2
    }
