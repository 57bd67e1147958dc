"""Facts about the Fisher–Rao norm: Liang's identity, and what it is invariant to."""

import copy
import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from saliency.pruning.fisher import empirical_fisher
from saliency.pruning.penalties.fisher_rao import diagonal_fisher_rao_norm, fisher_rao_norm


def network(hidden_layers=2):
    """Return a network without biases and normalisation: homogeneous in its parameters."""
    torch.manual_seed(0)
    widths = [5, *[7] * hidden_layers, 3]
    layers = [nn.Linear(a, b, bias=False) for a, b in itertools.pairwise(widths)]
    inner = [part for layer in layers for part in (layer, nn.ReLU())][:-1]
    return nn.Sequential(*inner)


def examples(count=12):
    generator = torch.Generator().manual_seed(1)
    xs = torch.randn(count, 1, 5, generator=generator)
    return [((x,), torch.tensor([n % 3])) for n, x in enumerate(xs)]


def diagonal(model):
    losses = (
        lambda x=x, label=label: functional.cross_entropy(model(x), label)
        for (x,), label in examples()
    )
    return diagonal_fisher_rao_norm(model, empirical_fisher(model, losses))


@pytest.mark.parametrize("hidden_layers", [1, 2, 4])
def test_norm_follows_from_the_output_where_the_network_is_homogeneous(hidden_layers):
    """Liang et al. 2017, theorem 3.1: the square is (L + 1)² E[⟨∂ℓ/∂f, f⟩²]."""
    model = network(hidden_layers)
    squares = []
    for (x,), label in examples():
        output = model(x).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(functional.cross_entropy(output, label), output)
        squares.append(float((gradient * output.detach()).sum()) ** 2)
    expected = (hidden_layers + 1) * math.sqrt(sum(squares) / len(squares))
    found = fisher_rao_norm(model, examples(), functional.cross_entropy)
    assert found == pytest.approx(expected, rel=1e-4)


def test_rescaling_of_nodes_leaves_both_norms_as_they_are():
    model = network()
    rescaled = copy.deepcopy(model)
    rescaled[0].weight.data[2] *= 8  # behind a ReLU, so that the next layer can take it back
    rescaled[2].weight.data[:, 2] /= 8
    x = torch.randn(4, 5)
    torch.testing.assert_close(model(x), rescaled(x))
    before, after = (
        fisher_rao_norm(each, examples(), functional.cross_entropy) for each in (model, rescaled)
    )
    assert after == pytest.approx(before, rel=1e-4)
    # F shrinks by the factor by which θ² grows.
    assert diagonal(rescaled) == pytest.approx(diagonal(model), rel=1e-4)


def test_diagonal_norm_depends_on_the_basis_in_which_parameters_are_written():
    """Two weights that act as their sum: the function is the same however it is shared out."""

    class Shared(nn.Module):
        def __init__(self, first, second):
            super().__init__()
            self.first, self.second = nn.Parameter(first), nn.Parameter(second)

        def forward(self, x):
            return x @ (self.first + self.second)

    torch.manual_seed(0)
    whole = torch.randn(5, 3)
    even, uneven = Shared(whole / 2, whole / 2), Shared(3 * whole, -2 * whole)
    exact = [fisher_rao_norm(m, examples(), functional.cross_entropy) for m in (even, uneven)]
    assert exact[1] == pytest.approx(exact[0], rel=1e-4)
    assert diagonal(uneven) > 2 * diagonal(even)


def test_some_parameters_alone_can_be_measured():
    model = network()
    first = fisher_rao_norm(model, examples(), functional.cross_entropy, parameters=["0.weight"])
    whole = fisher_rao_norm(model, examples(), functional.cross_entropy)
    # All layers of a homogeneous network have the same directional derivative.
    assert first == pytest.approx(whole / 3, rel=1e-4)


def test_unknown_parameters_and_no_examples_are_refused():
    with pytest.raises(ValueError, match="'nine'"):
        fisher_rao_norm(network(), examples(), functional.cross_entropy, parameters=["nine"])
    with pytest.raises(ValueError, match="at least one example"):
        fisher_rao_norm(network(), [], functional.cross_entropy)
