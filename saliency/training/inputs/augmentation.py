"""Random variants of a photo for training, its fixations and its teacher's density following.

Geometry first (crop, resize, flip), so that the colour work runs on the small image. albumentations
moves the fixations as keypoints and the density as a mask.
"""

import math
import os
import random
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Float32, Int64, UInt8
from numpy import ndarray

# Without this, importing albumentations asks the network for a newer version of itself.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations
from albumentations.augmentations.crops.transforms import BaseCrop

from saliency.fixations.scene import Fixations

Photo = UInt8[ndarray, "height width 3"]
Corner = Int64[ndarray, "xy=2"]

LARGEST_CROP_PROBABILITY = 0.4
SMALLEST_CROP_SHARE = 0.6
LEAST_FIXATIONS = 3
GREATEST_STRENGTH = 2.0


class Augmented(NamedTuple):
    """A variant of an example.

    Attributes:
        photo: of the size that was asked for.
        fixations: (x, y) in its pixels, origin at the top left corner; those that the crop cut
            away are not among them, the others keep their order.
        density: of the photo's size, sums to 1; None if none was given.
    """

    photo: Photo
    fixations: Fixations
    density: Float32[ndarray, "height width"] | None


class Augmentation:
    """Make random variants of examples; what comes out depends on the generator alone.

    One object serves any sizes and is cheap to call: pipelines are built once per size.
    """

    def __init__(self, *, strength: float = 1.0) -> None:
        """Prepare variants; `strength` scales how far and how often colours and grain change.

        0 leaves those alone, 1 is moderate, 2 the most; crops and flips are always there.

        Raises:
            ValueError: the strength is not from 0 to 2.
        """
        if not 0 <= strength <= GREATEST_STRENGTH:
            raise ValueError(f"expected a strength from 0 to {GREATEST_STRENGTH}, got {strength}")
        self.strength = strength
        self._pipelines: dict[tuple[int, int], albumentations.Compose] = {}

    def __call__(
        self,
        photo: UInt8[ndarray, "rows columns 3"],
        fixations: Fixations,
        *,
        size: tuple[int, int],
        generator: np.random.Generator,
        density: Float32[ndarray, "density_rows density_columns"] | None = None,
    ) -> Augmented:
        """Return a variant of one example.

        A crop of the proportions of `size`, at random the largest or a smaller one at any place,
        is resized, flipped left to right half of the time, and changed in colour. If a crop would
        leave fewer than three fixations, the largest one around the middle fixation is taken; so
        an example that has fixations keeps at least one.

        Args:
            photo: sRGB.
            fixations: (x, y) in the photo's pixels, origin at the top left corner.
            size: (height, width) of the variant, in pixels.
            generator: source of every random choice.
            density: of the whole photo, on a grid of any size.

        Raises:
            ValueError: `size` is empty.
        """
        pipeline = self._pipeline(size)
        # One state for all transforms. `set_random_seed` would start each from the same seed, and
        # then the flipped photos would be the ones that are blurred.
        pipeline.set_random_state(generator, random.Random(int(generator.integers(2**63))))
        data: dict[str, Any] = {"image": photo, "keypoints": fixations}
        if density is not None:
            height, width = photo.shape[:2]
            data["mask"] = cv2.resize(density, (width, height), interpolation=cv2.INTER_LINEAR)
        varied = pipeline(**data)
        return Augmented(
            photo=varied["image"],
            fixations=np.asarray(varied["keypoints"], np.float64).reshape(-1, 2),
            density=_normalised(varied["mask"]) if density is not None else None,
        )

    def _pipeline(self, size: tuple[int, int]) -> albumentations.Compose:
        if size not in self._pipelines:
            if min(size) < 1:
                raise ValueError(f"expected a height and width of at least 1 px, got {size}")
            self._pipelines[size] = albumentations.Compose(
                [*geometry_transforms(*size), *colour_transforms(self.strength)],
                keypoint_params=albumentations.KeypointParams(format="xy", remove_invisible=True),
            )
        return self._pipelines[size]


class AspectCrop(BaseCrop):  # type: ignore[misc]  # albumentations carries no types
    """Cut out a window of the given proportions that leaves enough fixations."""

    def __init__(self, height: int, width: int) -> None:
        """Prepare crops as wide to high as `width` is to `height`."""
        super().__init__(p=1.0)
        self.height = height
        self.width = width

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the corners of a random window, in whole pixels."""
        photo = np.array(params["shape"][1::-1], np.int64)
        fixations = np.asarray(data["keypoints"], np.float64)[:, :2]
        is_largest = self.py_random.random() < LARGEST_CROP_PROBABILITY
        share = 1.0 if is_largest else self.py_random.uniform(SMALLEST_CROP_SHARE, 1.0)
        window = self._window_size(photo, share)
        start = np.array([self.py_random.randint(0, int(n)) for n in photo - window], np.int64)
        inside = ((fixations >= start) & (fixations < start + window)).all(axis=1)
        if inside.sum() < min(LEAST_FIXATIONS, len(fixations)):
            window = self._window_size(photo, 1.0)
            start = _start_around_middle(fixations, photo, window)
        return {"crop_coords": (*start.tolist(), *(start + window).tolist())}

    def _window_size(self, photo: Corner, share: float) -> Corner:
        """Return (width, height) of a window that is `share` of the largest one in area."""
        target = np.array([self.width, self.height])
        scale = (photo / target).min() * math.sqrt(share)
        window: Corner = np.clip(np.round(target * scale).astype(np.int64), 1, photo)
        return window


def _start_around_middle(fixations: Fixations, photo: Corner, window: Corner) -> Corner:
    """Return the top left corner of a window around the middle fixation, inside the photo.

    The largest window has the photo's full width or height, so one axis only is free, and the
    middle fixation along it is inside the window.
    """
    free_axis = int(np.argmax(photo - window))
    middle = fixations[np.argsort(fixations[:, free_axis])[len(fixations) // 2]]
    start: Corner = np.clip(np.floor(middle).astype(np.int64) - window // 2, 0, photo - window)
    return start


class CornerOriginFlip(albumentations.HorizontalFlip):  # type: ignore[misc]
    """Flip left to right, keypoints measured from the first pixel's corner: x → width - x.

    The parent measures from its middle: x → width - 1 - x.
    """

    def apply_to_keypoints(self, keypoints: ndarray, **params: Any) -> ndarray:
        """Return the keypoints where the flipped picture shows what was under them."""
        flipped: ndarray = super().apply_to_keypoints(keypoints, **params)
        flipped[:, 0] += 1
        # x = 0 would become the first place outside the photo and be lost.
        width = np.float32(params["shape"][1])
        flipped[:, 0] = np.minimum(flipped[:, 0], np.nextafter(width, np.float32(0)))
        return flipped


class ShrinkAndEnlarge(albumentations.Downscale):  # type: ignore[misc]
    """Give the photo as a thumbnail of it would look, enlarged again.

    The parent names the factor, not the size, to OpenCV, which then leaves out the fraction of a
    pixel beyond the last whole one: what is at the far border moves by up to a pixel.
    """

    def apply(self, img: Photo, scale: float, **_: Any) -> Photo:
        """Return the photo by way of `scale` times its size."""
        height, width = img.shape[:2]
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(img, size, interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def geometry_transforms(height: int, width: int) -> list[albumentations.BasicTransform]:
    """Return the transforms that move things, ending at the given size."""
    return [
        AspectCrop(height, width),
        albumentations.Resize(
            height,
            width,
            interpolation=cv2.INTER_LINEAR,
            mask_interpolation=cv2.INTER_LINEAR,
            area_for_downscale="image_mask",
        ),
        CornerOriginFlip(p=0.5),
    ]


def colour_transforms(strength: float) -> list[albumentations.BasicTransform]:
    """Return the transforms that leave everything in its place.

    The order is that of a photo's life: light, lens, sensor, thumbnail, file.
    """
    if strength == 0:
        return []

    def around_one(reach: float) -> tuple[float, float]:
        return 1 - reach * strength, 1 + reach * strength

    def chance(probability: float) -> float:
        return min(1.0, probability * strength)

    return [
        albumentations.ColorJitter(
            brightness=around_one(0.25),
            contrast=around_one(0.25),
            saturation=around_one(0.3),
            hue=(-0.03 * strength, 0.03 * strength),
            p=chance(0.8),
        ),
        albumentations.RandomGamma(
            gamma_limit=(100 - 25 * strength, 100 + 30 * strength), p=chance(0.3)
        ),
        # Grey by no saturation: albumentations.ToGray warns about photos that are grey already.
        albumentations.ColorJitter((1, 1), (1, 1), saturation=(0, 0), hue=(0, 0), p=chance(0.05)),
        albumentations.GaussianBlur(blur_limit=0, sigma_limit=(0.4, 1.5), p=chance(0.1)),
        albumentations.GaussNoise(std_range=(0.01, 0.04), p=chance(0.1)),
        ShrinkAndEnlarge(scale_range=(0.35, 0.8), p=chance(0.1)),
        albumentations.ImageCompression(quality_range=(35, 90), p=chance(0.15)),
    ]


def _normalised(mask: ndarray) -> Float32[ndarray, "height width"]:
    """Return the mask as a density; an even one where the crop holds no mass at all."""
    total = mask.sum(dtype=np.float64)
    if total <= 0:
        return np.full(mask.shape, 1 / mask.size, np.float32)
    return np.asarray(mask / total, np.float32)
