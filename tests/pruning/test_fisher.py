"""Facts about the Fisher information of parameters: against closed forms and sampled labels."""

import copy

import pytest
import torch
from pruning_fixtures import Residual
from torch import nn
from torch.nn import functional

from saliency.pruning.fisher import empirical_fisher, parameter_signals, true_fisher

PHOTO = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def losses(outputs):
    return outputs.square().flatten(1).mean(dim=1)


def classes_of(layer, x):
    return lambda: layer(x)


def drawn_loss(logits):
    label = torch.distributions.Categorical(logits=logits.detach()).sample()
    return functional.cross_entropy(logits, label)


def closed_form(layer, xs):
    """Return the true Fisher information of a softmax layer: p (1 - p) x², averaged."""
    shares = torch.stack([layer(x)[0].softmax(0) for x in xs]).double()
    squares = torch.stack([x[0] for x in xs]).double().square()
    return torch.einsum("nc,nf->cf", shares * (1 - shares), squares) / len(xs)


def test_true_fisher_of_a_softmax_layer_is_its_closed_form():
    torch.manual_seed(0)
    layer, xs = nn.Linear(4, 3), [torch.randn(1, 4) for _ in range(8)]
    found = true_fisher(layer, [classes_of(layer, x) for x in xs], drawn_loss, draws=1000)
    # Of 8,000 draws the error is a hundredth or two.
    torch.testing.assert_close(
        found["weight"], closed_form(layer, xs).detach(), rtol=0.1, atol=0.01
    )


def test_empirical_fisher_takes_the_labels_of_the_data_and_is_another_one():
    torch.manual_seed(0)
    layer, xs = nn.Linear(4, 3), [torch.randn(1, 4) for _ in range(8)]
    label = torch.tensor([0])
    found = empirical_fisher(
        layer, (lambda x=x: functional.cross_entropy(layer(x), label) for x in xs)
    )
    expected = torch.zeros(3, 4, dtype=torch.float64)
    for x in xs:
        error = layer(x)[0].softmax(0).detach() - torch.tensor([1.0, 0, 0])
        expected += (error[:, None] * x).double().square() / len(xs)
    torch.testing.assert_close(found["weight"], expected, rtol=1e-4, atol=1e-7)
    assert not torch.allclose(found["weight"], closed_form(layer, xs), rtol=0.1)


def test_frozen_parameters_have_no_fisher_information():
    layer = nn.Linear(4, 3)
    layer.bias.requires_grad_(False)
    found = empirical_fisher(layer, [lambda: layer(torch.ones(1, 4)).square().sum()])
    assert not found["bias"].any()
    assert found["weight"].any()


@pytest.mark.parametrize("draws", [0, -1])
def test_fewer_draws_than_one_are_refused(draws):
    with pytest.raises(ValueError, match="at least 1 draw"):
        true_fisher(nn.Linear(1, 1), [], drawn_loss, draws=draws)


def test_parameter_signal_is_half_its_square_times_the_mean_squared_gradient():
    model = Residual()
    found = parameter_signals(
        model, (lambda n=n: losses(model(PHOTO[n : n + 1])).sum() for n in range(2))
    )
    expected = {name: torch.zeros_like(value).double() for name, value in model.named_parameters()}
    for n in range(2):
        copied = copy.deepcopy(model)
        losses(copied(PHOTO[n : n + 1])).sum().backward()
        for name, value in copied.named_parameters():
            expected[name] += (value * value.grad).double().square().detach() / 4
    for name, signal in found.items():
        assert torch.allclose(signal, expected[name], rtol=1e-5)


def test_parameter_signal_is_the_true_rise_of_a_quadratic_loss_at_its_minimum():
    """A linear model, residuals of ±1: without a weight the mean loss rises by ½ mean(w²x²)."""
    layer = nn.Linear(3, 1)
    x = torch.tensor([1.0, -2.0, 0.5])
    residuals = torch.tensor([1.0, -1.0])
    target = layer(x).detach() + residuals
    found = parameter_signals(
        layer, (lambda n=n: (layer(x)[0] - target[n]).square() / 2 for n in range(2))
    )
    for index in range(3):
        without = copy.deepcopy(layer)
        without.weight.data[0, index] = 0
        after = (without(x)[0] - target).square().mean() / 2
        assert found["weight"][0, index].item() == pytest.approx(after.item() - 0.5, rel=1e-4)


def test_parameter_signals_without_examples_are_refused():
    with pytest.raises(ValueError, match="at least one example"):
        parameter_signals(nn.Linear(1, 1), [])
