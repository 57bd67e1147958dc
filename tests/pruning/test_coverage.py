"""Networks of many kinds, as `benchmarks/prunable.py` checks them all."""

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

LEAST_SHARES = {
    "torchvision:mobilenet_v3_small": 1.0,  # squeeze and excite
    "torchvision:shufflenet_v2_x0_5": 0.99,  # channel shuffle
    "torchvision:regnet_y_400mf": 1.0,  # grouped convolutions
    "torchvision:lraspp_mobilenet_v3_large": 1.0,  # segmentation
    "torchvision:raft_small": 1.0,  # optical flow
    "timm:densenet121": 1.0,  # concatenation
    "timm:ghostnet_050": 1.0,  # maps of two parts
    "timm:test_byobnet": 1.0,  # blocks of many kinds
    "timm:test_efficientnet_gn": 1.0,  # group norm
    "timm:test_convnext": 0.55,  # layer norm, layer scale
    "timm:test_nfnet": 1.0,  # weight standardisation
    "timm:test_vit": 0.65,  # attention
}
MORE = {
    "torchvision:ssdlite320_mobilenet_v3_large": 0.99,  # detection
    "timm:skresnet18": 0.0,  # attention over branches
    "torchvision:googlenet": 0.5,  # heads that run in training only
    "torchvision:fasterrcnn_mobilenet_v3_large_320_fpn": 1.0,  # regions
    "torchvision:mc3_18": 1.0,  # video
    "torchvision:vit_b_16": 0.6,
    "timm:hrnet_w18_small": 1.0,
    "timm:resnest14d": 0.0,  # attention over splits
    "timm:selecsls42": 1.0,
    "timm:swin_tiny_patch4_window7_224": 0.6,
}


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        networks = importlib.import_module("prunable_networks")
        check = importlib.import_module("prunable_check")
        yield lambda name: check.by_ours(*networks.create(name))


def pruned_share(benchmark, name):
    """Return the share of a network's parameters in layers that lose channels, if it is right."""
    found = benchmark(name)
    assert found["verdict"] == "ok", found
    return found["parameters"]


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize(("name", "least"), LEAST_SHARES.items())
def test_pruned_network_gives_what_closed_gates_give(benchmark, name, least):
    assert pruned_share(benchmark, name) >= least


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize(("name", "least"), MORE.items())
def test_larger_pruned_network_gives_what_closed_gates_give(benchmark, name, least):
    assert pruned_share(benchmark, name) >= least
