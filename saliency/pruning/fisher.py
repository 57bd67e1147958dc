"""The diagonal of the Fisher information of any network's parameters, exactly per example.

The Fisher information F is the mean of the squared gradient of an example's negative
log-likelihood. It is the root of three things: the Fisher signal of pruning is ½ F θ² (`signals`),
the diagonal Fisher–Rao norm is Σ F θ² (`penalties.fisher_rao`), and the penalty of elastic weight
consolidation is Σ F (θ − θ*)² (`penalties.ewc`).

There are two. The *empirical* one takes the labels or fixations of the data; the *true* one takes
labels that are drawn from what the network itself predicts. They agree where the network predicts
the data well, and nowhere else (Kunstner, Balles, Hennig 2019).
"""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

Fisher = dict[str, Tensor]
"""By a parameter's name, the diagonal of its Fisher information, float64, of its shape."""


def empirical_fisher(model: nn.Module, losses: Iterable[Callable[[], Tensor]]) -> Fisher:
    """Return the empirical Fisher information, 1/N Σ_n g_n².

    Args:
        model: the network, in the mode in which its losses are wanted.
        losses: for each example a function that computes its negative log-likelihood by the
            network, a scalar, in nats.

    Returns:
        The mean of the squared gradients; zero for parameters that take no part in the loss or
        need no gradient.

    Raises:
        ValueError: there is no example.
    """
    return _mean_square(model, ([loss()] for loss in losses))


def true_fisher(
    model: nn.Module,
    outputs: Iterable[Callable[[], Tensor]],
    sampled_loss: Callable[[Tensor], Tensor],
    *,
    draws: int = 1,
) -> Fisher:
    """Return the true Fisher information, with labels drawn from the network's own predictions.

    Args:
        model: the network, in the mode in which its outputs are wanted.
        outputs: for each example a function that computes the network's output.
        sampled_loss: draws a label from what an output predicts, and returns its negative
            log-likelihood, a scalar, in nats. The drawing must not be differentiated.
        draws: labels for each example; more make the estimate less noisy.

    Raises:
        ValueError: there is no example, or `draws` is below 1.
    """
    if draws < 1:
        raise ValueError(f"expected at least 1 draw, got {draws}")
    return _mean_square(model, ([sampled_loss(out) for _ in range(draws)] for out in _run(outputs)))


def _run(outputs: Iterable[Callable[[], Tensor]]) -> Iterable[Tensor]:
    return (compute() for compute in outputs)


def _mean_square(model: nn.Module, losses_of_example: Iterable[list[Tensor]]) -> Fisher:
    """Return the mean of squared gradients over all losses, each differentiated by itself."""
    named = {name: value for name, value in model.named_parameters() if value.requires_grad}
    sums = {
        name: torch.zeros_like(value, dtype=torch.float64)
        for name, value in model.named_parameters()
    }
    count = 0
    for losses in losses_of_example:
        for number, loss in enumerate(losses, start=1):
            gradients = torch.autograd.grad(
                loss, list(named.values()), allow_unused=True, retain_graph=number < len(losses)
            )
            for name, gradient in zip(named, gradients, strict=True):
                if gradient is not None:
                    sums[name].add_(gradient.double().square())
            count += 1
    if not count:
        raise ValueError("expected at least one example, got none")
    return {name: total / count for name, total in sums.items()}


def parameter_signals(
    model: nn.Module, losses: Iterable[Callable[[], Tensor]]
) -> dict[str, Tensor]:
    """Return the Fisher signal of every parameter, Δ_i = ½ F_i θ_i².

    Args:
        model: the network.
        losses: as for `empirical_fisher`.

    Returns:
        By the parameter's name, float64, of its shape: how much the loss would rise if the
        parameter were zero.

    Raises:
        ValueError: there is no example.
    """
    return signals_of(model, empirical_fisher(model, losses))


def signals_of(model: nn.Module, fisher: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return ½ F θ² of every parameter, for Fisher information that is known already."""
    return {
        name: value.detach().double().square() * fisher[name] / 2
        for name, value in model.named_parameters()
    }
