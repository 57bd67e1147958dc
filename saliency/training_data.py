"""What there is to learn from: scenes with fixations, photos without, teachers."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from saliency.datasets.dataset import MappedPhoto, load_map, upright_size
from saliency.examples import Source
from saliency.fixations import Scene
from saliency.teacher import load_densities, mean_densities, save_densities


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """What there is to learn from.

    Attributes:
        train: scenes to learn from.
        validation: scenes to choose the best epoch by.
        photos: without fixations; only teachers have seen them.
        mapped: photos of which a density is published, but no fixations.
        teachers: models to learn from beside the fixations: .onnx files, whose mean density for
            each photo is computed once; or one .safetensors file, the guide, which is shown the
            very variants of the photos that are learned from.
        examples: folder of kept batches, perhaps of several runs; None for the run's own.
    """

    train: Sequence[Scene]
    validation: Sequence[Scene]
    photos: Sequence[Path] = ()
    mapped: Sequence[MappedPhoto] = ()
    teachers: Sequence[Path] = ()
    examples: Path | None = None

    def __post_init__(self) -> None:
        """Refuse photos that nothing could be learned from, and a guide beside other teachers.

        Raises:
            ValueError: there are photos, but no teachers; or several, one of them .safetensors.
        """
        guides = [path for path in self.teachers if path.suffix == ".safetensors"]
        if guides and len(self.teachers) > 1:
            raise ValueError(f"expected {guides[0]} as the only teacher, got {len(self.teachers)}")
        if self.photos and not self.teachers:
            raise ValueError(f"expected teachers for the {len(self.photos)} photos, got none")

    @property
    def guide(self) -> Path | None:
        """The teacher that is shown the very variants of the photos, if there is one."""
        return next((path for path in self.teachers if path.suffix == ".safetensors"), None)


def set_numbers(data: TrainingData) -> tuple[tuple[str, ...], tuple[int, ...]]:
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
    """Return all there is to learn from: scenes, photos of teachers, photos with maps.

    Args:
        data: what there is to learn from.
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
    """Return all photos to learn from, each with what teachers other than a guide expect of it.

    Args:
        data: what there is to learn from.
        cache: file of the teachers' densities; read if it is there, so that a resumed run goes on
            with the very same, else written.

    Raises:
        SaliencyError: a photo, a teacher or the cache cannot be read, or the cache not be written.
    """
    empty = np.zeros((0, 2))
    if data.guide or not data.teachers:
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
