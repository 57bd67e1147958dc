"""What the network is shown while it trains: a varied photo, and the density it should give.

Nothing here holds a state that moves on. Which variant of which photo is shown at which step
follows from the seed alone, so a run that was stopped goes on with the very examples that it would
have seen.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from jaxtyping import Float32, Float64
from numpy import ndarray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from saliency.fixations.scene import Scene, pixel_indexes, rescale_fixations
from saliency.training.inputs.augmentation import Augmentation
from saliency.training.inputs.photo_cache import PhotoCache, decode

ASPECTS = ((4 / 3, 0.55), (1.0, 0.15), (3 / 4, 0.1), (3 / 2, 0.1), (16 / 9, 0.05), (2.2, 0.05))
"""(width / height, share of the batches): photos of all proportions are to be predicted."""

WINDOW_SHARE = 0.77
"""Geometric mean share of a 4:3 photo's area in an example, by `ASPECTS` and the random windows.

By this share an example is smaller than the photo that the network will look at, so that things are
on average as large in both (Touvron et al. 2019, "Fixing the train-test resolution discrepancy").
"""

SCALES = tuple(WINDOW_SHARE * scale for scale in (0.7, 1.0, 1.0, 1.3))
"""Factors on the area of whole photos, drawn evenly: one network serves photos of every detail."""


@dataclass(frozen=True, eq=False)
class Source:
    """A photo to learn from.

    Attributes:
        path: the image file.
        width: of the upright photo, in pixels; fixations are in this frame.
        height: of the upright photo, in pixels.
        fixations: (x, y) in pixels; none for a photo that only a teacher has seen.
        teacher: the teacher's density over the photo, or None.
    """

    path: Path
    width: int
    height: int
    fixations: Float64[ndarray, "fixations xy=2"]
    teacher: Float32[ndarray, "rows columns"] | None = None

    @classmethod
    def of_scene(cls, scene: Scene, teacher: ndarray | None = None) -> "Source":
        """Return a scene as a source."""
        return cls(scene.path, scene.width, scene.height, scene.fixations, teacher)


class Draw(NamedTuple):
    """One example to make: the number of its source, at which (height, width), from which seed."""

    source: int
    size: tuple[int, int]
    seed: tuple[int, ...]


class Examples(Dataset[tuple[Tensor, Tensor]]):
    """Makes examples from sources: a uint8 photo and its float32 target density."""

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        teacher_weight: float,
        blur: float = 0.0,
        strength: float = 1.0,
        has_guide: bool = False,
        cache: PhotoCache | None = None,
    ) -> None:
        """Prepare examples.

        Args:
            sources: each with fixations, a teacher's density, or both; with a guide, perhaps with
                neither, and then the target is zero everywhere.
            teacher_weight: share of the teacher in the target where there are fixations too.
            blur: standard deviation of the error with which fixations were measured, as a share
                of the square root of an example's area; the target is blurred by it.
            strength: of the changes in colour.
            has_guide: whether a model will be shown the examples and tell its own density.
            cache: of decoded photos; None to decode them each time.

        Raises:
            ValueError: without a guide, a source has neither fixations nor a teacher's density.
        """
        for source in sources:
            if not has_guide and len(source.fixations) == 0 and source.teacher is None:
                raise ValueError(f"{source.path}: expected fixations or a teacher, got neither")
        self.sources = sources
        self.teacher_weight, self.blur = teacher_weight, blur
        self.cache = cache
        self.augmentation = Augmentation(strength=strength)

    def __len__(self) -> int:
        """Return how many sources there are."""
        return len(self.sources)

    def __getitem__(self, draw: Draw) -> tuple[Tensor, Tensor]:
        """Return the photo (height, width, 3) and the target (height, width) of a draw."""
        cv2.setNumThreads(1)  # the worker's core; the others belong to the network
        source = self.sources[draw.source]
        height, width = draw.size
        if self.cache is None:
            photo = decode(source.path, 2 * max(height, width))
        else:
            photo = self.cache.read(source.path)
        fixations = rescale_fixations(
            source.fixations,
            from_size=(source.width, source.height),
            to_size=(photo.shape[1], photo.shape[0]),
        )
        varied = self.augmentation(
            photo,
            fixations,
            size=draw.size,
            generator=np.random.default_rng(draw.seed),
            density=source.teacher,
        )
        target = self._target(varied.fixations, varied.density, width=width, height=height)
        photo = np.array(varied.photo, order="C")  # a copy: it may be the decoder's own memory
        return torch.from_numpy(photo), torch.from_numpy(target)

    def _target(
        self,
        fixations: Float64[ndarray, "fixations xy=2"],
        teacher: Float32[ndarray, "height width"] | None,
        *,
        width: int,
        height: int,
    ) -> Float32[ndarray, "height width"]:
        target = np.zeros((height, width), np.float32)
        if len(fixations) == 0:
            return target if teacher is None else teacher
        columns, rows = pixel_indexes(fixations, width=width, height=height).T
        np.add.at(target, (rows, columns), np.float32(1))
        target = _blurred(target, self.blur * math.sqrt(width * height))
        if teacher is None:
            return target
        return (1 - self.teacher_weight) * target + self.teacher_weight * teacher


def _blurred(
    counts: Float32[ndarray, "height width"], sigma_px: float
) -> Float32[ndarray, "height width"]:
    """Return counts blurred by a Gaussian, the border mirrored, and scaled to sum to one."""
    if sigma_px > 0:
        counts = cv2.GaussianBlur(counts, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT)
    return np.asarray(counts / counts.sum(), np.float32)


def cache_side(pixels: int) -> int:
    """Return the longer side of cached photos that serves every example of `pixels` in area.

    Twice that of the largest example: a crop may take as little as half of the photo's sides.
    """
    widest = max(aspect for aspect, _ in ASPECTS)
    return 2 * math.ceil(math.sqrt(max(SCALES) * pixels * widest))


class Batches(Sampler[list[Draw]]):
    """The draws of every batch of a run, in order: each epoch shows each source once.

    All examples of a batch have one size; sizes vary from batch to batch. The last, incomplete
    batch of an epoch is left out.
    """

    def __init__(
        self,
        source_count: int,
        *,
        batch_size: int,
        pixels: int,
        size_multiple: int,
        seed: int,
        first_step: int = 0,
        last_step: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Plan the steps from `first_step` up to but not including `last_step`.

        Args:
            source_count: how many sources there are.
            batch_size: examples of one step, over all processes.
            pixels: area at which the network looks at whole photos.
            size_multiple: of which heights and widths are multiples.
            seed: of the run.
            first_step: where to go on.
            last_step: where to stop.
            rank: number of this process; it gets each `world_size`-th example of a batch.
            world_size: count of processes.

        Raises:
            ValueError: there are fewer sources than one batch takes.
        """
        if not 1 <= batch_size <= source_count:
            raise ValueError(
                f"expected a batch size from 1 to the {source_count} images, got {batch_size}"
            )
        self.source_count, self.batch_size = source_count, batch_size
        self.pixels, self.size_multiple = pixels, size_multiple
        self.seed, self.first_step, self.last_step = seed, first_step, last_step
        self.rank, self.world_size = rank, world_size

    @property
    def steps_per_epoch(self) -> int:
        """How many batches show each source once."""
        return self.source_count // self.batch_size

    def __len__(self) -> int:
        """Return how many steps are planned."""
        return self.last_step - self.first_step

    def __iter__(self) -> Iterator[list[Draw]]:
        """Yield the draws of one step after the other."""
        for step in range(self.first_step, self.last_step):
            yield self.draws(step)

    def draws(self, step: int) -> list[Draw]:
        """Return the draws of any one step."""
        epoch, place = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng((self.seed, epoch)).permutation(self.source_count)
        chosen = order[place * self.batch_size : (place + 1) * self.batch_size]
        size = self._size(np.random.default_rng((self.seed, epoch, place)))
        own = chosen[self.rank :: self.world_size]
        return [Draw(int(index), size, (self.seed, epoch, int(index))) for index in own]

    def _size(self, generator: np.random.Generator) -> tuple[int, int]:
        aspects, shares = zip(*ASPECTS, strict=True)
        aspect = generator.choice(aspects, p=shares)
        area = self.pixels * generator.choice(SCALES)
        height, width = math.sqrt(area / aspect), math.sqrt(area * aspect)
        return self._to_multiple(height), self._to_multiple(width)

    def _to_multiple(self, side: float) -> int:
        return max(1, round(side / self.size_multiple)) * self.size_multiple
