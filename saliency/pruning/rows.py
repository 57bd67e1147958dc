"""What layers read, row by row, and which example each row belongs to.

Networks fold examples into the batch: the frames of a video, windows of a map, both photos of a
pair, regions of a photo; or they put the positions of a sequence first. What a layer reads has then
more rows than there are examples. Their owners are found by trial: a copy of the network runs with
some examples altered, and the rows that change depend on these.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from saliency.pruning.channels.open_attention import open_heads
from saliency.pruning.latency.exporting import copy_network

Call = tuple[tuple[Any, ...], dict[str, Any]]
"""The arguments of one call of a network, by position and by keyword."""

Place = tuple[str, int]
"""A layer's name, and which of its calls in a pass, from 0."""

Owners = Int[Tensor, " rows"]


def first_input(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    """Return what a layer reads, given by position or by keyword."""
    read: Tensor = args[0] if args else next(iter(kwargs.values()))
    return read


def count_examples(call: Call, *, axis: int = 0) -> int | None:
    """Return how many examples a call of a network has; None if it has no tensor.

    It is the length of the first tensor along an axis, or that of a list that comes first, as
    detectors take.
    """
    args, kwargs = call
    first = first_input(args, kwargs) if args or kwargs else None
    if isinstance(first, list):
        return len(first)
    tensors = (leaf for leaf in tree_leaves(call) if isinstance(leaf, Tensor))
    return next((tensor.shape[axis] for tensor in tensors if tensor.ndim > axis), None)


class Reads:
    """What layers read in one pass.

    Attributes:
        values: for each call of each layer, (rows, channels): Σ activation × gradient over the
            positions, or without gradients the mean of |activation|.
        folded: the calls whose rows are not the examples; of linear layers all positions are rows.
        calls: the arguments of the network.
        axis: of the examples in these.
    """

    def __init__(self, *, with_gradients: bool, examples: int | None, axis: int) -> None:
        """Start a pass of some examples; None if its first call is to say how many."""
        self.with_gradients, self._examples, self.axis = with_gradients, examples, axis
        self.values: dict[Place, Tensor] = {}
        self.folded: set[Place] = set()
        self.calls: list[Call] = []
        self._counts: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """The number of examples."""
        assert self._examples is not None
        return self._examples

    def enter(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note a call of the network."""
        self.calls.append((args, kwargs))
        if self._examples is None:
            self._examples = count_examples((args, kwargs), axis=self.axis)

    def hook(self, layer: str) -> Callable[..., tuple[tuple[Any, ...], dict[str, Any]] | None]:
        """Return a forward pre-hook that records what a layer reads, or its gradient."""

        def look(
            module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
            is_linear, read = isinstance(module, nn.Linear), first_input(args, kwargs)
            if self._examples is None:  # a part of the network runs by itself
                self._examples = len(read)
            place = (layer, self._counts[layer])
            self._counts[layer] += 1
            is_plain = _rows_are_examples(read.shape, is_linear=is_linear, examples=self.count)
            if not is_plain:
                self.folded.add(place)
            keep = 1 if is_plain or not is_linear else read.ndim - 1

            def record(values: Tensor) -> None:
                self._add(place, _over_positions(values, is_linear, keep))

            if self.with_gradients and read.requires_grad:
                probed = _Probe.apply(read, record)
                if args:
                    return (probed, *args[1:]), kwargs
                return args, {**kwargs, next(iter(kwargs)): probed}
            if not self.with_gradients:
                positions = read.shape[keep:-1] if is_linear else read.shape[2:]
                record(read.detach().abs() / math.prod(positions))
            return None

        return look

    def _add(self, place: Place, values: Tensor) -> None:
        """Add to the values of a call, which may be differentiated several times."""
        self.values[place] = self.values[place] + values if place in self.values else values


class _Probe(torch.autograd.Function):
    """Returns a tensor unchanged; in the backward pass, hands on its product with its gradient."""

    @staticmethod
    def forward(ctx: Any, read: Tensor, record: Callable[[Tensor], None]) -> Tensor:
        ctx.save_for_backward(read)
        ctx.record = record
        return read.view_as(read)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (read,) = ctx.saved_tensors
        is_half = read.dtype.itemsize < 4
        ctx.record(read.float() * gradient.float() if is_half else read * gradient)
        return gradient, None


def _over_positions(values: Tensor, is_linear: bool, keep: int) -> Tensor:
    """Return (rows, channels): the first `keep` axes are rows, the others are summed.

    A convolution reads (batch, channels, …), a linear layer (…, channels).
    """
    if is_linear:
        rows = values.flatten(0, keep - 1) if values.ndim > 1 else values[None]
        return rows.flatten(1, -2).sum(dim=1) if rows.ndim > 2 else rows
    return values.flatten(2).sum(dim=2) if values.ndim > 2 else values


def _rows_are_examples(shape: Sequence[int], *, is_linear: bool, examples: int) -> bool:
    """Return whether the first axis of what a layer reads is that of the examples.

    Where a linear layer reads as many positions as there are examples, the shape does not say.
    """
    return shape[0] == examples and not (is_linear and len(shape) > 2 and shape[1] == examples)


def in_blocks(rows: int, examples: int) -> Owners:
    """Return the owners of rows that lie example by example, in equal shares."""
    return torch.arange(rows) * examples // rows


@torch.no_grad()
def find_owners(
    model: nn.Module, calls: Sequence[Call], layers: Iterable[str], *, examples: int, axis: int = 0
) -> dict[Place, Owners | None]:
    """Return the example that each row of what layers read depends on.

    Args:
        model: the network; a copy runs, in evaluation mode.
        calls: all calls of one pass.
        layers: names of the layers.
        examples: how many examples the calls have.
        axis: along which they lie in the network's inputs.

    Returns:
        For each call of each layer the owners of its rows (of a linear layer, of all its
        positions); None where rows depend on several examples, or their number on the content.
    """
    copied = open_heads(copy_network(model).eval())
    bits = range(max(1, (examples - 1).bit_length()))
    numbers = torch.arange(examples)
    with torch.random.fork_rng(devices=[]):
        plain = _checksums(copied, calls, layers)

        def changed(chosen: Tensor) -> dict[Place, Tensor | None]:
            altered = [_altered(call, chosen, axis) for call in calls]
            return _differences(plain, _checksums(copied, altered, layers))

        # By the bits of their numbers: those with this bit, then those without.
        pairs = [[changed((numbers >> k & 1) == side) for side in (1, 0)] for k in bits]
    return {place: _owners([[one[place] for one in p] for p in pairs], examples) for place in plain}


def _checksums(
    model: nn.Module, calls: Sequence[Call], layers: Iterable[str]
) -> dict[Place, Tensor]:
    """Return a number for each row of what layers read, which changes if anything in it does."""
    found: dict[Place, Tensor] = {}
    counts: Counter[str] = Counter()

    def look(name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            read = first_input(args, kwargs)
            rows = read.flatten(0, -2) if isinstance(layer, nn.Linear) else read.flatten(1)
            weights = torch.linspace(1, 2, rows.shape[1], dtype=torch.float64).sqrt()
            found[name, counts[name]] = (rows.cpu().double() * weights).sum(dim=1)
            counts[name] += 1

        return hook

    handles = [
        model.get_submodule(name).register_forward_pre_hook(look(name), with_kwargs=True)
        for name in layers
    ]
    try:
        for args, kwargs in calls:
            model(*args, **kwargs)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _differences(
    before: Mapping[Place, Tensor], after: Mapping[Place, Tensor]
) -> dict[Place, Tensor | None]:
    """Return which rows differ, None for those of another number."""
    return {
        place: after[place] != rows if place in after and after[place].shape == rows.shape else None
        for place, rows in before.items()
    }


def _owners(pairs: Collection[Sequence[Tensor | None]], examples: int) -> Owners | None:
    """Return the owners of rows, from the rows that changed with each half of the examples.

    A row that never changed, as a token that each example gets, goes by the pattern of the others.
    """
    read = [(one, zero) for one, zero in pairs if one is not None and zero is not None]
    if len(read) < len(pairs) or any(bool((one & zero).any()) for one, zero in read):
        return None
    known: Bool[Tensor, " rows"] = torch.stack([one | zero for one, zero in read]).all(dim=0)
    owners = sum(one.long() << k for k, (one, _) in enumerate(read))
    assert isinstance(owners, Tensor)
    times, rest = divmod(len(owners), examples)
    if not rest and bool(known.any()):
        numbers = torch.arange(len(owners))
        for inner in (n for n in range(times, 0, -1) if times % n == 0):
            pattern = numbers // inner % examples
            if torch.equal(pattern[known], owners[known]):
                return pattern
    return owners if bool(known.all()) else None


def _altered(call: Call, chosen: Bool[Tensor, " examples"], axis: int) -> Call:
    """Return a call with other values in the chosen examples.

    They lie along an axis of all tensors whose length is a multiple of their number, in blocks.
    """
    args, kwargs = call
    if args and isinstance(args[0], list):
        listed = [
            tree_map(_other, one) if is_chosen else one
            for one, is_chosen in zip(args[0], chosen.tolist(), strict=True)
        ]
        return (listed, *args[1:]), kwargs

    def alter(value: Any) -> Any:
        if not isinstance(value, Tensor) or value.ndim <= axis:
            return value
        times, rest = divmod(value.shape[axis], len(chosen))
        if rest:
            return value
        rows = chosen.to(value.device).repeat_interleave(times)
        moved = value.movedim(axis, 0).clone()
        moved[rows] = _other(moved[rows])
        return moved.movedim(0, axis)

    altered: Call = tree_map(alter, call)
    return altered


def _other(value: Any) -> Any:
    """Return other values of the same kind; for whole numbers, those there are in another order."""
    if not isinstance(value, Tensor) or value.dtype == torch.bool:
        return value
    if value.dtype == torch.uint8:
        return 255 - value
    return 0.3 - 0.7 * value if value.is_floating_point() else value.flip(-1)
