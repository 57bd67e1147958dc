"""Collect a data set image by image."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray

from saliency.datasets.dataset import MOST_OUTSIDE, Dataset, Fault, MappedPhoto
from saliency.datasets.images import list_images, shown_as_stored, stored_size, upright_size
from saliency.errors import DatasetError
from saliency.fixations.scene import FAR_SHARE, Scene, bring_inside

_ENOUGH_FIXATIONS = 24  # from which on chance does not bring all of them into the first pixel


class Collector:
    """The scenes of one data set, counts of what was left out, and faults.

    People look off the screen, and published sets contain blinks and NaN too. These fixations are
    left out and counted, as the sets' authors do; `Dataset.describe` reports how many. In
    sets that should have none, such as one's own, it is a fault if they are many, or NaN.
    Coordinates that are fractions of the image are a fault in every set.

    Attributes:
        faults: found so far; readers add theirs, and continue without the faulty parts.
    """

    def __init__(self, name: str, *, degree_px: float | None = None) -> None:
        """Begin without images; `degree_px` applies to all of them, None if it is not stated."""
        self.name, self.degree_px = name, degree_px
        self.faults: list[Fault] = []
        self._scenes: dict[str, Scene] = {}
        self._unseen: list[str] = []
        self._mapped: list[MappedPhoto] = []
        self._names: set[str] = set()
        self._clipped_count = self._excluded_count = self._fixation_count = 0
        self._outside: list[Fault] = []
        self._are_fractions = True

    def add(
        self,
        file_name: str,
        path: Path,
        points: Float64[ndarray, "fixations xy=2"],
        observers: Int64[ndarray, " fixations"],
        *,
        first_pixel: float,
        place: Callable[[int], str] | None = None,
        stated_size: tuple[int, int] | None = None,
        published_part: str | None = None,
    ) -> None:
        """Add an image; it counts as unseen if it has no fixation inside.

        An image that occurs twice or cannot be read is a fault.

        Args:
            file_name: of the image in the data set, unique.
            path: of the image on disk.
            points: (x, y) as published.
            observers: who made each.
            first_pixel: the published coordinate of the middle of the first pixel: 1.0 where
                MATLAB counted, 0.0 where whole pixels are counted from 0, 0.5 where fractions
                are measured from the corner.
            place: returns where in the files the fixation of an index is, in sets that should
                have none outside: one just outside moves to the border, and many others are faults.
            stated_size: width and height by the data set. Where they are those of the pixels as
                they are stored, the image was shown so, and its EXIF orientation is ignored.
            published_part: `train` or `validation`, None where the set's authors do not split it.
        """
        if file_name in self._names:
            message = (
                f"{self.name}: expected each image once, got {file_name} a second time; "
                "remove one of the two"
            )
            self.faults.append(Fault("images that come a second time", message))
            return
        self._names.add(file_name)
        try:
            width, height = upright_size(path)
            if stated_size not in (None, (width, height)) and stated_size == stored_size(path):
                path = shown_as_stored(path)
                width, height = stated_size
        except DatasetError as error:
            self.faults.append(Fault("images that cannot be read", str(error)))
            return
        inside, moved, far = bring_inside(
            points, width=width, height=height, first_pixel=first_pixel
        )
        self._fixation_count += len(points)
        finite = points[np.isfinite(points).all(axis=1)]
        may_be_fractions = bool(((finite >= 0) & (finite <= 1)).all())
        self._are_fractions &= may_be_fractions and min(width, height) > 2
        unused = far if place else np.concatenate([moved, far])
        if place:
            self._clipped_count += len(moved)
            for index in far.tolist():
                fault = _outside(place(index), *points[index], width=width, height=height)
                is_number = np.isfinite(points[index]).all()
                (self._outside if is_number else self.faults).append(fault)
        else:
            self._excluded_count += len(unused)
        kept, numbers = np.delete(inside, unused, axis=0), np.delete(observers, unused)
        if len(kept) == 0:
            self._unseen.append(file_name)
            return
        name = f"{self.name}/{file_name}"
        self._scenes[file_name] = Scene(
            name, path, width, height, kept, numbers, self.degree_px, published_part
        )

    def add_unseen(self, file_names: Iterable[str]) -> None:
        """Add images of which no fixations are published, in their order."""
        self._unseen += list(file_names)

    def add_mapped(
        self, file_name: str, path: Path, density: Path, published_part: str | None = None
    ) -> None:
        """Add an image of which a density is published, but no fixations."""
        name = f"{self.name}/{file_name}"
        self._mapped.append(MappedPhoto(name, path, density, published_part))

    def dataset(self, *, root: Path) -> Dataset:
        """Return what was collected from the folder `root`.

        Raises:
            DatasetError: no image has a fixation or a map, and nothing is at fault.
        """
        if self._are_fractions and self._fixation_count >= _ENOUGH_FIXATIONS:
            message = (
                f"{root}: expected fixations in pixels, got {self._fixation_count} between 0 and "
                "1, which are fractions; multiply them by the width and height of their images"
            )
            self.faults.append(Fault("sets of fractions in place of pixels", message))
        if len(self._outside) > MOST_OUTSIDE * self._fixation_count:
            self.faults += self._outside
        else:
            self._excluded_count += len(self._outside)
        if not self._scenes and not self._mapped and not self.faults:
            raise DatasetError(
                f"{root}: expected images with fixations of {self.name}, found none "
                f"({len(self._unseen)} images without); check the path after the colon, and that "
                "the whole archive was unpacked"
            )
        return Dataset(
            self.name,
            tuple(self._scenes.values()),
            self._clipped_count,
            unseen=tuple(self._unseen),
            excluded_count=self._excluded_count,
            mapped=tuple(self._mapped),
            faults=tuple(self.faults),
        )


def _outside(place: str, x: float, y: float, *, width: int, height: int) -> Fault:
    """Return the fault of a fixation that is far outside its image, or not a number."""
    if not np.isfinite([x, y]).all():
        message = f"{place}: expected numbers, got ({x:g}, {y:g}); correct or remove the fixation"
        return Fault("fixations that are no numbers", message)
    return Fault(
        "fixations far outside their images",
        f"{place}: expected a fixation in the {width}x{height} image or at most "
        f"{FAR_SHARE:.0%} of its longer side outside, got ({x:g}, {y:g}); correct or remove it, "
        "and check that coordinates are pixels of this image file",
    )


def viewings(
    points_of_observer: Sequence[tuple[int, Float64[ndarray, "_ 2"]]],
) -> tuple[Float64[ndarray, "fixations xy=2"], Int64[ndarray, " fixations"]]:
    """Return the fixations of (observer, fixations) pairs in one array, and who made each."""
    points = [np.empty((0, 2)), *(points for _, points in points_of_observer)]
    observers = [np.full(len(points), number) for number, points in points_of_observer]
    return np.concatenate(points), np.concatenate([np.empty(0, np.int64), *observers])


def marked_pixels(marks: Bool[ndarray, "height width"]) -> Float64[ndarray, "fixations xy=2"]:
    """Return the (x, y) of the pixels that a map of fixations marks, counted from 0."""
    marked_rows, marked_columns = np.nonzero(marks)
    return np.stack([marked_columns, marked_rows], axis=1).astype(np.float64)


def find_images(folders: Sequence[Path], faults: list[Fault]) -> dict[str, Path]:
    """Return the images anywhere below folders by their bare file names, sorted.

    The same picture may lie in several folders (one for each task, say); the first is taken.

    Args:
        folders: where to look.
        faults: gets one for each picture that is called like a different one.

    Raises:
        DatasetError: a folder does not exist.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        for relative in list_images(folder):
            path = folder / relative
            other = found.setdefault(path.name, path)
            if other != path and _digest(other) != _digest(path):
                message = (
                    f"{path}: expected one picture of this name, got another one in {other}; "
                    "rename or remove one of the two"
                )
                faults.append(Fault("different images of one name", message))
    return dict(sorted(found.items()))


def first_folder(root: Path, *choices: str) -> Path:
    """Return the first of the folders below `root` that exists.

    Raises:
        DatasetError: none of them exists.
    """
    for choice in choices:
        if (root / choice).is_dir():
            return root / choice
    raise DatasetError(
        f"{root / choices[0]}: expected this folder of the data set, found none; check the path "
        "after the colon, and that the whole archive was unpacked"
    )


def check_unpacked(paths: Iterable[Path], *, root: Path) -> None:
    """Refuse an archive that was unpacked incompletely.

    Args:
        paths: files that are to be there: of each image that with its fixations, and the reverse.
        root: folder of the data set.

    Raises:
        DatasetError: some are not; they are counted, and the first is named.
    """
    paths = list(paths)
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise DatasetError(
            f"{root}: expected {len(paths)} files that go with those here, {len(missing)} of them "
            f"are missing, the first {missing[0]}; unpack the whole archive"
        )


def missing_image(path: Path, listed_in: object) -> Fault:
    """Return the fault of an image that a file lists and that does not exist."""
    return Fault(
        "listed images that are not there",
        f"{path}: expected this image, listed in {listed_in}, found no such file; "
        "unpack the whole archive",
    )


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
