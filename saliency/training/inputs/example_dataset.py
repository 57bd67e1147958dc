"""Training examples: an augmented photo, and its target density.

Nothing here keeps a changing state. The seed alone determines which variant of which photo is shown
at which step, so a run that was stopped continues with the examples that it would have seen.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from jaxtyping import Float32, Float64
from numpy import ndarray
from torch import Tensor
from torch.utils.data import Dataset

from saliency.fixations.scene import pixel_indexes, rescale_fixations
from saliency.training.inputs.augmentation import Augmentation
from saliency.training.inputs.photo_cache import PhotoCache, decode
from saliency.training.inputs.sampling import Draw
from saliency.training.inputs.source import Source


class ExampleDataset(Dataset[tuple[Tensor, Tensor]]):
    """Makes examples from sources: a uint8 photo and its float32 target density."""

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        teacher_weight: float,
        blur: float = 0.0,
        strength: float = 1.0,
        has_teacher_model: bool = False,
        cache: PhotoCache | None = None,
    ) -> None:
        """Prepare examples.

        Args:
            sources: each with fixations, a teacher's density, or both; with a teacher model also
                with neither, and then the target is zero everywhere.
            teacher_weight: share of the teacher in the target where there are fixations too.
            blur: standard deviation of the error with which fixations were measured, as a share
                of the square root of an example's area; the target is blurred by it.
            strength: of the changes in colour.
            has_teacher_model: whether a model will predict a density for each example.
            cache: of decoded photos; None to decode them each time.

        Raises:
            ValueError: a source has neither fixations nor a teacher's density, and there is no
                teacher model.
        """
        for source in sources:
            if not has_teacher_model and len(source.fixations) == 0 and source.teacher is None:
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
