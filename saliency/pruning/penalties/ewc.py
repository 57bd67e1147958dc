"""Keep what a network has learned while it learns something else.

Elastic weight consolidation (Kirkpatrick et al. 2017) keeps every parameter near its old value, the
more strongly the more the old task depends on it: λ/2 Σ F (θ − θ*)², with the diagonal F of the
Fisher information on the old data. Without F this is the plain L2 penalty towards the old weights,
λ/2 Σ (θ − θ*)². The Fisher information of several tasks in a row adds up; the weights of the last
one are the anchor of all.

F is stored beside a model in 8 bits for each value, on a logarithmic scale, accurate to about 7 %.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from saliency.errors import CheckpointError
from saliency.files import write_whole
from saliency.pruning.fisher import Fisher

FORMAT_VERSION = 1
_KEY = "fisher"
_LEVELS = 254
_LEAST_SHARE = 1e-12  # of a tensor's greatest value; below is zero


class AnchorPenalty:
    """A penalty on the distance of a network's parameters from where they are now."""

    def __init__(
        self, model: nn.Module, *, strength: float, fisher: Mapping[str, Tensor] | None = None
    ) -> None:
        """Remember the parameters.

        Args:
            model: the network whose present parameters are the anchor.
            strength: λ; at 1 the old examples weigh as much as the new ones, with Fisher values
                that are means over the old examples.
            fisher: by name, the weight of each parameter; None for 1 each.

        Raises:
            ValueError: `strength` is below 0, or the Fisher values are of another network.
        """
        if not strength >= 0:
            raise ValueError(f"expected a strength of at least 0, got {strength}")
        if fisher is not None:
            check_fits(model, fisher)
        self._terms = [
            (
                value,
                value.detach().clone(),
                None if fisher is None else fisher[name].to(value),
            )
            for name, value in model.named_parameters()
            if value.requires_grad
        ]
        self._strength = strength

    def __call__(self) -> Tensor:
        """Return the penalty for the parameters as they are at this moment, a scalar."""
        total = torch.zeros((), device=self._terms[0][0].device)
        for value, anchor, weight in self._terms:
            square = (value - anchor).square()
            total = total + (square if weight is None else weight * square).sum()
        return self._strength / 2 * total


def check_fits(model: nn.Module, fisher: Mapping[str, Tensor]) -> None:
    """Refuse Fisher values that are not those of a network's parameters.

    Raises:
        ValueError: a name or a shape differs.
    """
    for name, value in model.named_parameters():
        if name not in fisher or fisher[name].shape != value.shape:
            found = "none" if name not in fisher else f"shape {tuple(fisher[name].shape)}"
            raise ValueError(
                f"expected Fisher values of shape {tuple(value.shape)} for {name}, got {found}"
            )


def added(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> Fisher:
    """Return the Fisher information of two tasks together."""
    return {name: value + second[name] for name, value in first.items()}


def write_fisher(fisher: Mapping[str, Tensor], path: Path, *, overwrite: bool = False) -> None:
    """Write Fisher values, a byte for each.

    Raises:
        OutputError: the file cannot be written, or exists and may not be replaced.
    """
    tensors, ranges = {}, {}
    for name, value in fisher.items():
        tensors[name], ranges[name] = _levels(value)
    metadata = {_KEY: json.dumps({"format_version": FORMAT_VERSION, "ranges": ranges})}
    write_whole(save(tensors, metadata), path, overwrite=overwrite)


def read_fisher(path: Path) -> Fisher:
    """Return the Fisher values in a file, by the names of parameters.

    Raises:
        CheckpointError: there is no such file, or it holds something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            stored = json.loads((file.metadata() or {})[_KEY])
            if stored["format_version"] != FORMAT_VERSION:
                raise ValueError(f"format_version {stored['format_version']}")
            ranges = stored["ranges"]
            return {name: _values(file.get_tensor(name), *ranges[name]) for name in ranges}
    except FileNotFoundError as error:
        raise CheckpointError(
            f"no Fisher values at {path}; write them with `saliency inspect --save-fisher`, or "
            "train with --keep l2"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} holds no Fisher values of this version ({type(error).__name__}: {error}); "
            "write them anew with `saliency inspect --save-fisher`"
        ) from error


def _levels(value: Tensor) -> tuple[Tensor, tuple[float, float]]:
    """Return the levels of values, uint8, and the logs of the first and the last of them."""
    largest = float(value.max()) if value.numel() else 0.0
    if not largest > 0:
        return torch.zeros(value.shape, dtype=torch.uint8), (0.0, 0.0)
    high = math.log(largest)
    positive = value[value >= largest * _LEAST_SHARE]
    low = math.log(float(positive.min()))
    share = (value.double().clamp_min(largest * _LEAST_SHARE / 2).log() - low) / (high - low or 1.0)
    levels = (1 + share * _LEVELS).round().clamp(1, 255)
    is_zero = value < largest * _LEAST_SHARE
    return torch.where(is_zero, 0, levels).to(torch.uint8), (low, high)


def _values(levels: Tensor, low: float, high: float) -> Tensor:
    share = (levels.double() - 1) / _LEVELS
    return torch.where(levels == 0, 0.0, (low + share * (high - low)).exp())
