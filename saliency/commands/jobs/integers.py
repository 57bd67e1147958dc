"""What `saliency export --int8` shows the network, and how far its integers are from float32."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saliency.batch.listing import find_photos
from saliency.commands.jobs.reporting import error_line
from saliency.errors import PhotoError
from saliency.photo.reading import read_photo

MOST_PHOTOS = 48
FEW_PHOTOS = 8
"""Below which the values that they show may be narrower than those to come."""

_MOST_PROPORTION = 3.0
_LEAST_SIDE_PX = 64

Photo = NDArray[np.uint8]  # (height, width, 3), sRGB


def read_examples(folder: Path) -> list[Photo]:
    """Return at most `MOST_PHOTOS` of a folder's photos, spread evenly over all.

    Photos that cannot be read are named on standard error, and others take their place. Very small
    and very long ones are left out, because the values that they show are not those of photos.

    Raises:
        PhotoError: it is no folder, or has no photo of use.
    """
    if not folder.is_dir():
        kind = "that is a file" if folder.exists() else "there is none of that name"
        raise PhotoError(f"expected a folder of photos, got {folder}: {kind}")
    found = [photo.path for photo in find_photos([folder], [], is_recursive=True)]
    paths = [path for path in found if path != folder]  # itself where it has no photos
    examples: list[Photo] = []
    for path in _spread_first(paths):
        try:
            photo = read_photo(path)
        except PhotoError as error:
            print(error_line("export", f"left out: {error}"), file=sys.stderr)
            continue
        if _is_ordinary(photo):
            examples.append(photo)
        if len(examples) == MOST_PHOTOS:
            break
    if not examples:
        raise PhotoError(
            f"of the {len(paths)} photos in {folder} none is of use; give a folder of at least "
            f"{FEW_PHOTOS} ordinary photos"
        )
    if len(examples) < FEW_PHOTOS:
        print(
            f"saliency export: warning: {len(examples)} photos show few of the values to come; "
            f"give {FEW_PHOTOS} to {MOST_PHOTOS}",
            file=sys.stderr,
        )
    return examples


def describe_difference(
    exact: Callable[[Photo], NDArray[np.floating]], written: Path, photos: Sequence[Photo]
) -> str:
    """Return in words how much of a density lies elsewhere in the file that was written.

    Args:
        exact: gives the log densities of the model in float32.
        written: the .onnx file.
        photos: to compare on.
    """
    from saliency.model.loading import load_look  # noqa: PLC0415  wants the training extra

    look = load_look(written)
    moved = [np.abs(np.exp(look(photo)) - np.exp(exact(photo))).sum() / 2 for photo in photos]
    return (
        f"8-bit integers move {np.mean(moved):.1%} of a density, in the mean of these "
        f"{len(photos)} photos, and {max(moved):.1%} at most"
    )


def _spread_first(paths: Sequence[Path]) -> list[Path]:
    """Return all paths, first `MOST_PHOTOS` of them that lie evenly among all."""
    count = min(MOST_PHOTOS, len(paths))
    first = dict.fromkeys(paths[index * len(paths) // count] for index in range(count))
    return [*first, *(path for path in paths if path not in first)]


def _is_ordinary(photo: Photo) -> bool:
    shorter, longer = sorted(photo.shape[:2])
    return bool(shorter >= _LEAST_SIDE_PX and longer <= _MOST_PROPORTION * shorter)
