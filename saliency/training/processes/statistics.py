"""Statistics of a batch that several processes share, as if one process had all of it.

Batch norm standardises each channel by its mean and variance over the batch. In processes that have
a part of it each, these would be of the part, and the model another one. torch's own remedy,
`SyncBatchNorm`, works on GPUs only, and is no `BatchNorm2d`, for which pruning and distillation
look.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributed import all_reduce, get_rank, get_world_size, is_available, is_initialized
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Channels = Float[Tensor, " channels"]


def process_count() -> int:
    """Return how many processes share a batch."""
    return get_world_size() if is_available() and is_initialized() else 1


def channel_statistics(values: Float[Tensor, "batch channels ..."]) -> tuple[Channels, Channels]:
    """Return mean and variance (divided by the count) of each channel over all processes.

    Differentiable, through the other processes too. They have equally many values each.
    """
    axes = [axis for axis in range(values.ndim) if axis != 1]
    variance, mean = torch.var_mean(values, dim=axes, correction=0)
    count = process_count()
    if count == 1:
        return mean, variance
    # The sum of what is zero but in the own row gathers the rows; it has a gradient on any backend.
    own = functional.one_hot(torch.tensor(get_rank()), count).to(values)[:, None]
    gathered: Tensor = _Sum.apply(own * torch.cat([mean, variance]))
    means, variances = gathered.chunk(2, dim=1)
    mean = means.mean(dim=0)
    return mean, (variances + (means - mean).square()).mean(dim=0)


class _Sum(torch.autograd.Function):
    """The sum over all processes; the gradient of the sum of their losses is such a sum too."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ARG004  the signature is torch's
        total = values.clone()
        all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ARG004
        total = gradient.contiguous().clone()
        all_reduce(total)
        return total


class SharedBatchNorm(TorchFunctionMode):
    """While it is active, batch norms in training use the statistics of all processes."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch, or what stands in for it."""
        if func is functional.batch_norm and process_count() > 1:
            return _batch_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _batch_norm(  # noqa: PLR0917  as torch calls it
    input: Tensor,  # noqa: A002  as torch names it
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return what `torch.nn.functional.batch_norm` would for the batch of all processes."""
    if not training:
        return functional.batch_norm(
            input, running_mean, running_var, weight, bias, training, momentum, eps
        )
    mean, variance = channel_statistics(input.float())
    if running_mean is not None and running_var is not None:
        count = process_count() * input.numel() // input.shape[1]
        with torch.no_grad():
            running_mean.lerp_(mean, momentum)
            running_var.lerp_(variance * (count / max(1, count - 1)), momentum)
    scale = (variance + eps).rsqrt()
    scale = scale if weight is None else scale * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    shape = (1, -1) + (1,) * (input.ndim - 2)
    return torch.addcmul(shift.view(shape), input.float(), scale.view(shape)).to(input.dtype)
