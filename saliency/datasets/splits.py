"""The rules that split data sets by image: training and validation, and folds."""

import hashlib
from collections.abc import Iterable
from typing import Literal, TypeVar

from saliency.datasets.dataset import MappedPhoto
from saliency.fixations.scene import Scene

Part = Literal["train", "validation", "all"]


VALIDATION_PERCENT = 15


Named = TypeVar("Named", Scene, MappedPhoto)


def split_scenes(scenes: Iterable[Named], part: Part) -> tuple[Named, ...]:
    """Return the scenes of one part, in their order; likewise photos with maps.

    The rule: the first 8 hex digits of the SHA-256 of the scene's name `<dataset>/<file name>`,
    as a number modulo 100; below 15 is validation, the rest is for training. So an image stays
    in its part whatever other images are there.

    Raises:
        ValueError: `part` is none of train, validation, all.
    """
    if part == "all":
        return tuple(scenes)
    if part not in ("train", "validation"):
        raise ValueError(f"expected the part train, validation or all, got {part!r}")
    wanted = part == "validation"
    return tuple(scene for scene in scenes if _is_validation(scene.name) is wanted)


def split_folds(
    scenes: Iterable[Named], *, folds: int, fold: int
) -> tuple[tuple[Named, ...], tuple[Named, ...]]:
    """Return the scenes to learn from and those to test on, in one fold of a cross-validation.

    The rule: the second 8 hex digits of the SHA-256 of the scene's name `<dataset>/<file name>`,
    as a number modulo `folds`; where it is `fold - 1` the scene is for testing. So every image is
    tested on once, and stays in its fold whatever other images are there. The digits are not
    those of `split_scenes`, so that either rule says nothing of the other.

    Args:
        scenes: to be split; either part keeps their order.
        folds: how many there are, at least 2.
        fold: which one, counted from 1.

    Raises:
        ValueError: there are fewer than 2 folds, or none of that number.
    """
    if folds < 2 or not 1 <= fold <= folds:
        raise ValueError(f"expected 2 folds or more and a fold from 1 to them, got {folds}, {fold}")
    scenes = tuple(scenes)
    is_test = [_hash(scene.name, 8) % folds == fold - 1 for scene in scenes]
    train = tuple(scene for scene, is_for_it in zip(scenes, is_test, strict=True) if not is_for_it)
    test = tuple(scene for scene, is_for_it in zip(scenes, is_test, strict=True) if is_for_it)
    return train, test


def _is_validation(name: str) -> bool:
    return _hash(name, 0) % 100 < VALIDATION_PERCENT


def _hash(name: str, start: int) -> int:
    """Return the 8 hex digits of a name's SHA-256 from `start` on, as a number."""
    return int(hashlib.sha256(name.encode()).hexdigest()[start : start + 8], 16)
