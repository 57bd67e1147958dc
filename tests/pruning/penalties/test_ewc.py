"""Facts about penalties that hold a network near its weights, and about files of Fisher values."""

import pytest
import torch
from torch import nn

from saliency.errors import CheckpointError, OutputError
from saliency.pruning.fisher import empirical_fisher
from saliency.pruning.penalties.ewc import AnchorPenalty, added, read_fisher, write_fisher


def regression(seed, weights, spread):
    """Return examples of y = weights x + noise, whose inputs have a spread on each axis."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(400, 2, generator=generator) * torch.tensor(spread)
    noise = torch.randn(400, generator=generator)
    return x, x @ torch.tensor(weights) + noise


def loss_of(layer, data):
    x, y = data
    return (layer(x)[:, 0] - y).square().mean() / 2


def fitted(layer, loss):
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def step():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(step)
    return layer


OLD = regression(0, [2.0, -1.0], [3.0, 0.1])  # says nearly nothing about the second weight
NEW = regression(1, [1.0, 4.0], [1.0, 1.0])


@pytest.fixture
def layer():
    return fitted(layer := nn.Linear(2, 1, bias=False), lambda: loss_of(layer, OLD))


def fisher_of(layer):
    x, y = OLD
    return empirical_fisher(
        layer, (lambda n=n: (layer(x[n]) - y[n]).square().sum() / 2 for n in range(len(x)))
    )


def test_penalty_is_half_the_weighted_square_of_the_distance():
    layer = nn.Linear(2, 1, bias=False)
    penalty = AnchorPenalty(layer, strength=3.0, fisher={"weight": torch.tensor([[2.0, 5.0]])})
    assert penalty().item() == 0
    layer.weight.data += torch.tensor([[1.0, -2.0]])
    assert penalty().item() == pytest.approx(3 / 2 * (2 * 1 + 5 * 4))


def test_what_the_old_task_depends_on_stays_and_the_rest_learns(layer):
    old = loss_of(layer, OLD).item()
    penalty = AnchorPenalty(layer, strength=1.0, fisher=fisher_of(layer))
    fitted(layer, lambda: loss_of(layer, NEW) + penalty())
    assert layer.weight[0, 0].item() == pytest.approx(1.9, abs=0.1)
    assert layer.weight[0, 1].item() == pytest.approx(4.0, abs=0.3)
    kept = loss_of(layer, OLD).item()
    assert kept < old + 0.3
    without = fitted(nn.Linear(2, 1, bias=False), lambda: 0 * penalty())
    fitted(without, lambda: loss_of(without, NEW))
    assert loss_of(without, OLD).item() > kept + 2


def test_joint_fit_is_reached_where_the_loss_is_quadratic(layer):
    """With noise of variance 1 the Fisher information is the Hessian: EWC at λ=1 is exact."""
    penalty = AnchorPenalty(layer, strength=1.0, fisher=fisher_of(layer))
    fitted(layer, lambda: loss_of(layer, NEW) + penalty())
    joint = fitted(
        both := nn.Linear(2, 1, bias=False), lambda: loss_of(both, OLD) + loss_of(both, NEW)
    )
    torch.testing.assert_close(layer.weight, joint.weight, atol=0.1, rtol=0)


def test_without_fisher_values_all_parameters_are_held_alike():
    layer = nn.Linear(2, 1)
    penalty = AnchorPenalty(layer, strength=2.0)
    for value in layer.parameters():
        value.data += 1
    assert penalty().item() == pytest.approx(3)


def test_negative_strength_and_values_of_another_network_are_refused():
    with pytest.raises(ValueError, match="at least 0"):
        AnchorPenalty(nn.Linear(2, 1), strength=-1.0)
    with pytest.raises(ValueError, match=r"for weight, got shape \(1, 3\)"):
        AnchorPenalty(nn.Linear(2, 1), strength=1.0, fisher={"weight": torch.ones(1, 3)})
    with pytest.raises(ValueError, match="for bias, got none"):
        AnchorPenalty(nn.Linear(2, 1), strength=1.0, fisher={"weight": torch.ones(1, 2)})


def test_tasks_add_up():
    total = added({"a": torch.tensor([1.0])}, {"a": torch.tensor([2.5])})
    assert total["a"].item() == 3.5


def test_values_in_a_file_are_right_to_seven_percent_and_zeros_are_zeros(tmp_path):
    spread = torch.randn(1000, generator=torch.Generator().manual_seed(0)).double()
    fisher = {"a": (3 * spread).exp(), "zero": torch.zeros(3).double(), "one": torch.ones(1)}
    fisher["a"][:10] = 0
    write_fisher(fisher, tmp_path / "model.fisher.safetensors")
    found = read_fisher(tmp_path / "model.fisher.safetensors")
    assert not found["a"][:10].any()
    assert not found["zero"].any()
    assert found["one"].item() == 1
    kept = fisher["a"] >= fisher["a"].max() * 1e-12
    assert kept.sum() > 800
    torch.testing.assert_close(found["a"][kept], fisher["a"][kept].double(), rtol=0.07, atol=0)
    assert (tmp_path / "model.fisher.safetensors").stat().st_size < 2000


def test_missing_and_damaged_files_are_refused_with_a_remedy(tmp_path):
    with pytest.raises(CheckpointError, match="saliency inspect --save-fisher"):
        read_fisher(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="holds no Fisher values"):
        read_fisher(tmp_path / "bad.safetensors")
    write_fisher({"a": torch.ones(1)}, tmp_path / "there.safetensors")
    with pytest.raises(OutputError, match="there"):
        write_fisher({"a": torch.ones(1)}, tmp_path / "there.safetensors")
