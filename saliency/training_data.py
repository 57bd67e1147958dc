"""What there is to learn from: scenes with fixations, photos without, teachers."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from saliency.examples import Source
from saliency.fixations import Scene
from saliency.teacher import mean_densities


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """What there is to learn from.

    Attributes:
        train: scenes to learn from.
        validation: scenes to choose the best epoch by.
        photos: without fixations; only teachers have seen them.
        teachers: .onnx models whose mean density is learned beside the fixations.
    """

    train: Sequence[Scene]
    validation: Sequence[Scene]
    photos: Sequence[Path] = ()
    teachers: Sequence[Path] = ()


def gather_sources(data: TrainingData) -> list[Source]:
    """Return all photos to learn from, each with what the teachers expect of it."""
    empty = np.zeros((0, 2))
    if not data.teachers:
        return [Source.of_scene(scene) for scene in data.train]
    paths = [scene.path for scene in data.train] + list(data.photos)
    densities = mean_densities(paths, data.teachers)
    taught = zip(data.train, densities, strict=False)
    sources = [Source.of_scene(scene, density) for scene, density in taught]
    for path, density in zip(data.photos, densities[len(data.train) :], strict=True):
        sources.append(Source(path, 1, 1, empty, density))
    return sources
