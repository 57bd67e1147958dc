"""The best window for a photo under the options, and alternatives to it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from saliency.crop_windows.composition import corner_for, find_subject
from saliency.crop_windows.options import Box, ChoiceOptions
from saliency.crop_windows.search import (
    Wishes,
    best_place,
    least_window,
    nearest_place,
    size_of_side,
)
from saliency.crop_windows.summed_area_table import ShareTable
from saliency.crop_windows.window_score import WindowScore
from saliency.errors import PhotoError
from saliency.geometry import Frame, Size, Window, largest_size

_LEAST_NEW_SHARE = 0.05  # of the density, that a further candidate shows and none before it
_LEAST_OF_FACE = 0.08  # of the density, for a face that the middle window should show
_LEAST_OF_MAIN_FACE = 0.25  # of the density, for a face that no window should leave out
_COARSE_SIDE = 96  # cells on the longer side of the grid on which further candidates are found


@dataclass(frozen=True, eq=False)
class WindowTask:
    """A photo's density, and the wishes that its windows should meet.

    Attributes:
        density: grid over the picture, which is the whole photo for all that follows.
        table: the same, summed up.
        options: how to choose.
        wishes: the boxes of the options, and the faces, on this photo.
    """

    density: NDArray[np.floating]
    table: ShareTable
    options: ChoiceOptions
    wishes: Wishes

    @property
    def photo_size(self) -> Size:
        """Width and height of the photo, in pixels."""
        return self.table.photo_size

    @cached_property
    def score(self) -> WindowScore:
        """The score of windows on the photo."""
        return WindowScore(self.density, self.table)

    def without_faces(self) -> "WindowTask":
        """Return the task without its faces."""
        return replace(
            self, wishes=replace(self.wishes, faces=(), heads=(), shares=(), main=(), shown=())
        )


def read_task(
    density: NDArray[np.floating],
    frame: Frame,
    options: ChoiceOptions,
    *,
    faces: Sequence[tuple[Window, Window]] = (),
) -> WindowTask:
    """Return a density, and the options' boxes in pixels of the photo's picture.

    Args:
        density: what each cell of a grid over the picture holds.
        frame: the photo's size and its picture.
        options: how to choose.
        faces: of people, in pixels of the photo, each with its head, that no window is to cut.

    Raises:
        PhotoError: a box lies outside the photo.
        ValueError: the density or the photo's size is unusable.
    """
    table = ShareTable(density, frame.picture.size)
    keep = [box_on_photo(box, frame.size, "keep") for box in options.keep]
    avoid = [box_on_photo(box, frame.size, "avoid") for box in options.avoid]
    for box in keep:
        if box.common(frame.picture) != box:
            raise PhotoError(
                "a box to keep reaches into the border of the "
                "photo, which is not shown; keep borders (--keep-borders, keep_borders) to show it"
            )
    whole, heads = [pair[0] for pair in faces], [pair[1] for pair in faces]
    kept, avoided, faces_seen, heads_seen = (
        tuple(box.box for box in map(frame.on_picture, boxes) if box is not None)
        for boxes in (keep, avoid, whole, heads)
    )
    wishes = Wishes(kept, avoided, faces_seen, heads_seen)
    shares = tuple(table.share(Window.between(*box)) for box in wishes.faces)
    main, shown = (
        tuple(box for box, held in zip(wishes.faces, shares, strict=True) if held >= least)
        for least in (_LEAST_OF_MAIN_FACE, _LEAST_OF_FACE)
    )
    wishes = replace(wishes, shares=shares, main=main, shown=shown)
    return WindowTask(density, table, options, wishes)


def box_on_photo(box: Box, photo_size: Size, option: str) -> Window:
    """Return a box in whole pixels of a photo.

    Args:
        box: as it was written.
        photo_size: width and height of the photo.
        option: `keep` or `avoid`, for messages.

    Raises:
        PhotoError: it lies outside the photo.
    """
    edges = box.edges(photo_size)
    if edges is None:
        raise PhotoError(
            f"expected the box to {option} to reach into the {photo_size[0]}x{photo_size[1]} "
            f"photo, got {box}; give it in percent, or leave this photo out"
        )
    return Window.between(*edges)


def propose(task: WindowTask, ratio: Fraction) -> Window:
    """Return the best window of a ratio, whether or not it is worth leaving the middle for.

    It is the largest that fits, where its score is best (`window_score`), or the least that keeps
    the share to zoom to with its margin; then it is laid so that the subject is in its place.
    """
    options, table = task.options, task.table
    size = largest_size(task.photo_size, ratio)
    if options.zoom is None:
        window = best_place(table, size, task.wishes, score=task.score)
    else:
        window = least_window(table, ratio, options.zoom, task.wishes)
        side = _roomy_side(max(window.width, window.height), ratio, options)
        size = size_of_side(side, ratio, size)
        window = _grown(window, size, task)
    if options.place is not None:
        subject = find_subject(task.density, window, task.photo_size)
        corner = corner_for(options.place, subject, window)
        window = nearest_place(size, task.photo_size, task.wishes, target=corner)
    return window


def propose_middle(task: WindowTask, size: Size) -> Window:
    """Return the window of a size nearest the middle among those that meet the wishes best."""
    x, y = ((photo - side) // 2 for photo, side in zip(task.photo_size, size, strict=True))
    return nearest_place(size, task.photo_size, task.wishes, target=(x, y))


def propose_more(task: WindowTask, best: Window, count: int) -> list[Window]:
    """Return at most `count` further windows of a window's size.

    Each lies where its score is best on the density that no window before it shows (in whole cells
    of a coarser grid), so none is a near copy of another. There are fewer if less than 5 % of the
    density is left.
    """
    windows = [best]
    if count == 0:
        return []
    left = _coarse(task.density)
    while len(windows) <= count:
        left = _without(left, windows[-1], task.photo_size)
        table = ShareTable(left, task.photo_size) if left.any() else None
        if table is None:
            break
        score = WindowScore(left, table)
        window = best_place(table, (best.width, best.height), task.wishes, score=score)
        if table.share(window) * left.sum() < _LEAST_NEW_SHARE:
            break
        windows.append(window)
    return windows[1:]


def _roomy_side(side: int, ratio: Fraction, options: ChoiceOptions) -> int:
    """Return the longer side of a zoomed window with its margin, and of the least size."""
    wanted = side * (1 + 2 * options.margin)
    if options.min_size is not None:
        width, height = options.min_size
        shape = float(ratio)
        wanted = max(wanted, *((width, height * shape) if ratio >= 1 else (width / shape, height)))
    return math.ceil(wanted)


def _grown(window: Window, size: Size, task: WindowTask) -> Window:
    """Return a window resized around its middle, as far as the photo and the wishes allow."""
    x = window.x + (window.width - size[0]) // 2
    y = window.y + (window.height - size[1]) // 2
    return nearest_place(size, task.photo_size, task.wishes, target=(x, y))


def _coarse(density: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return a density of sum 1 on a grid of at most `_COARSE_SIDE` cells a side."""
    rows, columns = density.shape
    factor = min(1.0, _COARSE_SIDE / max(rows, columns))
    size = max(1, round(columns * factor)), max(1, round(rows * factor))
    values = np.asarray(density, dtype=np.float32)
    cells = cv2.resize(values, size, interpolation=cv2.INTER_AREA).astype(np.float64)
    return np.asarray(cells / cells.sum())


def _without(cells: NDArray[np.float64], window: Window, photo_size: Size) -> NDArray[np.float64]:
    """Return a density with the part inside a window set to zero."""
    rows, columns = cells.shape
    across = _covered(columns, window.x, window.width, photo_size[0])
    down = _covered(rows, window.y, window.height, photo_size[1])
    return np.asarray(cells * (1 - np.outer(down, across)))


def _covered(count: int, start: int, length: int, full: int) -> NDArray[np.float64]:
    """Return the part of each cell that an interval covers, along an axis of `full` pixels."""
    borders = np.arange(count + 1) * (full / count)
    overlap = np.minimum(borders[1:], start + length) - np.maximum(borders[:-1], start)
    return np.asarray(np.clip(overlap * (count / full), 0.0, 1.0))
