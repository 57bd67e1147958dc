"""The Fisher–Rao norm of a network's parameters on data (Liang, Poggio, Rakhlin, Stokes 2017).

Its square is ⟨θ, I(θ) θ⟩ = E[⟨θ, ∇θ ℓ⟩²]: how much the loss of an example changes where all
parameters grow by the same factor. It is a property of the function that the network computes:
other parameters of the same function have the same norm. Its diagonal approximation Σ F θ² has not
this property, and changes where nodes are rescaled.
"""

import math
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

Example = tuple[tuple[Any, ...], Any]
"""The positional arguments of the network, and what its loss needs beside the output."""


def fisher_rao_norm(
    model: nn.Module,
    examples: Iterable[Example],
    loss: Callable[[Any, Any], Tensor],
    *,
    parameters: Collection[str] | None = None,
) -> float:
    """Return the exact norm, √E[⟨θ, ∇θ ℓ⟩²], by one directional derivative for each example.

    Args:
        model: the network, in evaluation mode.
        examples: one at a time, as batches of one.
        loss: returns the loss of an example, a scalar in nats, from the network's output and the
            second part of the example.
        parameters: names of those that count; the others are held. None for all.

    Raises:
        ValueError: there is no example, or no parameter of such a name.
    """
    named = dict(model.named_parameters())
    counted = set(named if parameters is None else parameters)
    if unknown := counted - set(named):
        raise ValueError(f"expected names of parameters, got {sorted(unknown)[0]!r}")
    moved = {name: value.detach() for name, value in named.items() if name in counted}
    held = {name: value.detach() for name, value in named.items() if name not in counted}
    squares = []
    for inputs, target in examples:

        def loss_of(
            values: Mapping[str, Tensor], inputs: tuple[Any, ...] = inputs, target: Any = target
        ) -> Tensor:
            output = torch.func.functional_call(model, {**held, **values}, inputs)
            return loss(output, target)

        with warnings.catch_warnings():  # torch warns of what it uses itself
            warnings.simplefilter("ignore", FutureWarning)
            derivative = torch.func.jvp(loss_of, (moved,), (moved,))[1]
        squares.append(float(derivative) ** 2)
    if not squares:
        raise ValueError("expected at least one example, got none")
    return math.sqrt(sum(squares) / len(squares))


def diagonal_fisher_rao_norm(
    model: nn.Module,
    fisher: Mapping[str, Tensor],
    *,
    parameters: Collection[str] | None = None,
) -> float:
    """Return the diagonal approximation of the norm, √(Σ F θ²).

    Args:
        model: the network.
        fisher: the diagonal of its Fisher information, by name (`fisher.empirical_fisher`).
        parameters: names of those that count; None for all.
    """
    total = sum(
        float((fisher[name] * value.detach().double().square()).sum())
        for name, value in model.named_parameters()
        if parameters is None or name in parameters
    )
    return math.sqrt(total)
