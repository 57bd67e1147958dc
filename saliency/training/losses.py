"""The training losses."""

import torch
from jaxtyping import Float
from torch import Tensor


def cross_entropy(
    log_density: Float[Tensor, "batch height width"],
    target: Float[Tensor, "batch height width"],
) -> Float[Tensor, " batch"]:
    """Return each image's expected negative log density under its target, in nats.

    With a target that shares one over the fixations of an image this is the mean negative
    log-likelihood of its fixations; with a teacher's density it is the distillation loss, up to
    the teacher's own entropy; a mixture of the two weighs the two losses. Every image counts
    the same, however many fixations it has.

    Args:
        log_density: natural log of the probability of each pixel.
        target: share of each pixel; sums to one over an image.

    Raises:
        ValueError: the two differ in shape.
    """
    if log_density.shape != target.shape:
        raise ValueError(
            f"expected a target of shape {tuple(log_density.shape)}, got {tuple(target.shape)}"
        )
    return -(target * log_density).sum(dim=(1, 2))


@torch.no_grad()
def mixed_target(
    target: Float[Tensor, "batch height width"],
    log_density: Float[Tensor, "batch height width"],
    *,
    share: float,
) -> Float[Tensor, "batch height width"]:
    """Return targets mixed with a teacher model's densities for the very same examples.

    Args:
        target: share of each pixel; sums to one over an image, or is zero for one without a
            target of its own, which then gets the teacher model's alone.
        log_density: natural log of the teacher model's density.
        share: of the teacher model, for images with a target.
    """
    own = (1 - share) * target.sum(dim=(1, 2), keepdim=True)
    return (1 - share) * target + (1 - own) * log_density.exp()
