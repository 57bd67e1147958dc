import pytest
import torch
from pruning_fixtures import PHOTO, Concatenation, Residual, SqueezeExcite

from saliency.pruning.gates import fold_gates, gated, ones
from saliency.pruning.groups import find_groups


@pytest.mark.parametrize("toy", [Concatenation, Residual, SqueezeExcite])
def test_open_gates_change_nothing(toy):
    model = toy()
    groups = find_groups(model, PHOTO)
    with gated(model, groups, ones(groups, batch=2)):
        gates_open = model(PHOTO)
    assert torch.equal(gates_open, model(PHOTO))


def test_gates_are_gone_when_the_context_ends():
    model = Residual()
    groups, before = find_groups(model, PHOTO), model(PHOTO)
    with gated(model, groups, {"stem": torch.zeros(4)}):
        assert not torch.allclose(model(PHOTO), before)
    assert torch.equal(model(PHOTO), before)


@pytest.mark.parametrize("toy", [Concatenation, Residual, SqueezeExcite])
def test_gradient_of_a_gate_is_the_slope_of_the_loss(toy):
    model = toy().double()
    photo = PHOTO.double()
    groups = find_groups(model, photo)
    name = groups.prunable[0].name

    def loss(gate):
        with gated(model, groups, {name: gate}):
            return model(photo).square().sum()

    gate = torch.ones(groups.prunable[0].size, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(loss, gate)


def test_gates_of_single_examples_take_the_gradients_of_their_own_losses():
    model = Residual()
    groups = find_groups(model, PHOTO)

    def gradients(photo):
        gates = ones(groups, batch=len(photo))
        with gated(model, groups, gates):
            model(photo).square().sum().backward()
        return gates["stem"].grad

    alone = torch.cat([gradients(photo[None]) for photo in PHOTO])
    assert torch.allclose(gradients(PHOTO), alone, rtol=1e-5)  # float32 sums of another order


def test_gradient_is_activation_times_gradient_summed_over_readers_and_positions():
    model = Residual()
    groups = find_groups(model, PHOTO)
    read = []

    def keep_what_is_read(_, args):
        read.append(args[0].clone())
        read[-1].retain_grad()
        return (read[-1],)

    for reader in (model.branch, model.score):
        reader.register_forward_pre_hook(keep_what_is_read)
    gates = ones(groups)
    with gated(model, groups, gates):
        model(PHOTO).square().sum().backward()
    expected = sum((maps * maps.grad).sum(dim=(0, 2, 3)) for maps in read)
    assert torch.allclose(gates["stem"].grad, expected, rtol=1e-4)  # float32 sums


@pytest.mark.parametrize("shape", [(3,), (2, 3), (1, 2, 4)])
def test_gate_of_another_shape_is_refused(shape):
    model = Residual()
    groups = find_groups(model, PHOTO)
    with (
        pytest.raises(ValueError, match=r"expected a gate of shape \(4\)"),
        gated(model, groups, {"stem": torch.ones(shape)}),
    ):
        pass


def test_gate_of_no_group_is_refused():
    model = Residual()
    groups = find_groups(model, PHOTO)
    with (
        pytest.raises(ValueError, match="expected a prunable channel group such as 'stem'"),
        gated(model, groups, {"score": torch.ones(1)}),
    ):
        pass


@pytest.mark.parametrize("toy", [Concatenation, Residual, SqueezeExcite])
def test_folded_gates_give_what_gates_gave(toy):
    model = toy()
    groups = find_groups(model, PHOTO)
    drawn = torch.Generator().manual_seed(0)
    gates = {group.name: torch.rand(group.size, generator=drawn) for group in groups.prunable}
    with gated(model, groups, gates):
        expected = model(PHOTO)
    fold_gates(model, groups, gates)
    assert torch.allclose(model(PHOTO), expected, rtol=1e-5, atol=1e-6)
