"""Batches made once, kept on disk, and shown again.

Augmenting a photo and running a teacher model on it takes longer than a small network's own step.
So the batches of the first epochs are kept, with the teacher model's densities mixed into their
targets. Later epochs show them again, in another order and half of them mirrored. Runs that want
the same batches may share the folder, and it may be removed when no run needs it any more.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from saliency.errors import CheckpointError
from saliency.files import write_whole
from saliency.training.inputs.batch import Batch

_MADE_OF = "made-of.json"


class BatchCache:
    """The batches of a run whose steps repeat after `count`, on the CPU."""

    def __init__(
        self,
        folder: Path,
        make: Callable[[int], Iterator[Batch]],
        *,
        count: int,
        made_of: dict[str, Any],
        rank: int = 0,
        seed: int = 0,
    ) -> None:
        """Open the folder, or create it.

        Args:
            folder: where the batches are, or will be.
            make: yields the batches from the given number on, targets summing to one.
            count: of different batches.
            made_of: all that decides what they are; they are shown to no run with another.
            rank: of this process, which keeps its own batches.
            seed: of the order, from the second round on.

        Raises:
            CheckpointError: it holds other batches, or cannot be written.
        """
        self.folder, self.count, self.rank, self.seed = folder, count, rank, seed
        self._make, self._next = make, -1
        self._fresh: Iterator[Batch] = iter(())
        text = json.dumps(made_of, indent=1, sort_keys=True) + "\n"
        note = folder / _MADE_OF
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stored = note.read_text() if note.exists() else None
        except OSError as error:
            raise CheckpointError(f"cannot use the folder {folder}: {error.strerror}") from error
        if stored not in (None, text):
            raise CheckpointError(
                f"{folder} keeps batches of other data, of another teacher or made with other "
                "options; remove it, or name another folder for examples"
            )
        if stored is None:
            write_whole(text.encode(), note, overwrite=True)

    def steps(self, first: int, last: int) -> Iterator[Batch]:
        """Yield the batches of the steps from `first` up to `last`.

        Raises:
            CheckpointError: a kept one is damaged, or a new one cannot be written.
        """
        for step in range(first, last):
            batch = self._batch(self.number(step))
            if step >= self.count and np.random.default_rng((self.seed, step)).random() < 0.5:
                batch = Batch(batch.photos.flip(2), batch.target.flip(2))
            yield batch

    def number(self, step: int) -> int:
        """Return which of the batches is shown at a step."""
        round_number, place = divmod(step, self.count)
        if round_number == 0:
            return place
        order = np.random.default_rng((self.seed, round_number)).permutation(self.count)
        return int(order[place])

    def _batch(self, number: int) -> Batch:
        path = self.folder / f"{number:06d}-{self.rank}.safetensors"
        if not path.exists():
            self._keep(number, path)
        try:
            stored = load(path.read_bytes())
            photos: Tensor = stored["photos"]
            target: Tensor = stored["target"].float()
        except (OSError, KeyError, SafetensorError) as error:
            raise CheckpointError(f"cannot read {path}: {error}; remove it") from error
        return Batch(photos, target / target.sum(dim=(1, 2), keepdim=True))

    def _keep(self, number: int, path: Path) -> None:
        """Make a batch and write it; most of the time it is the one behind the last one made."""
        if number != self._next:
            self._fresh = self._make(number)
        self._next = number + 1
        photos, target, _ = next(self._fresh)
        # In half precision a share of 1e-5 would hardly differ from 0; in shares of the mean
        # they are around 1.
        halved = (target * target[0].numel()).half()
        stored = {"photos": photos.cpu().contiguous(), "target": halved.cpu().contiguous()}
        write_whole(save(stored), path, overwrite=True)
