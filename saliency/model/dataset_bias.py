"""The bias of each data set: its center bias and its smoothing, learned beside the model.

Data sets differ more in how they were recorded (where the observers sat, how well the tracker was
calibrated, how much time there was) than in where people look. Learned as one, such a bias leaks
into the network. So each set gets ten numbers of its own, between the prediction and the loss:

    blur        standard deviation of a Gaussian over the density, as a share of the square root of
                the area: how far measured fixations lie from true ones
    sharpness   factor on the log density: how much observers agree
    bias        weights of x, y, x², xy, y², x⁴, x²y², y⁴ in the log density; x and y from -1 to 1

Biases and logs of sharpness have their mean over the sets taken off: what the sets have in common
stays with the model. The model alone is what is validated, kept and exported; the numbers are
written beside it (`saliency.model.dataset_bias_file`).
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

FIRST_BLUR = 0.004
BLUR_RADIUS_PX = 18
LEAST_SHARE = 1e-12
TERMS = ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (4, 0), (2, 2), (0, 4))
"""Powers of x and y of which the bias is made."""

NUMBERS_PER_SET = 2 + len(TERMS)


class DatasetBias(nn.Module):
    """Turns shared predictions into those for the data sets that photos come from."""

    def __init__(self, count: int) -> None:
        """Begin with `count` equal sets.

        Raises:
            ValueError: there is no set.
        """
        super().__init__()
        if count < 1:
            raise ValueError(f"expected at least one data set, got {count}")
        self.bias = nn.Parameter(torch.zeros(count, len(TERMS)))
        self.log_sharpness = nn.Parameter(torch.zeros(count))
        self.log_blur = nn.Parameter(torch.full((count,), math.log(FIRST_BLUR)))

    def forward(
        self, log_density: Float[Tensor, "batch height width"], sets: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch height width"]:
        """Return the log densities expected in the photos' own sets.

        Args:
            log_density: of the model.
            sets: number of each photo's set; -1 for a photo of none, which is left as it is.
        """
        number = sets.clamp(min=0)
        blur, sharpness, bias = (values[number] for values in self.numbers())
        own = expected_in_set(log_density, blur=blur, sharpness=sharpness, bias=bias)
        return torch.where((sets < 0)[:, None, None], log_density, own)

    def numbers(self) -> tuple[Float[Tensor, " sets"], Float[Tensor, " sets"], Tensor]:
        """Return blur, sharpness and bias (sets, terms) of each set, means taken off."""
        sharpness = (self.log_sharpness - self.log_sharpness.mean()).exp()
        return self.log_blur.exp(), sharpness, self.bias - self.bias.mean(dim=0)


def expected_in_set(
    log_density: Float[Tensor, "batch height width"],
    *,
    blur: Float[Tensor, " batch"],
    sharpness: Float[Tensor, " batch"],
    bias: Float[Tensor, "batch terms"],
) -> Float[Tensor, "batch height width"]:
    """Return log densities as they are in data sets with these numbers."""
    height, width = log_density.shape[1:]
    terms = bias_terms(height, width, device=log_density.device)
    blurred = blur_density(log_density, blur)
    own = sharpness[:, None, None] * blurred + torch.einsum("bt,thw->bhw", bias, terms)
    return torch.log_softmax(own.flatten(1), dim=1).view_as(log_density)


def bias_terms(
    height: int, width: int, *, device: torch.device | None = None
) -> Float[Tensor, "terms height width"]:
    """Return the terms that the weights of a bias multiply, in each pixel."""
    y = (2 * torch.arange(height, device=device) + 1)[:, None] / height - 1
    x = (2 * torch.arange(width, device=device) + 1)[None] / width - 1
    return torch.stack([(x**i * y**j).expand(height, width) for i, j in TERMS])


def blur_density(
    log_density: Float[Tensor, "batch height width"], blur: Float[Tensor, " batch"]
) -> Float[Tensor, "batch height width"]:
    """Return the log of each density blurred by its own Gaussian, the border repeated outwards.

    Args:
        log_density: natural log of the densities.
        blur: standard deviations, as shares of the square root of the area.
    """
    radius, (batch, height, width) = BLUR_RADIUS_PX, log_density.shape
    density, sigma_px = log_density.exp(), blur * math.sqrt(height * width)
    squared = torch.arange(-radius, radius + 1, device=density.device).square()
    sigma_px = sigma_px.clamp(0.2, radius / 3)
    kernels = torch.softmax(-squared / (2 * sigma_px.square()[:, None]), dim=1)
    padded = functional.pad(density[None], (radius,) * 4, mode="replicate")
    rows = functional.conv2d(padded, kernels.view(batch, 1, -1, 1), groups=batch)
    blurred = functional.conv2d(rows, kernels.view(batch, 1, 1, -1), groups=batch)[0]
    return (blurred + LEAST_SHARE).log()
