"""What is particular to each data set: its center bias and its smoothing, learned beside the model.

Data sets differ more in how they were recorded (where the observers sat, how well the tracker was
calibrated, how much time there was) than in where people look. Learned as one, such a bias leaks
into the network. So each set gets ten numbers of its own, between the prediction and the loss:

    blur        standard deviation of a Gaussian over the density, as a share of the square root of
                the area: how far measured fixations lie from true ones
    sharpness   factor on the log density: how much observers agree
    bias        weights of x, y, x², xy, y², x⁴, x²y², y⁴ in the log density; x and y from -1 to 1

Biases and logs of sharpness have their mean over the sets taken off: what the sets have in common
stays with the model. The model alone is what is validated, kept and exported.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

FIRST_BLUR = 0.004
BLUR_RADIUS_PX = 18
NUMBERS_PER_SET = 10
_TERMS = ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (4, 0), (2, 2), (0, 4))


class SetBias(nn.Module):
    """Turns shared predictions into those for the data sets that photos come from."""

    def __init__(self, count: int) -> None:
        """Begin with `count` sets that are all alike.

        Raises:
            ValueError: there is no set.
        """
        super().__init__()
        if count < 1:
            raise ValueError(f"expected at least one data set, got {count}")
        self.bias = nn.Parameter(torch.zeros(count, len(_TERMS)))
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
        height, width = log_density.shape[1:]
        number = sets.clamp(min=0)
        sigma_px = self.log_blur[number].exp() * math.sqrt(height * width)
        blurred = (_blurred(log_density.exp(), sigma_px) + 1e-12).log()
        sharpness = (self.log_sharpness - self.log_sharpness.mean())[number].exp()
        weights = (self.bias - self.bias.mean(dim=0))[number]
        own = sharpness[:, None, None] * blurred + torch.einsum(
            "bt,thw->bhw", weights, _terms(height, width, device=log_density.device)
        )
        own = torch.log_softmax(own.flatten(1), dim=1).view_as(log_density)
        return torch.where((sets < 0)[:, None, None], log_density, own)


def _terms(height: int, width: int, *, device: torch.device) -> Float[Tensor, "terms height width"]:
    y = (2 * torch.arange(height, device=device) + 1)[:, None] / height - 1
    x = (2 * torch.arange(width, device=device) + 1)[None] / width - 1
    return torch.stack([(x**i * y**j).expand(height, width) for i, j in _TERMS])


def _blurred(
    density: Float[Tensor, "batch height width"], sigma_px: Float[Tensor, " batch"]
) -> Float[Tensor, "batch height width"]:
    """Return each density blurred by its own Gaussian, the border repeated outwards."""
    radius, batch = BLUR_RADIUS_PX, len(density)
    squared = torch.arange(-radius, radius + 1, device=density.device).square()
    sigma_px = sigma_px.clamp(0.2, radius / 3)
    kernels = torch.softmax(-squared / (2 * sigma_px.square()[:, None]), dim=1)
    padded = functional.pad(density[None], (radius,) * 4, mode="replicate")
    rows = functional.conv2d(padded, kernels.view(batch, 1, -1, 1), groups=batch)
    return functional.conv2d(rows, kernels.view(batch, 1, 1, -1), groups=batch)[0]
