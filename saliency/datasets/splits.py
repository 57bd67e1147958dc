"""The rules that split data sets by image: training and validation, and folds."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import numpy as np

from saliency.datasets.dataset import MappedPhoto
from saliency.datasets.published_counts import EXPECTED
from saliency.errors import DatasetError
from saliency.fixations.scene import Scene

Part = Literal["train", "validation", "all"]

_PARTED_AS = {"eyecrowd": "osie"}

VALIDATION_PERCENT = 15

PUBLISHED_FOLDS = 10
"""How many folds MIT1003 is usually split into."""

Named = TypeVar("Named", Scene, MappedPhoto)


@dataclass(frozen=True)
class SplitScenes(Generic[Named]):
    """The parts of one data set, each in the data set's order.

    Attributes:
        train: for training.
        validation: for choosing an epoch, and for comparing models.
        test: the fold that is left out; empty without folds.
    """

    train: tuple[Named, ...]
    validation: tuple[Named, ...]
    test: tuple[Named, ...] = ()


def split(
    scenes: Iterable[Named], *, parts: str = "hashed", fold: tuple[int, int] | None = None
) -> SplitScenes[Named]:
    """Return the parts of one data set.

    Args:
        scenes: of the data set, or its photos with maps.
        parts: `hashed` for the rules of `split_scenes` and `split_folds`; `published` for the
            parts that come with the data set, or the usual ten folds of MIT1003.
        fold: (folds, fold), counted from 1, to leave out for testing; None to leave out none.

    Raises:
        DatasetError: the data set has no published parts, or not all images of the folds are here.
        ValueError: there is no such fold.
    """
    scenes = tuple(scenes)
    if parts == "published":
        return _published_parts(scenes) if fold is None else _published_fold(scenes, *fold)
    test: tuple[Named, ...] = ()
    if fold is not None:
        scenes, test = split_folds(scenes, folds=fold[0], fold=fold[1])
    return SplitScenes(split_scenes(scenes, "train"), split_scenes(scenes, "validation"), test)


def select(
    scenes: Iterable[Named],
    part: Part,
    *,
    parts: str = "hashed",
    fold: tuple[int, int] | None = None,
) -> tuple[Named, ...]:
    """Return one part of a data set, or with `fold` the images that it leaves out for testing.

    The arguments are those of `split`, which raises what it raises; `all` are all images.
    """
    if fold is not None:
        return split(scenes, parts=parts, fold=fold).test
    if part == "all":
        return tuple(scenes)
    found = split(scenes, parts=parts)
    return found.train if part == "train" else found.validation


def _published_parts(scenes: Sequence[Named]) -> SplitScenes[Named]:
    for scene in scenes:
        if scene.published_part is None:
            raise DatasetError(
                f"{scene.name}: expected an image of a part that its data set publishes, got one "
                "of none; leave out --parts, or give --folds 10 for MIT1003"
            )
    train = tuple(scene for scene in scenes if scene.published_part == "train")
    validation = tuple(scene for scene in scenes if scene.published_part == "validation")
    return SplitScenes(train, validation)


def _published_fold(scenes: Sequence[Named], folds: int, fold: int) -> SplitScenes[Named]:
    """Return the parts of one of the folds of MIT1003 that the DeepGaze models are published with.

    They are those of pysaliency's `crossval_splits`: the images in the natural order of their
    names, shuffled with NumPy's `RandomState(42)`, in runs of 101; the run before the fold that is
    left out is for validation.
    """
    count = EXPECTED["mit1003"].images
    names = [scene.name for scene in scenes]
    if folds != PUBLISHED_FOLDS or len(names) != count:
        raise DatasetError(
            f"expected {PUBLISHED_FOLDS} folds and all {count} images of MIT1003, whose folds are "
            f"published, got {folds} folds and {len(names)} images; leave out --parts published"
        )
    if not 1 <= fold <= folds:
        raise ValueError(f"expected a fold from 1 to {folds}, got {fold}")
    order = list(range(len(names)))
    np.random.RandomState(42).shuffle(order)
    size = -(-len(names) // folds)
    in_order = sorted(scenes, key=lambda scene: _natural(scene.name))
    fold_of = {in_order[index].name: place // size for place, index in enumerate(order)}
    test, validation = fold - 1, (fold - 2) % folds
    return SplitScenes(
        tuple(scene for scene in scenes if fold_of[scene.name] not in (test, validation)),
        tuple(scene for scene in scenes if fold_of[scene.name] == validation),
        tuple(scene for scene in scenes if fold_of[scene.name] == test),
    )


def _natural(name: str) -> list[str | int]:
    """Return a key that sorts the numbers in names by their value: a9 before a10."""
    return [int(run) if run.isdecimal() else run for run in re.split(r"([0-9]+)", name)]


def split_scenes(scenes: Iterable[Named], part: Part) -> tuple[Named, ...]:
    """Return the scenes of one part, in their order; the same for photos with maps.

    The rule: the first 8 hex digits of the SHA-256 of the scene's name `<dataset>/<file name>`,
    as a number modulo 100; below 15 is validation, the rest is for training. So an image stays
    in its part whatever other images are there. Images of `eyecrowd` are parted as those of `osie`:
    the shipped models learned EyeCrowd read in that layout, and are to be judged on the others.

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
    those of `split_scenes`, so the two rules are independent.

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
    dataset, slash, file = name.partition("/")
    return _hash(f"{_PARTED_AS.get(dataset, dataset)}{slash}{file}", 0) % 100 < VALIDATION_PERCENT


def _hash(name: str, start: int) -> int:
    """Return the 8 hex digits of a name's SHA-256 from `start` on, as a number."""
    return int(hashlib.sha256(name.encode()).hexdigest()[start : start + 8], 16)
