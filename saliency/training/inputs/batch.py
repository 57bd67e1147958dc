"""The input of one training step."""

from typing import NamedTuple

from jaxtyping import Float, Int, UInt8
from torch import Tensor


class Batch(NamedTuple):
    """Photos and their target densities, all of one size.

    Attributes:
        photos: uint8, sRGB.
        target: share of the fixations in each pixel, sums to 1 over a photo; zero everywhere for
            a photo that only a teacher model knows.
        datasets: number of each photo's data set, -1 for a photo of none; None where no one asks.
    """

    photos: UInt8[Tensor, "batch height width 3"]
    target: Float[Tensor, "batch height width"]
    datasets: Int[Tensor, " batch"] | None = None
