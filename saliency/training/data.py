"""The training data: scenes with fixations, photos without, teachers."""

import dataclasses
import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from saliency.datasets.dataset import MappedPhoto
from saliency.datasets.images import list_images, load_map, upright_size
from saliency.datasets.layouts.registry import read_dataset
from saliency.datasets.splits import split
from saliency.errors import DatasetError
from saliency.fixations.scene import Scene
from saliency.training.inputs.source import Source
from saliency.training.inputs.teacher_densities import (
    load_densities,
    mean_densities,
    save_densities,
)

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """The training data of a run.

    Attributes:
        train: scenes for training.
        validation: scenes by which the best epoch is chosen.
        photos: without fixations, for distillation.
        mapped: photos whose density is published, but not the fixations.
        teachers: models to learn from beside the fixations: .onnx files, whose mean density for
            each photo is computed once; or one .safetensors file, the teacher model, which is
            shown the examples themselves.
        examples: folder of cached batches, perhaps of several runs; None for the run's own.
    """

    train: Sequence[Scene]
    validation: Sequence[Scene]
    photos: Sequence[Path] = ()
    mapped: Sequence[MappedPhoto] = ()
    teachers: Sequence[Path] = ()
    examples: Path | None = None

    def __post_init__(self) -> None:
        """Refuse photos without a teacher, and a teacher model beside other teachers.

        Raises:
            ValueError: there are photos, but no teachers; or several, one of them .safetensors.
        """
        shown = [path for path in self.teachers if path.suffix == ".safetensors"]
        if shown and len(self.teachers) > 1:
            raise ValueError(f"expected {shown[0]} as the only teacher, got {len(self.teachers)}")
        if self.photos and not self.teachers:
            raise ValueError(f"expected teachers for the {len(self.photos)} photos, got none")

    @property
    def teacher_model(self) -> Path | None:
        """The teacher that sees the variants of the photos themselves, if there is one."""
        return next((path for path in self.teachers if path.suffix == ".safetensors"), None)


def dataset_numbers(data: TrainingData) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the names of the data sets, and the number of the set of each source.

    Sources are those of `gather_sources`; a photo that only teachers have seen has -1.
    """
    scenes = [scene.name.partition("/")[0] for scene in data.train]
    mapped = [photo.name.partition("/")[0] for photo in data.mapped]
    names = tuple(sorted({*scenes, *mapped}))
    unseen = [-1] * len(data.photos)
    numbers = [*map(names.index, scenes), *unseen, *map(names.index, mapped)]
    return names, tuple(numbers)


def gather_sources(data: TrainingData, *, cache: Path) -> list[Source]:
    """Return all sources: scenes, photos for distillation, photos with maps.

    Args:
        data: the training data.
        cache: file of the teachers' densities, as for `_sources_of_teachers`.

    Raises:
        SaliencyError: a photo, a map, a teacher or the cache cannot be read, or not be written.
    """
    mapped = []
    for photo in data.mapped:
        width, height = upright_size(photo.path)
        density = load_map(photo.density, width=width, height=height)
        mapped.append(Source(photo.path, width, height, np.zeros((0, 2)), density))
    return _sources_of_teachers(data, cache=cache) + mapped


def _sources_of_teachers(data: TrainingData, *, cache: Path) -> list[Source]:
    """Return all photos to learn from, each with the mean density of the .onnx teachers.

    Args:
        data: the training data.
        cache: file of the teachers' densities; read if it is there, so that a resumed run goes on
            with the very same, else written.

    Raises:
        SaliencyError: a photo, a teacher or the cache cannot be read, or the cache not be written.
    """
    empty = np.zeros((0, 2))
    if data.teacher_model or not data.teachers:
        unseen = [Source(photo, 1, 1, empty) for photo in data.photos]
        return [*(Source.of_scene(scene) for scene in data.train), *unseen]
    paths = [scene.path for scene in data.train] + list(data.photos)
    if not cache.exists():
        save_densities(mean_densities(paths, data.teachers), cache)
    densities = load_densities(cache, count=len(paths))
    taught = zip(data.train, densities, strict=False)
    sources = [Source.of_scene(scene, density) for scene, density in taught]
    for path, density in zip(data.photos, densities[len(data.train) :], strict=True):
        sources.append(Source(path, 1, 1, empty, density))
    return sources


def read_training_data(
    specs: Sequence[str],
    *,
    photos: str | None,
    teachers: Sequence[str],
    fold: tuple[int, int] | None = None,
    parts: str = "hashed",
    rehearse: Sequence[str] = (),
    examples: str | None = None,
) -> TrainingData:
    """Return the scenes, photos and teachers to learn from.

    Args:
        specs: data sets as `LAYOUT:PATH`, or `COUNT*LAYOUT:PATH`, whose images are shown COUNT
            times in each epoch.
        photos: folder of photos without fixations.
        teachers: models.
        fold: (folds, fold): images of the fold are left out for testing, and the others split
            into training and validation as without folds; None to leave out none.
        parts: the rule by which images are for training or validation: `hashed`, or `published`
            for those that come with the data sets.
        rehearse: data sets learned before, as `LAYOUT:PATH:SHARE`, of whose training images that
            share is shown too.
        examples: folder of cached batches; None for the run's own.

    Raises:
        DatasetError: a data set cannot be used, or there are no photos.
    """
    weighted = [_weight_and_spec(spec) for spec in specs]
    datasets = [read_dataset(spec) for _, spec in weighted]
    for dataset in datasets:
        log.info(dataset.describe())
    _check_unique(
        [*(scene for dataset in datasets for scene in (*dataset.scenes, *dataset.mapped))]
    )
    train: list[Any] = []
    validation: list[Any] = []
    mapped: list[Any] = []
    for (weight, _), dataset in zip(weighted, datasets, strict=True):
        scenes = split(dataset.scenes, parts=parts, fold=fold)
        if fold is not None:
            log.info(
                "%s, fold %d of %d: %d images left out for testing",
                dataset.name,
                fold[1],
                fold[0],
                len(scenes.test),
            )
        train += weight * scenes.train
        validation += scenes.validation
        if dataset.mapped:
            mapped += weight * split(dataset.mapped, parts=parts, fold=fold).train
    for spec in rehearse:
        train += _rehearsed(spec, parts=parts)
    unseen: tuple[Path, ...] = ()
    if photos is not None:
        root = Path(photos)
        unseen = tuple(root / name for name in list_images(root))
        if not unseen:
            raise DatasetError(f"{root}: expected photos, found none; check the path")
    data = TrainingData(
        train=tuple(train),
        validation=tuple(validation),
        photos=unseen,
        mapped=tuple(mapped),
        teachers=tuple(Path(model) for model in teachers),
        examples=None if examples is None else Path(examples),
    )
    log.info(
        "%d images to train on in an epoch, %d for validation, %d photos without fixations",
        len(data.train) + len(data.mapped),
        len(data.validation),
        len(data.photos),
    )
    return data


def _rehearsed(spec: str, *, parts: str) -> tuple[Scene, ...]:
    """Return a share of the training images of `LAYOUT:PATH:SHARE`, the same ones every time."""
    name, _, text = spec.rpartition(":")
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1 or ":" not in name:
        raise DatasetError(
            f"expected LAYOUT:PATH:SHARE with a share above 0 and up to 1, such as osie:PATH:0.05, "
            f"got {spec!r}"
        )
    scenes = split(read_dataset(name).scenes, parts=parts).train
    count = max(1, round(share * len(scenes)))
    kept = sorted(scenes, key=lambda scene: hashlib.sha256(scene.name.encode()).digest()[8:])
    return tuple(kept[:count])


def _check_unique(scenes: Sequence[Any]) -> None:
    """Refuse scenes of one name: the split is by name, and a second one would count double."""
    for name, count in Counter(scene.name for scene in scenes).most_common(1):
        if count > 1:
            raise DatasetError(
                f"expected each image once, got {name} from {count} data sets; give each data set "
                "once, and rename the folder of one of two that are called alike"
            )


def _weight_and_spec(spec: str) -> tuple[int, str]:
    """Return how often the images of a data set are shown in an epoch, and its LAYOUT:PATH.

    Raises:
        DatasetError: the part before the asterisk is no whole number above 0.
    """
    layout, colon, path = spec.partition(":")
    count, asterisk, layout_alone = layout.rpartition("*")
    if not asterisk:
        return 1, spec
    if not count.isdecimal() or int(count) < 1:
        raise DatasetError(
            f"expected a whole number above 0 before *, such as 3*osie:PATH, got {spec!r}"
        )
    return int(count), f"{layout_alone}{colon}{path}"
