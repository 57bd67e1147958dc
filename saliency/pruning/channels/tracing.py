"""The channels of a network's layers that belong together, found by running it once.

Every operation of one forward pass is seen as the engine sees it, below modules, functions and
autograd. Each tensor that comes out of a convolution or linear layer carries one number per
channel; operations pass the numbers on, couple them (a sum) or join them (a concatenation). An
operation without a rule bars the channels that it reads from being removed, so whatever is not
understood stays whole.
"""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from saliency.pruning.channels.attention import HeadLayers
from saliency.pruning.channels.axis_rules import DIVISIONS, Division, axis_after
from saliency.pruning.channels.bare import bare_axis, bare_tensors
from saliency.pruning.channels.layers import GROUP_NORMS, channel_layers, count_channels
from saliency.pruning.channels.numbers import ChannelNumbers, repeat
from saliency.pruning.channels.regrouping import regroup
from saliency.pruning.channels.weights import make_plain, why_kept
from saliency.pruning.latency.exporting import nested_tensors

aten: Any = torch.ops.aten

BATCH_NORMS = {
    aten.native_batch_norm,
    aten._native_batch_norm_legit,
    aten._native_batch_norm_legit_no_training,
    aten.cudnn_batch_norm,
    aten.miopen_batch_norm,
}
UNTAGGED_POINTWISE = {
    aten.hardswish,
    aten.hardswish_,
    aten._prelu_kernel,
}  # torch does not tag them


@dataclass(frozen=True)
class ChannelAxis:
    """The channels of a tensor: one number each, and the axis that they lie along."""

    ids: tuple[int, ...]
    axis: int


class ChannelTracer(TorchDispatchMode, ChannelNumbers):  # type: ignore[no-untyped-call]
    """Follows channels through the forward pass that runs while this mode is entered."""

    supports_higher_order_operators = True  # such as torch.cond, which bar what they read

    def __init__(self, model: nn.Module) -> None:
        """Watch `model`, which gets hooks and plain weights: hand in a copy."""
        super().__init__()  # type: ignore[no-untyped-call]
        ChannelNumbers.__init__(self)
        self._tracked: dict[
            int, tuple[Tensor, ChannelAxis]
        ] = {}  # keeps tensors, so ids stay theirs
        self._transposed: dict[int, tuple[Tensor, str]] = {}
        self._running: list[str] = []
        self._ran: set[str] = set()
        self._layer_of: dict[int, str] = {}
        self._computed: dict[int, tuple[Tensor, str]] = {}  # weights, by layers from their own
        self._strays: set[str] = set()
        self._layers = channel_layers(model)
        self._kept = {
            name: why for name, one in self._layers.items() if (why := why_kept(one, name))
        }
        make_plain(model)
        bare = bare_tensors(model)
        self._heads = HeadLayers(model)
        of_heads = {name for names in self._heads.numbered.values() for name in names}
        self._bare = {
            id(value): name
            for name, value in bare.items()
            if value.numel() > 1 and name not in of_heads
        }
        self._biases = {id(getattr(one, "bias", None)): name for name, one in self._layers.items()}
        for name, layer in self._layers.items():
            if isinstance(layer, (_InstanceNorm, *GROUP_NORMS)):
                continue
            own = (layer.weight, getattr(layer, "running_mean", None))
            self._layer_of |= {id(tensor): name for tensor in own if tensor is not None}
        for name, module in model.named_modules():
            module.register_forward_pre_hook(lambda _, args, name=name: self._enter(name, args))
            module.register_forward_hook(self._leave)

    def _enter(self, name: str, args: tuple[Any, ...]) -> None:
        self._running.append(name)
        self._ran.add(name)
        if name in self._heads.readers:
            place, width = self._heads.readers[name]
            ids = repeat(self._heads_in(place), width)
            self._give(args[0], ids, args[0].ndim - 1)

    def _leave(self, module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        name = self._running.pop()
        if name in self._heads.makers and (tracked := self._of(out)):
            place, width = self._heads.makers[name]
            ids = repeat(self._heads_in(place), width)
            self._couple(ids * (len(tracked.ids) // len(ids)), tracked.ids)
            del self._tracked[id(out)]  # up to the layer that reads the heads
        if isinstance(module, _InstanceNorm) and self._of(args[0]):
            self._instance_norm(name, args[0], out)

    def _heads_in(self, module: str) -> tuple[int, ...]:
        """Return the channels that stand for the heads of a module, one each."""
        if (module, "heads") not in self.members:
            ids = self._record(module, "heads", self._fresh(self._heads.counts[module]))
            for name in self._heads.numbered[module]:
                self._record(name, "parameter", ids)
        return self.members[module, "heads"]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an operation and pass the channels of its operands on to its result."""
        del types
        result = func(*args, **(kwargs or {}))
        operands = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if isinstance(func, torch._ops.OpOverload):
            self._follow(func, args, operands, result)
        else:
            self._give_up(operands, str(func))
        return result

    def follow(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Follow the channels through a pass of the network; its outputs keep theirs.

        A pass that fails leaves what was found before.
        """
        found = copy.deepcopy((self.members, self.barred, self._parent, self._strays))
        tracked = dict(self._tracked)
        self._running.clear()
        try:
            with torch.no_grad(), self:
                outputs = model(*args, **kwargs)
        except Exception:
            self.members, self.barred, self._parent, self._strays = found
            self._tracked = tracked
            raise
        self.bar(outputs, "the network returns it")

    def bar(self, values: Any, reason: str) -> None:
        """Keep the channels of all tensors in a nested structure from being removed."""
        for leaf in nested_tensors(values):
            tracked = self._of(leaf)
            for channel in tracked.ids if tracked else ():
                self.barred.setdefault(channel, reason)

    def unseen(self) -> dict[str, str]:
        """Return the layers that were not followed, each with the reason."""
        seen = {layer for layer, _ in self.members}
        idle = "it did not run, in evaluation or in training mode"
        other = "what it does with its channels has no rule"
        return {
            name: self._why(name, other if name in self._ran else idle)
            for name in self._layers
            if name not in seen
        }

    def idle(self) -> set[str]:
        """Return the layers that did not run."""
        return set(self._layers) - self._ran

    def makes(self, layer: str) -> int:
        """Return how many channels a layer makes."""
        return count_channels(self._layers[layer])[1]

    def bar_feeds(self, layers: Iterable[str]) -> None:
        """Bar what may feed layers that did not run: all channels that are as many as they read."""
        for name in layers:
            layer, reads = self._layers[name], count_channels(self._layers[name])[0]
            for tensor, one in self._tracked.values():
                count = len(one.ids)
                if reads == count or (isinstance(layer, nn.Linear) and reads % count == 0):
                    self.bar(tensor, f"{name}, which did not run, may read it")

    def close(self) -> None:
        """Bar the layers whose weights are computed, or used by something else than the layer."""
        for (layer, _), ids in self.members.items():
            why = self._why(layer)
            for channel in ids if why else ():
                self.barred.setdefault(channel, why)

    def _why(self, layer: str, otherwise: str = "") -> str:
        """Return why a layer is kept whole."""
        elsewhere = f"the weight of {layer} is used elsewhere too" if layer in self._strays else ""
        return self._kept.get(layer) or elsewhere or otherwise

    def _follow(self, func: Any, args: tuple[Any, ...], operands: list[Tensor], out: Any) -> None:
        packet = func.overloadpacket
        if packet is aten.t and id(operands[0]) in self._layer_of:
            self._transposed[id(out)] = (out, self._layer_of[id(operands[0])])
        elif packet is aten.convolution and self._is_called(args[1]):
            self._convolution(args, out)
        elif packet in (aten.mm, aten.addmm) and id(operands[-1]) in self._transposed:
            self._linear(operands[-2], self._transposed[id(operands[-1])][1], out)
        elif packet in BATCH_NORMS and any(
            id(one) in self._layer_of and self._is_called(one) for one in operands
        ):
            self._norm(operands, out)
        elif any(map(self._is_called, operands)) and not any(map(self._of, operands)):
            parts = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
            self._computed |= {id(part): (part, self._running[-1]) for part in parts}
        else:
            self._strays |= {layer for t in operands if (layer := self._owner(t))}
            if any(map(self._of, operands)) and not self._is_in_instance_norm():
                self._pass_on(func, args, operands, out)

    def _pass_on(self, func: Any, args: tuple[Any, ...], operands: list[Tensor], out: Any) -> None:
        """Give the channels of operands to the result of an operation between layers."""
        packet = func.overloadpacket
        if packet is aten.cat:
            self._concatenate(args[0], args[1] if len(args) > 1 else 0, out)
        elif packet is aten.native_group_norm and self._running[-1] in self._layers:
            self._group_norm(args, out)
        elif packet in DIVISIONS and self._of(args[0]):
            self._divide(DIVISIONS[packet], args, out)
        elif isinstance(out, Tensor) and (
            torch.Tag.pointwise in func.tags or packet in UNTAGGED_POINTWISE
        ):
            self._pointwise(operands, out)
        else:
            self._move(packet, args, out)

    def _is_called(self, weight: Tensor) -> bool:
        """Whether a tensor belongs to a layer that runs now, so that its hooks see its input."""
        return self._owner(weight) in self._running[-1:]

    def _owner(self, weight: Tensor) -> str | None:
        """Return the layer that a tensor belongs to, or that computed it from its weight."""
        computed = self._computed.get(id(weight))
        return computed[1] if computed else self._layer_of.get(id(weight))

    def _of(self, tensor: Any) -> ChannelAxis | None:
        if id(tensor) in self._bare and id(tensor) not in self._tracked:
            axis = bare_axis(tensor)
            ids = self._record(self._bare[id(tensor)], "parameter", self._fresh(tensor.shape[axis]))
            self._give(tensor, ids, axis)
        return self._tracked[id(tensor)][1] if id(tensor) in self._tracked else None

    def _give(self, tensor: Tensor, ids: Iterable[int], axis: int) -> None:
        self._tracked[id(tensor)] = (tensor, ChannelAxis(tuple(ids), axis))

    def _give_up(self, values: Any, operation: str) -> None:
        place = next((name for name in reversed(self._running) if name), "the network itself")
        self.bar(values, f"{operation} in {place} mixes or picks channels, or has no rule")

    def _convolution(self, args: tuple[Any, ...], out: Tensor) -> None:
        image, groups = args[0], args[8]
        layer, tracked = self._running[-1], self._of(image)
        if tracked is not None and tracked.axis != 1:
            self._give_up(image, "a convolution over a moved channel axis")
            tracked = None
        if groups == 1:
            if tracked is not None:
                self._record(layer, "in", tracked.ids)
            self._give(out, self._record(layer, "out", self._fresh(out.shape[1])), 1)
            return
        units = self._fresh(groups)
        read = tracked.ids if tracked is not None else self._foreign(image.shape[1])
        self._couple(repeat(units, image.shape[1] // groups), read)
        self._record(layer, "depthwise", units)
        self._give(out, repeat(units, out.shape[1] // groups), 1)

    def _linear(self, features: Tensor, layer: str, out: Tensor) -> None:
        tracked = self._of(features)
        if layer not in self._running[-1:]:
            self._strays.add(layer)
        if tracked is not None and tracked.axis != features.ndim - 1:
            self._give_up(features, "a linear layer over another axis than the channels")
        elif tracked is not None:
            self._record(layer, "in", tracked.ids)
        made = self._record(layer, "out", self._fresh(out.shape[-1]))
        self._give(out, made, out.ndim - 1)

    def _norm(self, operands: list[Tensor], out: Any) -> None:
        layer, tracked = self._running[-1], self._of(operands[0])
        if tracked is not None and tracked.axis == 1:
            self._record(layer, "norm", tracked.ids)
            self._give(out[0], tracked.ids, 1)
        else:
            self._give_up(operands[0], "a batch norm over a moved channel axis")
            self._kept.setdefault(layer, "it scales something else than the channels of layers")

    def _instance_norm(self, layer: str, features: Tensor, out: Tensor) -> None:
        tracked = self._of(features)
        if tracked is not None and tracked.axis == 1:
            self._record(layer, "norm", tracked.ids)
            self._give(out, tracked.ids, 1)
        else:
            self._give_up(features, "an instance norm over a moved channel axis")

    def _is_in_instance_norm(self) -> bool:
        return isinstance(self._layers.get(self._running[-1]), _InstanceNorm)

    def _group_norm(self, args: tuple[Any, ...], out: Any) -> None:
        """Couple the channels of each group, as its mean is over all of them."""
        tracked, count = self._of(args[0]), args[6]
        if tracked is None or tracked.axis != 1 or count == 1:
            self._give_up(args[0], "a norm over all channels")
            return
        width = len(tracked.ids) // count
        firsts = repeat(tracked.ids[::width], width)
        self._couple(firsts, tracked.ids)
        self._record(self._running[-1], "norm", tracked.ids)
        self._give(out[0], tracked.ids, 1)

    def _divide(self, sizes: Callable[..., Division], args: tuple[Any, ...], out: Any) -> None:
        """Couple the k-th channels of equal parts, so that they stay equal; or keep them all."""
        tracked, (axis, width, starts) = self._of(args[0]), sizes(args)
        assert tracked is not None
        parts = [out] if isinstance(out, Tensor) else list(out)
        if tracked.axis != axis:
            for part in parts:
                self._give(part, tracked.ids, tracked.axis)
            return
        count = len(tracked.ids)
        if width is None or count % width or any(start % width for start in starts):
            self._give_up(args[0], "a division into unequal parts")
            return
        self._couple(tracked.ids, tracked.ids[:width] * (count // width))
        for start, part in zip(starts, parts, strict=True):
            self._give(part, tracked.ids[start : start + width], axis)

    def _concatenate(self, parts: list[Tensor], axis: int, out: Tensor) -> None:
        axis %= out.ndim
        tracked = [self._of(part) for part in parts]
        if any(one is not None and one.axis != axis for one in tracked):
            first = tracked[0]
            if first is None or any(one is None or one.axis != first.axis for one in tracked):
                self._give_up(parts, "a concatenation of positions")
                return
            for one in tracked:
                self._couple(first.ids, one.ids if one else ())
            self._give(out, first.ids, first.axis)
            return
        ids: list[int] = []
        for part, one in zip(parts, tracked, strict=True):
            ids.extend(one.ids if one is not None else self._foreign(part.shape[axis]))
        self._give(out, ids, axis)

    def _pointwise(self, operands: list[Tensor], out: Any) -> None:
        """Couple the channels of operands that are added or multiplied position by position."""
        tracked = [(tensor, one) for tensor in operands if (one := self._of(tensor)) is not None]
        places = {one.axis - tensor.ndim for tensor, one in tracked}  # counted from the last axis
        sizes = {len(one.ids) for _, one in tracked}
        if len(places) > 1 or len(sizes) > 1 or out.shape[min(places)] not in sizes:
            self._give_up(operands, "arithmetic that spreads one channel over several")
            return
        place, ids = places.pop(), tracked[0][1].ids
        for _, one in tracked:
            self._couple(ids, one.ids)
        own = [self._biases.get(id(tensor)) in self._running[-1:] for tensor in operands]
        others = [
            tensor
            for tensor, is_own in zip(operands, own, strict=True)
            if self._of(tensor) is None and not is_own
        ]
        self._give(out, ids, out.ndim + place)  # which may be one of the operands, in place
        if any(tensor.ndim >= -place and tensor.shape[place] == len(ids) for tensor in others):
            self.bar(out, "it is added to or multiplied by a tensor that is not cut with it")

    def _move(self, packet: Any, args: tuple[Any, ...], out: Any) -> None:
        """Pass channels on through pooling, resizing, padding, and changes of shape."""
        tracked = self._of(args[0])
        tensor = out[0] if isinstance(out, tuple) else out
        moved = found = None
        if tracked is not None and isinstance(tensor, Tensor):
            moved = axis_after(packet, args, tensor, tracked.axis)
            if moved is None and (
                found := regroup(packet, args, tensor, tracked.ids, tracked.axis)
            ):
                self._couple(found[0], tracked.ids)
                self._give(tensor, found[1], found[2])
                return
        if tracked is None or moved is None:
            self._give_up(args, str(packet))
            self._tracked.pop(id(tensor), None)  # an operand, whose shape changed in place
            return
        self._give(tensor, repeat(tracked.ids, tensor.shape[moved] // len(tracked.ids)), moved)
