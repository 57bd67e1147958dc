"""What is drawn at random for a batch: photos, proportions and windows."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

ASPECTS = ((4 / 3, 0.55), (1.0, 0.15), (3 / 4, 0.1), (3 / 2, 0.1), (16 / 9, 0.05), (2.2, 0.05))
"""(width / height, share of the batches): photos of all proportions are to be predicted."""


WINDOW_SHARE = 0.77
"""Geometric mean share of a 4:3 photo's area in an example, by `ASPECTS` and the random windows.

By this share an example is smaller than the photo that the network will look at, so that things are
on average as large in both (Touvron et al. 2019, "Fixing the train-test resolution discrepancy").
"""


SCALES = tuple(WINDOW_SHARE * scale for scale in (0.7, 1.0, 1.0, 1.3))
"""Factors on the area of whole photos, drawn evenly: one network serves photos of every detail."""


class Draw(NamedTuple):
    """One example to make: the number of its source, at which (height, width), from which seed."""

    source: int
    size: tuple[int, int]
    seed: tuple[int, ...]


def cache_side(pixels: int) -> int:
    """Return the longer side of cached photos that serves every example of `pixels` in area.

    Twice that of the largest example: a crop may take as little as half of the photo's sides.
    """
    widest = max(aspect for aspect, _ in ASPECTS)
    return 2 * math.ceil(math.sqrt(max(SCALES) * pixels * widest))


class BatchSampler(Sampler[list[Draw]]):
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
            first_step: where to begin.
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
