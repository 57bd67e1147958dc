"""The saliency model: a photo in, the log density of fixations out."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import timm
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from saliency.fixations.center_bias import GRID_SHAPE
from saliency.model.backbone import Weights, create_backbone
from saliency.model.config import ModelConfig
from saliency.model.readout import (
    EntropyAdjustment,
    GaussianSmoothing,
    PointwiseReadout,
    SaliencyMap,
    TopDownReadout,
    enlarge,
)
from saliency.prediction.processing import resize_photo, working_size


class SaliencyModel(nn.Module):
    """Predicts the log density of fixations over a photo of any size and proportions.

    Attributes:
        config: the parts and their sizes before pruning.
        stride: of the saliency map.
        size_multiple: of which heights and widths are made multiples.
        origins: of a pruned model, by the name of each batch norm, which channels of the unpruned
            network its channels are.
    """

    scale: Tensor
    offset: Tensor
    center_bias: Tensor

    def __init__(self, config: ModelConfig, *, weights: Weights = "none") -> None:
        """Build the network of `config`.

        Args:
            config: the parts and their sizes.
            weights: where the backbone's ImageNet weights come from (`saliency.model.backbone`).

        Raises:
            CheckpointError: the weights cannot be had or do not fit.
            ValueError: there is no such network, or its levels do not each double the stride.
        """
        super().__init__()
        self.config = config
        self.backbone = create_backbone(config.backbone, levels=config.levels, weights=weights)
        info: Any = self.backbone.feature_info
        channels, strides = tuple(info.channels()), tuple(info.reduction())
        if any(2 * fine != coarse for fine, coarse in pairwise(strides)) or not strides:
            raise ValueError(
                f"expected levels of which each has twice the stride of the one before, "
                f"got {config.levels} with the strides {strides}"
            )
        self.readout: TopDownReadout | PointwiseReadout
        if config.readout == "top-down":
            self.readout = TopDownReadout(channels, channels=config.readout_channels)
        else:
            self.readout = PointwiseReadout(channels)
        self.stride = strides[0] if config.readout == "top-down" else strides[-1]
        self.size_multiple: int = math.lcm(*strides, 2)
        self.origins: dict[str, list[int]] = {}
        self.smoothing = GaussianSmoothing()
        self.adjustment = EntropyAdjustment()
        self.center_bias_weight = nn.Parameter(torch.tensor(1.0))
        self.register_buffer("center_bias", torch.zeros(GRID_SHAPE))
        expected = timm.get_pretrained_cfg(config.backbone, allow_unregistered=False)
        assert expected is not None
        mean, std = (torch.tensor(x).view(1, 3, 1, 1) for x in (expected.mean, expected.std))
        self.register_buffer("scale", 1 / (255 * std), persistent=False)
        self.register_buffer("offset", -mean / std, persistent=False)

    def forward(
        self, photos: UInt8[Tensor, "batch height width 3"]
    ) -> Float[Tensor, "batch height width"]:
        """Return the natural log of the share of fixations expected in each pixel.

        Photos are used at the size at which they come; `config.input_pixels` is the area that
        the model was trained for. Sizes that are no multiple of `size_multiple` are filled up by
        repeating the last row and column, and the filled part is cut off again.
        """
        scores, bias = self.scores_and_bias(photos)
        return self.density_of(self.adjustment(scores, bias), photos)

    def scores_and_bias(
        self, photos: UInt8[Tensor, "batch height width 3"]
    ) -> tuple[SaliencyMap, Float[Tensor, "1 1 rows columns"]]:
        """Return the log density in each cell before its adjustment, and the center bias there."""
        height, width = photos.shape[1], photos.shape[2]
        # One factor and one offset: each pass over all pixels takes a tenth of a millisecond.
        images = photos.permute(0, 3, 1, 2).float() * self.scale + self.offset
        below, right = -height % self.size_multiple, -width % self.size_multiple
        images = functional.pad(images, (0, right, 0, below), mode="replicate")
        saliency = self.smoothing(self.readout(self.backbone(images)))
        bias = self._bias_over(saliency, photos)
        return saliency + self.center_bias_weight * bias, bias

    def density_of(
        self, scores: SaliencyMap, photos: UInt8[Tensor, "batch height width 3"]
    ) -> Float[Tensor, "batch height width"]:
        """Return the log density in each pixel of photos with these scores in their cells."""
        height, width = photos.shape[1], photos.shape[2]
        pixels = enlarge(scores, self.stride)[:, 0, :height, :width]
        return torch.log_softmax(pixels.flatten(1), dim=1).view(-1, height, width)

    def _bias_over(
        self, saliency: SaliencyMap, photos: Tensor
    ) -> Float[Tensor, "1 1 rows columns"]:
        """Return the center bias on the cells of a map, those of the filled-up part repeated."""
        rows, columns = ((side + self.stride - 1) // self.stride for side in photos.shape[1:3])
        bias = functional.interpolate(
            self.center_bias[None, None], size=(rows, columns), mode="bilinear", align_corners=False
        )
        below, right = saliency.shape[2] - rows, saliency.shape[3] - columns
        return functional.pad(bias, (0, right, 0, below), mode="replicate")

    def as_seen(
        self, photo: UInt8[np.ndarray, "height width 3"]
    ) -> UInt8[np.ndarray, "rows columns 3"]:
        """Return a photo at the size at which the model looks at it."""
        height, width, _ = photo.shape
        size = working_size(
            (width, height),
            input_pixels=self.config.input_pixels,
            size_multiple=self.size_multiple,
        )
        return resize_photo(photo, size)

    def train(self, mode: bool = True) -> "SaliencyModel":
        """Switch to training; batch norm keeps the statistics of ImageNet.

        Small batches of changing sizes would make poor ones. Its scales and offsets are learned.
        """
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def soften(self, *, sharpness: float = 1.0, smoothing_cells: float = 0.0) -> None:
        """Make every prediction flatter and smoother.

        Args:
            sharpness: factor on all differences of the log density; below 1 flattens it.
            smoothing_cells: standard deviation of a Gaussian, in cells of the saliency map, by
                which the map is blurred on top of the learned smoothing.

        Raises:
            ValueError: `sharpness` is not above 0, or `smoothing_cells` below 0.
        """
        if not sharpness > 0 or not smoothing_cells >= 0:
            raise ValueError(
                "expected a sharpness above 0 and a smoothing of at least 0 cells, "
                f"got {sharpness} and {smoothing_cells}"
            )
        with torch.no_grad():
            for number in self.adjustment.buffers():
                number.mul_(sharpness)
            log_sigma = self.smoothing.log_sigma
            log_sigma.copy_((log_sigma.exp().square() + smoothing_cells**2).sqrt().log())

    def set_center_bias(self, log_density: Float[np.ndarray, "rows columns"]) -> None:
        """Store the density common to all images, which every prediction starts from.

        Raises:
            ValueError: it is not finite everywhere, or not of `GRID_SHAPE`.
        """
        if log_density.shape != GRID_SHAPE or not np.isfinite(log_density).all():
            raise ValueError(
                f"expected finite log densities of shape {GRID_SHAPE}, got {log_density.shape}"
            )
        self.center_bias.copy_(torch.from_numpy(log_density - log_density.mean()))
