"""From a backbone's feature maps to one saliency map."""

import math
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

SaliencyMap = Float[Tensor, "batch 1 rows columns"]

ADJUSTMENT = ("sharpness", "sharpness_per_nat", "bias", "bias_per_nat")
"""The numbers of an `EntropyAdjustment`."""


def enlarge(maps: SaliencyMap, factor: int) -> Float[Tensor, "batch 1 height width"]:
    """Return maps enlarged bilinearly, as torch's `interpolate` does without aligned corners.

    The values inside a cell depend only on the cells around it, so one small convolution gives
    each cell its factor² values, which are then rearranged. Engines do that several times faster.
    """
    offsets = (torch.arange(factor, device=maps.device) + 0.5) / factor - 0.5  # in cells
    shares = (-offsets).clamp_min(0), 1 - offsets.abs(), offsets.clamp_min(0)
    line = torch.stack(shares, dim=1).to(maps.dtype)  # of the cell before, this and the next
    kernel = (line[:, None, :, None] * line[None, :, None, :]).reshape(-1, 1, 3, 3)
    padded = functional.pad(maps, (1, 1, 1, 1), mode="replicate")
    return functional.pixel_shuffle(functional.conv2d(padded, kernel), factor)


class TopDownReadout(nn.Module):
    """Adds feature maps of several strides from coarse to fine, then scores each position.

    Each stride is brought to the same number of channels by a 1×1 convolution; the sum at each
    stride passes a depthwise 3×3 convolution, so that a position sees its neighbours. Besides
    the map it gives every photo one factor, its sharpness, read from the coarsest features: a
    photo unlike those it knows can so be answered with a flatter density.
    """

    def __init__(self, feature_channels: tuple[int, ...], *, channels: int = 64) -> None:
        """Build it for feature maps ordered from fine to coarse, each stride twice the last."""
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(count, channels, 1) for count in feature_channels)
        self.mixers = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels) for _ in feature_channels
        )
        self.hidden = nn.Conv2d(channels, channels // 2, 1)
        self.score = nn.Conv2d(channels // 2, 1, 1)
        self.sharpness = nn.Conv2d(feature_channels[-1], 1, 1)
        for mixer in self.mixers:
            assert isinstance(mixer, nn.Conv2d)
            nn.init.dirac_(mixer.weight, groups=channels)
            nn.init.zeros_(mixer.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.sharpness.weight)
        nn.init.zeros_(self.sharpness.bias)  # type: ignore[arg-type]

    def forward(self, features: list[Tensor]) -> SaliencyMap:
        """Return the saliency map at the finest stride; all maps are (batch, channels, …)."""
        merged = None
        for lateral, mixer, feature in reversed(
            list(zip(self.laterals, self.mixers, features, strict=True))
        ):
            summed = lateral(feature)
            if merged is not None:
                summed = summed + functional.interpolate(merged, scale_factor=2.0, mode="nearest")
            merged = functional.relu(mixer(functional.relu(summed)))
        scores = self.score(functional.relu(self.hidden(merged)))
        sharpness = self.sharpness(features[-1].mean(dim=(2, 3), keepdim=True))
        scaled: SaliencyMap = scores * torch.exp(sharpness.clamp(-3.0, 3.0))
        return scaled


class PointwiseReadout(nn.Module):
    """The 1×1 network of 16, 32, 2 and 1 maps of Theis et al. 2018, on one feature map."""

    def __init__(self, feature_channels: tuple[int, ...]) -> None:
        """Build it for the last of the feature maps."""
        super().__init__()
        counts = (feature_channels[-1], 16, 32, 2)
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, 1) for before, after in pairwise(counts)
        )
        self.score = nn.Conv2d(counts[-1], 1, 1)

    def forward(self, features: list[Tensor]) -> SaliencyMap:
        """Return the saliency map at the stride of the last of the maps."""
        merged = features[-1]
        for layer in self.layers:
            merged = functional.relu(layer(merged))
        scores: SaliencyMap = self.score(merged)
        return scores


class GaussianSmoothing(nn.Module):
    """Blurs a map by a Gaussian whose standard deviation is learned."""

    def __init__(self, *, sigma_cells: float = 1.0, radius: int = 6) -> None:
        """Start at `sigma_cells` grid cells; the kernel reaches `radius` cells from its middle."""
        super().__init__()
        self.log_sigma = nn.Parameter(torch.tensor(math.log(sigma_cells)))
        offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
        self.register_buffer("squared_offsets", offsets.square(), persistent=False)
        self.radius = radius

    def forward(self, maps: SaliencyMap) -> SaliencyMap:
        """Return the blurred map, its border cells repeated outwards before the blur."""
        sigma = self.log_sigma.exp().clamp(0.1, self.radius / 2)
        squared_offsets: Tensor = self.squared_offsets  # type: ignore[assignment]
        kernel = torch.softmax(-squared_offsets / (2 * sigma.square()), dim=0)
        padded = functional.pad(maps, (self.radius,) * 4, mode="replicate")
        rows = functional.conv2d(padded, kernel.view(1, 1, -1, 1))
        return functional.conv2d(rows, kernel.view(1, 1, 1, -1))


class EntropyAdjustment(nn.Module):
    """Makes a map sharper and adds center bias, both by the entropy of the map's density.

    Where something stands out, entropy is low and the peak may be sharper; where nothing does,
    people look at the middle. Both are straight lines in the entropy of the map's density relative
    to that of an even one, in nats: 0 for an even density, below 0 for any other. `saliency
    calibrate` fits their four numbers to images that the model did not learn from. At first they
    change nothing, and a sharpness is never below 0, which would turn a map upside down.
    """

    sharpness: Tensor
    sharpness_per_nat: Tensor
    bias: Tensor
    bias_per_nat: Tensor

    def __init__(self) -> None:
        """Begin without any change."""
        super().__init__()
        for name, value in zip(ADJUSTMENT, (1.0, 0.0, 0.0, 0.0), strict=True):
            self.register_buffer(name, torch.tensor(value))

    def forward(
        self, scores: SaliencyMap, center_bias: Float[Tensor, "1 1 rows columns"]
    ) -> SaliencyMap:
        """Return the adjusted map.

        Args:
            scores: log density in each cell, up to a constant.
            center_bias: that of all photos, likewise.
        """
        log_share = torch.log_softmax(scores.flatten(1), dim=1)
        # Not the logarithm of a number of cells, which would be a constant in an exported graph.
        even = torch.log_softmax(torch.zeros_like(log_share), dim=1)
        entropy = (log_share.exp() * (even - log_share)).sum(dim=1).view(-1, 1, 1, 1)
        sharpness = (self.sharpness + self.sharpness_per_nat * entropy).clamp_min(0)
        adjusted: SaliencyMap = sharpness * scores
        return adjusted + (self.bias + self.bias_per_nat * entropy) * center_bias

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **keywords: Any
    ) -> None:
        for name in ADJUSTMENT:  # which files from before there was an adjustment lack
            state_dict.setdefault(f"{prefix}{name}", getattr(self, name).detach().clone())
        super()._load_from_state_dict(state_dict, prefix, *args, **keywords)
