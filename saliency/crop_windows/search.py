"""Find windows that meet wishes: boxes to keep and to avoid, a place, a share to keep.

Wishes come before density, in this order: as many whole boxes to keep as possible, as much of them
as possible, as little of the boxes to avoid as possible, as few cut faces as possible, the least
density in cut faces, as many whole main faces as possible. Among the windows that are equal in
these, the one with most density is taken, or the nearest to a place. (A head that is shown with its
hair is worth 5 % of the density.) All of these change, between the same few positions as the
density does, only where an edge of the window meets an edge of a box.

A window that fills the photo on one axis is found exactly. Where both axes are free and the
positions to try are too many, they are thinned out first, and every one is tried around the best
of those: the window found may then miss a better one that is narrower than the thinned grid.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from saliency.crop_windows.best_windows import check_fits, largest
from saliency.crop_windows.summed_area_table import Positions, ShareTable, sorted_once
from saliency.crop_windows.window_score import WindowScore
from saliency.geometry import Size, Window, largest_size

Edges = tuple[int, int, int, int]
"""Left, top, right, bottom of a box in whole pixels; the last two lie outside it."""

_MOST_POSITIONS = 160  # on either axis, where both are free
_SIZING_POSITIONS = 16  # the same, while the size is searched for
_TIE = 1e-9
_CUT_HEAD_COST = 0.05  # share of the density that a head with its hair whole is worth


@dataclass(frozen=True)
class Wishes:
    """The boxes that windows on one photo should keep and avoid, and faces not to be cut.

    A head is a face with hair and a margin: to show it whole is worth a little density. `shares`
    are those of the density in each face; `main` are the faces with large shares, which no window
    should leave out, and `shown` those that one placed without density, such as the middle one,
    should show too.
    """

    keep: tuple[Edges, ...] = ()
    avoid: tuple[Edges, ...] = ()
    faces: tuple[Edges, ...] = ()
    heads: tuple[Edges, ...] = ()
    shares: tuple[float, ...] = ()
    main: tuple[Edges, ...] = ()
    shown: tuple[Edges, ...] = ()

    def are_met(self, window: Window) -> bool:
        """Return whether a window holds all boxes to keep whole."""
        right, bottom = window.x + window.width, window.y + window.height
        return all(
            window.x <= box[0] and window.y <= box[1] and box[2] <= right and box[3] <= bottom
            for box in self.keep
        )


NO_WISHES = Wishes()


def best_place(
    table: ShareTable,
    window_size: Size,
    wishes: Wishes = NO_WISHES,
    *,
    score: WindowScore | None = None,
) -> Window:
    """Return the window of a size that meets the wishes best, and then holds the most density.

    Args:
        table: the density, summed up.
        window_size: width and height of the window.
        wishes: boxes to keep and to avoid, and faces.
        score: if given, the window of the best score is returned, not of most density; as the score
            is curved between the positions tried, a better one may lie up to a cell away.

    Raises:
        ValueError: the window does not fit into the photo.
    """
    check_fits(window_size, table.photo_size)
    xs, ys = table.positions(window_size)
    crossings = _crossings(window_size, table.photo_size, wishes)
    xs, ys = (_merged(all_, own) for all_, own in zip((xs, ys), crossings, strict=True))
    if min(len(xs), len(ys)) > 1 and max(len(xs), len(ys)) > _MOST_POSITIONS:
        few = [
            _thinned(every, own, _MOST_POSITIONS)
            for every, own in zip((xs, ys), crossings, strict=True)
        ]
        near = _pick(table, window_size, wishes, few[0], few[1], score=score)
        xs, ys = _around(xs, few[0], near.x), _around(ys, few[1], near.y)
    return _pick(table, window_size, wishes, xs, ys, score=score)


def nearest_place(
    window_size: Size, photo_size: Size, wishes: Wishes, *, target: tuple[int, int]
) -> Window:
    """Return the window of a size that meets the wishes best, and is then nearest to a place.

    Args:
        window_size: width and height of the window.
        photo_size: width and height of the photo.
        wishes: boxes to keep and to avoid.
        target: (x, y) wanted for its top left corner, or the nearest corner that the photo has
            room for.

    Raises:
        ValueError: the window does not fit into the photo.
    """
    check_fits(window_size, photo_size)
    wanted = [
        min(max(place, 0), photo - side)
        for place, side, photo in zip(target, window_size, photo_size, strict=True)
    ]
    if wishes == NO_WISHES:
        return Window(wanted[0], wanted[1], *window_size)
    xs, ys = (
        _merged(own, np.array([place]))
        for own, place in zip(_crossings(window_size, photo_size, wishes), wanted, strict=True)
    )
    far = (ys[:, np.newaxis] - wanted[1]) ** 2 + (xs - wanted[0]) ** 2
    layers = _wish_layers(xs, ys, window_size, wishes)
    if wishes.shown:
        layers.append(_whole_count(xs, ys, window_size, wishes.shown))
    if wishes.heads:
        layers.append(-_cut_count(xs, ys, window_size, wishes.heads))
    values = _within(layers, -far.astype(np.float64))
    return largest(values, xs, ys, window_size=window_size, photo_size=photo_size)


def least_window(table: ShareTable, ratio: Fraction, share: float, wishes: Wishes) -> Window:
    """Return the least window of a ratio that keeps a share of the density.

    It also holds the boxes to keep, unless not even the largest window does. The larger a window
    the more it can keep, so its size is found by halving, to 1/256 of the largest, with positions
    on a grid that is refined once: a window that is a little smaller may exist. Where none keeps
    the share, it is the largest.
    """
    most = largest_size(table.photo_size, ratio)
    least, enough, found = 0, max(most), None
    while enough - least > max(1, max(most) // 256):
        middle = (least + enough) // 2
        for window in _good_places(table, size_of_side(middle, ratio, most), wishes):
            if table.share(window) >= share and wishes.are_met(window):
                enough, found = middle, window
                break
        else:
            least = middle
    refined = best_place(table, size_of_side(enough, ratio, most), wishes)
    return refined if found is None or table.share(refined) >= share else found


def size_of_side(side: int, ratio: Fraction, most: Size) -> Size:
    """Return the size of the window of a ratio whose longer side is given, no larger than `most`.

    Rounded to the nearest pixel, at least one pixel on each side.
    """
    if side >= max(most):
        return most
    if ratio >= 1:
        return side, min(most[1], max(1, round(side / ratio)))
    return min(most[0], max(1, round(side * ratio))), side


def _good_places(table: ShareTable, window_size: Size, wishes: Wishes) -> Iterator[Window]:
    """Yield the best window of a size on a grid, then that on a finer one around it."""
    crossings = _crossings(window_size, table.photo_size, wishes)
    xs, ys = (_spread(own, own) for own in crossings)
    near = _pick(table, window_size, wishes, xs, ys)
    yield near
    xs, ys = (
        _spread(_around(few, few, place), own)
        for few, place, own in zip((xs, ys), (near.x, near.y), crossings, strict=True)
    )
    yield _pick(table, window_size, wishes, xs, ys)


def _spread(ends: Positions, own: Positions) -> Positions:
    """Return positions from the first to the last, evenly, and some that must not be missing."""
    first, last, most = ends[0], ends[-1], _SIZING_POSITIONS - 1
    return _merged(first + np.arange(most + 1) * (last - first) // most, own)


def _pick(
    table: ShareTable,
    window_size: Size,
    wishes: Wishes,
    xs: Positions,
    ys: Positions,
    *,
    score: WindowScore | None = None,
) -> Window:
    """Return the best of the windows at these positions."""
    shares = (table.shares if score is None else score.scores)(xs, ys, window_size)
    if wishes.heads:
        shares = shares - _CUT_HEAD_COST * _cut_count(xs, ys, window_size, wishes.heads)
    values = _within(_wish_layers(xs, ys, window_size, wishes), shares)
    return largest(values, xs, ys, window_size=window_size, photo_size=table.photo_size)


def _within(
    layers: Sequence[NDArray[np.float64]], last: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the last values where every layer in turn is largest, −∞ elsewhere."""
    allowed = np.ones(last.shape, dtype=np.bool_)
    for layer in layers:
        allowed &= layer >= layer[allowed].max() - _TIE
    return np.where(allowed, last, -np.inf)


def _wish_layers(
    xs: Positions, ys: Positions, window_size: Size, wishes: Wishes
) -> list[NDArray[np.float64]]:
    """Return how well the windows at all positions meet each wish, of shape (ys, xs)."""
    kept = [_parts_held(xs, ys, window_size, box) for box in wishes.keep]
    held = [_parts_held(xs, ys, window_size, box) for box in wishes.avoid]
    layers = []
    if kept:
        layers += [np.sum(np.equal(kept, 1), axis=0, dtype=np.float64), np.sum(kept, axis=0)]
    if held:
        layers.append(-np.sum(held, axis=0))
    if wishes.faces:
        cut = _are_cut(xs, ys, window_size, wishes.faces)
        layers.append(-np.sum(cut, axis=0, dtype=np.float64))
        layers.append(-np.tensordot(np.array(wishes.shares), cut, axes=1))
    if wishes.main:
        layers.append(_whole_count(xs, ys, window_size, wishes.main))
    return layers


def _whole_count(
    xs: Positions, ys: Positions, window_size: Size, boxes: Sequence[Edges]
) -> NDArray[np.float64]:
    """Return how many boxes the windows at all positions show whole, of shape (ys, xs)."""
    held = [_parts_held(xs, ys, window_size, box) for box in boxes]
    return np.asarray(np.sum(np.equal(held, 1), axis=0, dtype=np.float64))


def _cut_count(
    xs: Positions, ys: Positions, window_size: Size, boxes: Sequence[Edges]
) -> NDArray[np.float64]:
    """Return how many boxes the windows at all positions show a part of, of shape (ys, xs)."""
    cut = _are_cut(xs, ys, window_size, boxes)
    return np.asarray(np.sum(cut, axis=0, dtype=np.float64))


def _are_cut(
    xs: Positions, ys: Positions, window_size: Size, boxes: Sequence[Edges]
) -> NDArray[np.bool_]:
    """Return whether the windows at all positions show a part of each box, (boxes, ys, xs)."""
    held = np.stack([_parts_held(xs, ys, window_size, box) for box in boxes])
    return np.asarray((held > 0) & (held < 1))


def _parts_held(xs: Positions, ys: Positions, window_size: Size, box: Edges) -> NDArray[np.float64]:
    """Return the part of a box that the window at each position holds, 0 to 1."""
    left, top, right, bottom = box
    across = np.minimum(xs + window_size[0], right) - np.maximum(xs, left)
    down = np.minimum(ys + window_size[1], bottom) - np.maximum(ys, top)
    held = np.outer(np.maximum(down, 0), np.maximum(across, 0))
    return np.asarray(held / ((right - left) * (bottom - top)))


def _crossings(window_size: Size, photo_size: Size, wishes: Wishes) -> tuple[Positions, Positions]:
    """Return the xs and ys at which an edge of the window meets one of a box or of the photo."""
    boxes = wishes.keep + wishes.avoid + wishes.faces + wishes.heads
    found = []
    for axis in (0, 1):
        side, last = window_size[axis], photo_size[axis] - window_size[axis]
        edges = [box[end] for box in boxes for end in (axis, axis + 2)]
        places = {0, last // 2, last, *edges, *(edge - side for edge in edges)}
        found.append(np.array(sorted(place for place in places if 0 <= place <= last), np.int64))
    return found[0], found[1]


def _merged(some: Positions, others: Positions) -> Positions:
    """Return all of these positions, sorted, each once."""
    return sorted_once(np.concatenate([some, others]))


def _thinned(every: Positions, own: Positions, most: int) -> Positions:
    """Return about `most` of the positions, evenly spaced, and those that must be among them."""
    step = -(-len(every) // most)
    return _merged(every[::step], own)


def _around(every: Positions, few: Positions, position: int) -> Positions:
    """Return all positions between the two neighbours of one that is among a few of them."""
    index = int(np.searchsorted(few, position))
    low, high = few[max(index - 1, 0)], few[min(index + 1, len(few) - 1)]
    return np.asarray(every[(every >= low) & (every <= high)])
