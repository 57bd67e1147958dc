import copy
import dataclasses

import pytest
import torch
from lightning_fabric import Fabric
from training_fixtures import TINY, random_model

from saliency.compression.learner import origins_after
from saliency.model.checkpoint import save_model
from saliency.model.config import ModelConfig
from saliency.model.network import SaliencyModel
from saliency.pruning.groups import find_groups
from saliency.pruning.surgery import remove_channels
from saliency.training.area_resize import shrink_densities, shrink_photos
from saliency.training.distillation import TeacherModel, example_pixels
from saliency.training.inputs.batch import Batch
from saliency.training.losses import cross_entropy

PHOTOS = torch.randint(
    0, 256, (2, 64, 96, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)
NONE = torch.zeros(2, 64, 96)
EVEN = torch.full((2, 64, 96), 1 / (64 * 96))


@pytest.fixture(scope="module")
def fabric():
    return Fabric(accelerator="cpu", devices=1)


@pytest.fixture
def model():
    return random_model()


def pruned_of(model, *, share):
    """Return a model without that share of each group, and what was removed."""
    groups = find_groups(model, PHOTOS[:1])
    removals = {group.name: list(range(int(share * group.size))) for group in groups.prunable}
    pruned = remove_channels(model, groups, removals)
    pruned.origins = origins_after(model, groups, removals)
    return pruned


def entropy(log_density):
    return -(log_density.exp() * log_density).sum(dim=(1, 2)).mean()


def test_a_model_that_follows_itself_has_its_entropy_as_loss(fabric, model):
    teacher_model = TeacherModel(copy.deepcopy(model), share=0.5, feature_weight=3.0)
    loss = teacher_model.loss(fabric, fabric.setup_module(model), PHOTOS, NONE)
    with torch.no_grad():
        assert loss.item() == pytest.approx(entropy(model(PHOTOS)).item(), rel=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_loss_is_the_mixture_of_target_and_teacher_model(fabric, model, share):
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.readout.score.weight.mul_(2)
        of_target = cross_entropy(model(PHOTOS), EVEN).mean()
        of_teacher_model = cross_entropy(model(PHOTOS), other(PHOTOS).exp()).mean()
    loss = TeacherModel(other, share=share).loss(fabric, fabric.setup_module(model), PHOTOS, EVEN)
    wanted = (1 - share) * of_target + share * of_teacher_model
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)


def test_densities_of_data_sets_are_compared_with_the_teacher_model(fabric, model):
    other = copy.deepcopy(model)

    def flatten(log_density):
        return torch.log_softmax(log_density.flatten(1) / 2, dim=1).view_as(log_density)

    loss = TeacherModel(other, share=1.0).loss(
        fabric, fabric.setup_module(model), PHOTOS, NONE, adapt=flatten
    )
    with torch.no_grad():
        wanted = cross_entropy(flatten(model(PHOTOS)), other(PHOTOS).exp()).mean()
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)


def test_features_of_a_pruned_model_are_compared_with_those_they_were(fabric, model):
    # Without its last layers' say the density is that of the center bias, whatever is pruned.
    with torch.no_grad():
        model.readout.score.weight.zero_()
    pruned = pruned_of(model, share=0.3)
    exact = copy.deepcopy(model)
    teacher_model = TeacherModel(exact, share=1.0, feature_weight=1.0)
    compared = teacher_model._compared(pruned)
    assert compared
    for name, channels in compared.items():
        assert len(channels) < exact.get_submodule(name).num_features
        weight = exact.get_submodule(name).weight[channels]
        assert torch.equal(weight, pruned.get_submodule(name).weight), name
    with_features = teacher_model.loss(fabric, fabric.setup_module(pruned), PHOTOS, NONE)
    without = TeacherModel(exact, share=1.0).loss(fabric, fabric.setup_module(pruned), PHOTOS, NONE)
    assert with_features > without + 0.01


def test_a_pruned_model_can_guide_one_pruned_further(fabric, model):
    once = pruned_of(model, share=0.3)
    twice = pruned_of(once, share=0.3)
    compared = TeacherModel(once, share=1.0)._compared(twice)
    assert compared
    for name, channels in compared.items():
        weight = once.get_submodule(name).weight[channels]
        assert torch.equal(weight, twice.get_submodule(name).weight), name
    loss = TeacherModel(once, share=1.0, feature_weight=1.0).loss(
        fabric, fabric.setup_module(twice), PHOTOS, NONE
    )
    assert torch.isfinite(loss)


def test_features_of_another_network_are_not_compared(model):
    config = ModelConfig(backbone=TINY.backbone, readout_channels=4, input_pixels=64 * 64)
    assert TeacherModel(model, share=1.0)._compared(SaliencyModel(config)) == {}


def test_a_guide_learns_nothing(fabric, model):
    teacher_model = TeacherModel(copy.deepcopy(model), share=0.5, feature_weight=1.0)
    before = {name: value.clone() for name, value in teacher_model.model.state_dict().items()}
    teacher_model.loss(fabric, fabric.setup_module(model), PHOTOS, EVEN).backward()
    assert not any(parameter.requires_grad for parameter in teacher_model.model.parameters())
    for name, value in teacher_model.model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_guide_comes_from_a_file_if_one_is_named(fabric, model, tmp_path):
    save_model(model, tmp_path / "teacher_model.safetensors")
    teacher_model = TeacherModel.load(tmp_path / "teacher_model.safetensors", fabric, share=0.5)
    assert teacher_model is not None
    with torch.no_grad():
        assert torch.equal(teacher_model.model(PHOTOS), model(PHOTOS))
    assert TeacherModel.load(None, fabric, share=0.5) is None


def test_a_guide_may_look_at_more_pixels_than_it_was_trained_for(fabric, model, tmp_path):
    save_model(model, tmp_path / "teacher_model.safetensors")
    pixels = 2 * model.config.input_pixels
    teacher_model = TeacherModel.load(
        tmp_path / "teacher_model.safetensors", fabric, share=0.5, pixels=pixels
    )
    assert teacher_model is not None
    assert example_pixels(model, teacher_model) == pixels
    with torch.no_grad():
        assert torch.equal(teacher_model.model(PHOTOS), model(PHOTOS))


def test_kept_batches_and_features_alone_make_the_whole_loss(fabric, model):
    teacher_model = TeacherModel(copy.deepcopy(model), share=0.4, feature_weight=1.0)
    learning = fabric.setup_module(pruned_of(model, share=0.3))
    kept = teacher_model.mix(fabric, Batch(PHOTOS, EVEN)).target
    again = teacher_model.features_only().loss(fabric, learning, PHOTOS, kept)
    assert again.item() == pytest.approx(
        teacher_model.loss(fabric, learning, PHOTOS, EVEN).item(), rel=1e-5
    )


def test_without_features_nobody_looks_at_kept_batches_again(model):
    assert TeacherModel(model, share=0.4).features_only() is None


def test_a_guide_looks_at_more_pixels_than_the_one_that_learns(fabric, model):
    small = shrink_photos(PHOTOS, share=0.5, size_multiple=32)
    learning = copy.deepcopy(model)
    loss = TeacherModel(model, share=1.0).loss(
        fabric, fabric.setup_module(learning), PHOTOS, NONE, small=small
    )
    with torch.no_grad():
        wanted = shrink_densities(model(PHOTOS).exp(), small.shape[1:3])
        expected = cross_entropy(learning(small), wanted).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_features_are_compared_at_the_grid_of_the_one_that_learns(fabric, model):
    learning = copy.deepcopy(model)
    learning.config = dataclasses.replace(model.config, input_pixels=32 * 64)
    teacher_model = TeacherModel(model, share=1.0, feature_weight=1.0)
    assert teacher_model._compared(learning)
    assert example_pixels(learning, teacher_model) == model.config.input_pixels
    assert example_pixels(learning, None) == 32 * 64
    small = shrink_photos(PHOTOS, share=0.5, size_multiple=32)
    without = TeacherModel(model, share=1.0).loss(
        fabric, fabric.setup_module(learning), PHOTOS, NONE, small=small
    )
    both = teacher_model.loss(fabric, fabric.setup_module(learning), PHOTOS, NONE, small=small)
    assert both > without
