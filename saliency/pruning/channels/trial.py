"""Removals tried on a copy of a network, before anyone relies on them.

Tracing sees tensors, not the Python around them. A size that is written out there, as in
`x.view(n, 16 * 6 * 6)`, does not follow the channels: the pruned network would fail, or compute
something else. So a copy loses channels and runs once. What it returns is compared with what the
network returns when these channels are zero wherever a layer reads them.
"""

import copy
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from saliency.pruning.channels.cutting import cut_channels
from saliency.pruning.channels.layers import NORMS, Side
from saliency.pruning.channels.open_attention import open_heads
from saliency.pruning.latency.exporting import copy_network, nested_tensors

Cut = Mapping[tuple[str, Side], Collection[int]]
"""The indexes that go, on each side of each layer."""

SUMS_REORDERED = 1e-4  # of the largest output: float32 sums in another order
SUMS_REORDERED_DOUBLE = 1e-9
LONGEST_MESSAGE = 120


def copy_structure(model: nn.Module) -> nn.Module:
    """Return a copy of a network that shares its parameters, in evaluation mode."""
    return open_heads(copy_network(model, shared=model.parameters()).eval())


class Trial:
    """A network and an example, to find out which channels it can do without."""

    def __init__(
        self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], *, seed: int = 0
    ) -> None:
        """Prepare a copy of a network, which is not changed, to run with these arguments."""
        self._model, self._call = copy_structure(model), (args, kwargs)
        self._tolerance = SUMS_REORDERED
        _vary_constants(self._model, torch.Generator().manual_seed(seed))

    def obstacles(self, cuts: Sequence[Cut]) -> list[str | None]:
        """Return why each of several removals does not work; None for those that do.

        Those that work do so together. Where all do, the network runs twice.
        """
        found: list[str | None] = [None] * len(cuts)
        working: list[Cut] = []

        def add(first: int, end: int, known: str | None = None) -> None:
            obstacle = known or self._obstacle([*working, *cuts[first:end]])
            if obstacle is None:
                working.extend(cuts[first:end])
            elif end - first == 1:
                found[first] = obstacle
            else:
                middle, before = (first + end) // 2, len(working)
                add(first, middle)
                is_the_same = len(working) - before == middle - first  # as was just tried
                add(middle, end, obstacle if is_the_same else None)

        if cuts:
            add(0, len(cuts))
        return found

    def _obstacle(self, cuts: Sequence[Cut]) -> str | None:
        cut = _joined(cuts)
        try:
            closed, made = self._run_both(cut)
        except Exception as error:
            message = " ".join(str(error).split())[:LONGEST_MESSAGE]
            return f"without some of it the network fails: {type(error).__name__}: {message}"
        for one, other in zip(closed, made, strict=True):
            if one.shape != other.shape:
                return (
                    "without some of it the network returns a tensor of shape "
                    f"{tuple(other.shape)} instead of {tuple(one.shape)}"
                )
        if _agree(closed, made, self._tolerance) or self._is_random or self._agrees_exactly(cut):
            return None
        return "without some of it the network computes something else than with its gates closed"

    def _run_both(self, cut: Cut) -> tuple[list[Tensor], list[Tensor]]:
        """Return what the network gives with some channels closed, and what it gives without."""
        with _closed(self._model, cut):
            closed = self._run(self._model)
        pruned = copy_structure(self._model)
        for (layer, side), removed in cut.items():
            cut_channels(pruned, layer, side, removed)
        return closed, self._run(pruned)

    def _run(self, model: nn.Module, *, seed: int = 0) -> list[Tensor]:
        args, kwargs = tree_map(lambda x: x.clone() if isinstance(x, Tensor) else x, self._call)
        with torch.no_grad(), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the caller's own passes give them
            torch.manual_seed(seed)
            return list(nested_tensors(model(*args, **kwargs)))

    @cached_property
    def _is_random(self) -> bool:
        """Whether the network draws at random, so that its values cannot be compared."""
        return not _agree(self._run(self._model), self._run(self._model, seed=1), self._tolerance)

    def _agrees_exactly(self, cut: Cut) -> bool:
        """Whether a difference was but rounding; if so, go on in double precision."""
        if self._tolerance == SUMS_REORDERED_DOUBLE:
            return False
        try:
            agrees = _agree(*self._double._run_both(cut), SUMS_REORDERED_DOUBLE)
        except Exception:  # not every network runs in another precision
            return False
        if agrees:
            self._model, self._call = self._double._model, self._double._call
            self._tolerance = SUMS_REORDERED_DOUBLE
        return agrees

    @cached_property
    def _double(self) -> "Trial":
        trial = copy.copy(self)
        trial._model = copy.deepcopy(self._model).double()
        trial._call = tree_map(_doubled, self._call)
        return trial


def _joined(cuts: Sequence[Cut]) -> Cut:
    joined: dict[tuple[str, Side], set[int]] = {}
    for cut in cuts:
        for key, removed in cut.items():
            joined.setdefault(key, set()).update(removed)
    return joined


def _doubled(value: Any) -> Any:
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value


def _agree(one: Sequence[Tensor], other: Sequence[Tensor], tolerance: float) -> bool:
    pairs = [(a.double(), b.double()) for a, b in zip(one, other, strict=True)]
    return all(
        torch.allclose(a, b, rtol=0, atol=tolerance * _largest(a), equal_nan=True) for a, b in pairs
    )


def _largest(values: Tensor) -> float:
    finite = values[values.isfinite()]
    return float(finite.abs().max()) if finite.numel() else 0.0


@contextmanager
def _closed(model: nn.Module, cut: Cut) -> Iterator[None]:
    """Set channels to zero wherever a layer reads them."""
    handles = [
        model.get_submodule(layer).register_forward_pre_hook(_zero(removed), with_kwargs=True)
        for (layer, side), removed in cut.items()
        if side == "in"
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _zero(channels: Collection[int]) -> Callable[..., tuple[tuple[Any, ...], dict[str, Any]]]:
    def hook(
        layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        read: Tensor = args[0] if args else next(iter(kwargs.values()))
        axis = -1 if isinstance(layer, nn.Linear) else -1 - len(layer.kernel_size)
        index = torch.tensor(sorted(channels), device=read.device)
        zeroed = read.index_fill(axis, index, 0)
        if args:
            return (zeroed, *args[1:]), kwargs
        return args, {**kwargs, next(iter(kwargs)): zeroed}

    return hook


def _vary_constants(model: nn.Module, generator: torch.Generator) -> None:
    """Give weights that are all alike, as before training, values that tell channels apart.

    A layer scale or a batch norm of zeros would hide what goes wrong behind it. Offsets hide
    nothing and stay: others could saturate activations, and detectors choose among equal boxes.
    """
    for layer in model.modules():
        for name, value in layer.named_parameters(recurse=False):
            if name != "bias" and _is_constant(value):
                setattr(layer, name, nn.Parameter(_random_like(value, generator)))
        if isinstance(layer, NORMS):
            spread = layer.running_var
            if spread is not None and _is_constant(spread):
                spread.copy_(_random_like(spread, generator))


def _is_constant(value: Tensor) -> bool:
    return value.is_floating_point() and value.numel() > 1 and bool(value.min() == value.max())


def _random_like(value: Tensor, generator: torch.Generator) -> Tensor:
    return (torch.rand(value.shape, generator=generator) + 0.5).to(value)
