import torch
from pruning_fixtures import PHOTO, Concatenation, Residual

from saliency.pruning.groups import find_groups
from saliency.pruning.optimizer_state import remove_moments
from saliency.pruning.surgery import remove_channels


def trained(model):
    """Take a few steps; return the optimizer's state by name."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        model(PHOTO).square().mean().backward()
        optimizer.step()
    return {name: optimizer.state[parameter] for name, parameter in model.named_parameters()}


def test_moments_are_cut_as_their_parameters_are():
    """A moment that equals its parameter still equals it after the cut."""
    for model in (Residual(), Concatenation()):
        states = {
            name: {"step": torch.tensor(3.0), "exp_avg": value.detach().clone()}
            for name, value in model.named_parameters()
        }
        groups = find_groups(model, PHOTO)
        removals = {group.name: [0] for group in groups.prunable}
        after = remove_moments(states, model, groups, removals)
        pruned = dict(remove_channels(model, groups, removals).named_parameters())
        assert after.keys() == pruned.keys()
        assert all(torch.equal(after[name]["exp_avg"], value) for name, value in pruned.items())
        assert all(state["step"] == 3 for state in after.values())


def test_model_and_moments_are_left_unchanged():
    model = Residual()
    states = trained(model)
    before = {name: state["exp_avg"].clone() for name, state in states.items()}
    weights = {name: value.detach().clone() for name, value in model.named_parameters()}
    groups = find_groups(model, PHOTO)
    remove_moments(states, model, groups, {groups.prunable[0].name: [1]})
    assert all(torch.equal(states[name]["exp_avg"], value) for name, value in before.items())
    assert all(torch.equal(weights[name], value) for name, value in model.named_parameters())


def test_parameter_without_a_state_stays_without():
    model = Residual()
    groups = find_groups(model, PHOTO)
    after = remove_moments({}, model, groups, {groups.prunable[0].name: [1]})
    assert after == {}
