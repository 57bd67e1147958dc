"""Check a data set: its contents, whether its photos can be read, a contact sheet."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8
from numpy import ndarray

from saliency.colour_map import colours_of, density_levels
from saliency.datasets.dataset import MOST_OUTSIDE, Dataset, Fault, MappedPhoto
from saliency.datasets.images import load_map, upright_size
from saliency.datasets.published_counts import Expected
from saliency.errors import SaliencyError
from saliency.fixations.scene import Scene
from saliency.photo.reading import load_photo, to_srgb

SHEET_SCENES = 24
SHEET_COLUMNS = 6
CELL = (200, 280)
"""(height, width) of a picture on the contact sheet, in pixels."""

ENOUGH_FIXATIONS, LEAST_REACH = 500, 0.7
"""So many fixations reach further over the photos than this share of their sides."""


def statistics(dataset: Dataset, expected: Expected) -> list[tuple[str, str]]:
    """Return a description of a data set as (name, value) pairs, in words."""
    seen = len(dataset.scenes)
    counts = [
        ("images", _against(seen + len(dataset.mapped), expected.images)),
        ("images with fixations", str(seen)),
        ("images with maps only", str(len(dataset.mapped))),
        ("images with neither", str(len(dataset.unseen))),
    ]
    fixations = _fixation_statistics(dataset, expected) if dataset.scenes else []
    return counts + fixations + (_map_statistics(dataset.mapped) if dataset.mapped else [])


def _fixation_statistics(dataset: Dataset, expected: Expected) -> list[tuple[str, str]]:
    scenes = dataset.scenes
    counts = np.array([len(scene.fixations) for scene in scenes])
    observers = [len(np.unique(scene.observers)) for scene in scenes]
    everyone = {int(number) for scene in scenes for number in set(scene.observers)}
    where = _relative_places(scenes)
    mean, deviation = where.mean(axis=0), where.std(axis=0)
    return [
        ("observers", _against(len(everyone), expected.observers)),
        ("observers of an image", _spread(observers)),
        ("fixations", str(int(counts.sum()))),
        ("fixations on an image", _spread(counts.tolist())),
        ("fixations moved to the border", str(dataset.clipped_count)),
        ("fixations left out", str(dataset.excluded_count)),
        ("sizes", _sizes([(scene.width, scene.height) for scene in scenes])),
        ("mean place", f"{mean[0]:.1%} from the left, {mean[1]:.1%} from the top"),
        ("spread of places", f"{deviation[0]:.1%} of the width, {deviation[1]:.1%} of the height"),
    ]


def _map_statistics(photos: Sequence[MappedPhoto]) -> list[tuple[str, str]]:
    """Return sizes of photos with maps, and how concentrated the maps are: half of the mass."""
    sizes, areas, unread_count = [], [], 0
    for photo in photos:
        try:
            width, height = upright_size(photo.path)
            density = load_map(photo.density, width=width, height=height)
        except SaliencyError:
            unread_count += 1
            continue
        sizes.append((width, height))
        heaviest = np.sort(density.ravel())[::-1].cumsum()
        areas.append(float(np.searchsorted(heaviest, 0.5) + 1) / density.size)
    rows = [("maps that cannot be used", str(unread_count))]
    if not areas:
        return rows
    middle = float(np.median(areas))
    return [
        *rows,
        ("sizes of photos with maps", _sizes(sizes)),
        ("area of half of a map's mass", f"{min(areas):.1%} to {max(areas):.1%}, {middle:.1%}"),
    ]


def find_problems(
    dataset: Dataset, photos: Iterable[Scene | MappedPhoto], expected: Expected
) -> list[str]:
    """Return the problems of a data set: each kind with its count, first case and remedy.

    Args:
        dataset: what was read.
        photos: those to decode completely, and their maps.
        expected: the published counts of the set.
    """
    messages: dict[str, list[str]] = {}
    for fault in (*dataset.faults, *(fault for photo in photos for fault in _faults(photo))):
        messages.setdefault(fault.kind, []).append(fault.message)
    problems = [f"{len(found)} {kind}, the first: {found[0]}" for kind, found in messages.items()]
    return problems + _count_problems(dataset, expected) + _frame_problems(dataset)


def _faults(photo: Scene | MappedPhoto) -> Iterator[Fault]:
    """Yield what keeps a photo or its map from being used."""
    try:
        loaded = load_photo(photo.path)
        height, width, _ = to_srgb(loaded).shape
    except SaliencyError as error:
        message = f"{error}; unpack or download it again"
        yield Fault("images that cannot be decoded", message)
        return
    for fault in loaded.faults:
        yield Fault("images that are damaged", f"{photo.path}: {fault.text}; download it again")
    if isinstance(photo, MappedPhoto):
        try:
            load_map(photo.density, width=width, height=height)
        except SaliencyError as error:
            yield Fault("maps that cannot be used", str(error))
    elif (width, height) != (photo.width, photo.height):
        yield Fault(
            "images of another size than their header states",
            f"{photo.path}: expected {photo.width}x{photo.height} as its header states, got "
            f"{width}x{height}; download it again",
        )


def _count_problems(dataset: Dataset, expected: Expected) -> list[str]:
    """Return problems that the number of images suggests: an incomplete set, or another set."""
    count = len(dataset.scenes) + len(dataset.mapped)
    if expected.images is None or count == expected.images:
        return []
    if count > expected.images:
        return [
            f"{count} images with fixations are more than the {expected.images} published ones; "
            "check that the layout before the colon is that of this set"
        ]
    return [
        f"{expected.images - count} of {expected.images} published images with fixations are not "
        "there or cannot be used; unpack the whole archive, or continue with those that can"
    ]


def _frame_problems(dataset: Dataset) -> list[str]:
    """Return signs that coordinates belong to photos of another size than those found."""
    count = sum(len(scene.fixations) for scene in dataset.scenes)
    remedy = (
        "photos may be of another size than those that were shown; take them from the set's own "
        "archive, or scale the coordinates"
    )
    total = count + dataset.excluded_count
    if dataset.excluded_count > MOST_OUTSIDE * total:
        return [
            f"{dataset.excluded_count} of {total} fixations lie outside their photos or are no "
            f"numbers; {remedy}"
        ]
    if count >= ENOUGH_FIXATIONS:
        right, low = _relative_places(dataset.scenes).max(axis=0)
        if max(right, low) < LEAST_REACH:
            return [
                f"no fixation lies further than {right:.0%} to the right and {low:.0%} down; "
                f"{remedy}"
            ]
    return []


def _relative_places(scenes: Sequence[Scene]) -> Float64[ndarray, "fixations xy=2"]:
    return np.concatenate([scene.fixations / (scene.width, scene.height) for scene in scenes])


def _sizes(sizes: Sequence[tuple[int, int]]) -> str:
    counts = Counter(sizes)
    (width, height), most = counts.most_common(1)[0]
    return f"{len(counts)}, most often {width}x{height} ({most} images)"


def contact_sheet(
    photos: Sequence[Scene | MappedPhoto],
) -> UInt8[ndarray, "height width 3"]:
    """Return a picture of up to 24 photos, evenly chosen, with a colour for each observer.

    A photo that has only a map is shown with the map over it, warm where it is high. A photo or a
    map that cannot be read is a red cell.
    """
    count = min(SHEET_SCENES, len(photos))
    chosen = [photos[index] for index in np.linspace(0, len(photos) - 1, count).astype(int)]
    cells = [_drawn(scene) for scene in chosen]
    cells += [np.zeros((*CELL, 3), np.uint8)] * (-len(cells) % SHEET_COLUMNS)
    rows = [cells[i : i + SHEET_COLUMNS] for i in range(0, len(cells), SHEET_COLUMNS)]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


def _drawn(photo: Scene | MappedPhoto) -> UInt8[ndarray, "height width 3"]:
    """Return a photo with its fixations or its map, fitted into a cell."""
    try:
        width, height = upright_size(photo.path)
        factor = min((CELL[1] - 8) / width, (CELL[0] - 8) / height)
        size = max(1, round(width * factor)), max(1, round(height * factor))
        pixels = to_srgb(load_photo(photo.path, lambda _: size))
        picture = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA) // 2 + 40
        if isinstance(photo, MappedPhoto):
            picture = _under_map(picture, load_map(photo.density, width=width, height=height))
    except SaliencyError:
        return np.full((*CELL, 3), (150, 0, 0), np.uint8)
    if isinstance(photo, Scene):
        for (x, y), observer in zip(photo.fixations * factor, photo.observers, strict=True):
            # The golden angle: the hues of neighbouring numbers are far apart.
            hue = np.array([[[int(observer * 68) % 180, 255, 255]]], np.uint8)
            colour = cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0].tolist()
            cv2.circle(picture, (int(x), int(y)), 2, colour, cv2.FILLED, cv2.LINE_AA)
    cell = np.zeros((*CELL, 3), np.uint8)
    top, left = (CELL[0] - size[1]) // 2, (CELL[1] - size[0]) // 2
    cell[top : top + size[1], left : left + size[0]] = picture
    return cell


def _under_map(
    picture: UInt8[ndarray, "height width 3"], density: Float32[ndarray, "rows columns"]
) -> UInt8[ndarray, "height width 3"]:
    """Return a picture with a density over it, half and half."""
    size = picture.shape[1], picture.shape[0]
    colours = colours_of(density_levels(cv2.resize(density, size)))
    return np.asarray(picture // 2 + colours // 2)


def _against(count: int, expected: int | None) -> str:
    return str(count) if expected is None else f"{count} of {expected}"


def _spread(values: Sequence[int]) -> str:
    low, high, middle = min(values), max(values), float(np.median(values))
    return str(low) if low == high else f"{low} to {high}, half of them up to {middle:g}"
