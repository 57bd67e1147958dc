"""The networks of `prunable.py`: all of torchvision's and one of each family of timm's.

Each has random weights, moved statistics of its batch norms, and an example of the size that it is
meant for; those that detect objects look at a small photo, in double precision and with no
threshold, so that there is something to compare.
"""

from typing import Any

import timm
import torch
from torch import nn
from torchvision import models
from torchvision.models import detection, optical_flow, segmentation, video

TIMM_FAMILIES = (
    *("convnext_atto", "cspresnet50", "darknet53", "densenet121", "dla34", "dpn48b"),
    *("edgenext_xx_small", "efficientnet_b0", "efficientvit_b0", "fasternet_t0"),
    *("fastvit_t8", "gernet_s", "ghostnet_050", "hardcorenas_a", "hgnet_tiny"),
    *("hrnet_w18_small", "inception_next_atto", "inception_resnet_v2", "inception_v3"),
    *("inception_v4", "lcnet_050", "legacy_seresnet18", "mixnet_s", "mnasnet_100"),
    *("mobilenetv2_100", "mobilenetv3_small_100", "mobilenetv4_conv_small"),
    *("mobileone_s0", "nasnetalarge", "nf_resnet50", "nfnet_f0", "pnasnet5large"),
    *("regnetx_002", "regnety_002", "repghostnet_050", "repvgg_a0", "repvit_m0_9"),
    *("res2net50_26w_4s", "resnest14d", "resnet18", "resnet50_gn", "resnetv2_50"),
    *("resnetv2_50x1_bit", "resnext50_32x4d", "rexnet_100", "selecsls42", "seresnet50"),
    *("shufflenet_v2_x1_0", "sknet18", "skresnet18", "spnasnet_100", "starnet_s1"),
    *("tf_mixnet_s", "tinynet_e", "tresnet_m", "vgg11", "vovnet39a", "xception41"),
    *("ecaresnet50d", "lambda_resnet26t", "vit_tiny_patch16_224"),
    *("swin_tiny_patch4_window7_224", "maxvit_rmlp_pico_rw_256"),
)
"""One network of each family of timm."""

TORCHVISION = {
    "classification": models,
    "segmentation": segmentation,
    "detection": detection,
    "video": video,
    "optical flow": optical_flow,
}
"""torchvision's modules, by what their networks are for."""

SMALL = {"min_size": 128, "max_size": 192}
DETECTION = {
    "ssd300_vgg16": {"score_thresh": 0.0},
    "ssdlite320_mobilenet_v3_large": {"score_thresh": 0.0},
    "fcos_resnet50_fpn": {"score_thresh": 0.0, **SMALL},
    "retinanet_resnet50_fpn": {"score_thresh": 0.0, **SMALL},
    "retinanet_resnet50_fpn_v2": {"score_thresh": 0.0, **SMALL},
}
REGIONS = {"box_score_thresh": 0.0, "rpn_post_nms_top_n_test": 50, **SMALL}  # of R-CNNs


def names() -> list[str]:
    """Return the names of the networks: `torchvision:…` and `timm:…`."""
    known = set(timm.list_models())
    return [f"torchvision:{one}" for module in TORCHVISION.values() for one in _listed(module)] + [
        f"timm:{one}" for one in TIMM_FAMILIES if one in known
    ]


def kind_of(name: str) -> str:
    """Return what a network is for, and whose it is."""
    library, _, model = name.partition(":")
    if library == "timm":
        return "timm, classification"
    kinds = (kind for kind, module in TORCHVISION.items() if model in _listed(module))
    return f"torchvision, {next(kinds)}"


def create(name: str) -> tuple[nn.Module, tuple[Any, ...]]:
    """Return a network with random weights, in evaluation mode, and its arguments."""
    torch.manual_seed(0)
    library, _, model = name.partition(":")
    if library == "timm":
        network = timm.create_model(model, pretrained=False)
        arguments: tuple[Any, ...] = (torch.rand(1, *network.pretrained_cfg["input_size"]),)
    else:
        network, arguments = _of_torchvision(model)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -0.2, 0.2)
        if isinstance(layer, nn.Linear) and not layer.weight.any():  # the last one of some
            nn.init.normal_(layer.weight, std=0.02)
    return network.eval(), arguments


def _listed(module: Any) -> list[str]:
    return [one for one in models.list_models(module=module) if not one.startswith("quantized")]


def _of_torchvision(name: str) -> tuple[nn.Module, tuple[Any, ...]]:
    if name in _listed(detection):
        options = DETECTION.get(name, REGIONS)
        network = models.get_model(name, weights=None, weights_backbone=None, **options)
        return network.double(), ([torch.rand(3, 128, 160, dtype=torch.float64)],)
    if name in _listed(segmentation):
        network = models.get_model(name, weights=None, weights_backbone=None)
        return network, (torch.rand(1, 3, 224, 224),)
    if name in _listed(optical_flow):
        return models.get_model(name, weights=None), (
            torch.rand(1, 3, 128, 160),
            torch.rand(1, 3, 128, 160),
        )
    network = models.get_model(name, weights=None)
    if name in _listed(video):
        size = 224 if "mvit" in name or "s3d" in name else 112
        return network, (torch.rand(1, 3, 16, size, size),)
    size = 299 if name == "inception_v3" else 224
    return network, (torch.rand(1, 3, size, size),)
