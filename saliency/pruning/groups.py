"""Channel groups: the channels of a network that must be removed together."""

import dataclasses
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from saliency.errors import PruningError
from saliency.pruning.channels.layers import Side
from saliency.pruning.channels.tracing import ChannelTracer
from saliency.pruning.channels.trial import Cut, Trial, copy_structure

Places = dict[int, list[int]]
"""On a side of a layer, by channel, its indexes there."""


@dataclass(frozen=True)
class Slice:
    """One layer's side in a channel group.

    Attributes:
        layer: dotted name of the layer.
        side: `out` and `in` for the channels that a convolution or linear layer makes and reads,
            `norm` for those that a batch norm scales, `depthwise` for the groups of a grouped
            convolution, which go whole, with what they read and make.
        channels: for each channel of the group, the indexes that it covers on this side.
    """

    layer: str
    side: Side
    channels: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that are removed together: the k-th of every slice, or none of them.

    Attributes:
        name: dotted name of the first layer that makes them; with its first index in brackets
            where an earlier group has that name.
        size: how many channels there are to choose from.
        slices: every layer that makes, scales or reads them, in order of execution.
    """

    name: str
    size: int
    slices: tuple[Slice, ...]


@dataclass(frozen=True)
class ChannelGroups:
    """All channels of a network: groups that can be pruned, and why the others cannot.

    Attributes:
        prunable: in order of execution.
        unprunable: the others, each with the reason.
    """

    prunable: tuple[ChannelGroup, ...]
    unprunable: tuple[tuple[ChannelGroup, str], ...]

    def by_name(self) -> dict[str, ChannelGroup]:
        """Return the prunable groups by their names."""
        return {group.name: group for group in self.prunable}

    def sizes(self) -> dict[str, int]:
        """Return how many channels each prunable group has, by its name."""
        return {group.name: group.size for group in self.prunable}


def find_groups(model: nn.Module, *example: Any, **keywords: Any) -> ChannelGroups:
    """Return the channel groups of a network, found by running copies of it a few times.

    Only what the network does with this example is traced; a path that another input would take is
    not. Inputs and outputs of the network keep their channels. A third of each group is removed on
    a copy; a group without which the network fails or computes something else is unprunable.

    Args:
        model: any module of convolutions, linear layers and batch norms; it is not changed.
        example: its arguments; small ones are enough.
        keywords: its arguments by keyword.

    Raises:
        PruningError: no group can be pruned; the message has the most frequent reason. Or a part is
            compiled or scripted, and would go on with the code for all of its channels.
    """
    _refuse_compiled(model)
    with torch.compiler.set_stance("force_eager"):  # of functions that the network compiled
        tracer = _trace(copy_structure(model), example, keywords)
        groups = _tried(_gather(tracer), Trial(model, example, keywords))
    if not groups.prunable:
        reasons = [reason for _, reason in groups.unprunable] or ["it has no convolutions"]
        raise PruningError(
            f"{type(model).__name__} has no channels that can be removed: "
            f"{max(reasons, key=reasons.count)}; prune a network of convolutions, linear layers "
            "and batch norms, together with the layers that read its feature maps"
        )
    return groups


def _trace(model: nn.Module, example: tuple[Any, ...], keywords: dict[str, Any]) -> ChannelTracer:
    """Follow the channels through a network; in training mode too, if some layers run only there.

    The parts that have no parts themselves stay in evaluation mode: batch norms would want several
    examples, and dropout needs none.
    """
    tracer = ChannelTracer(model)
    tracer.follow(model, example, keywords)
    if tracer.idle():
        for part in model.modules():
            part.training = next(part.children(), None) is not None
        try:
            tracer.follow(model, example, keywords)
        except Exception:  # it may want targets, or whatever else
            tracer.bar_feeds(sorted(tracer.idle()))
    tracer.close()
    return tracer


def _refuse_compiled(model: nn.Module) -> None:
    for name, part in model.named_modules():
        place = name or "the network"
        if hasattr(part, "_orig_mod"):
            raise PruningError(
                f"expected a network that is not compiled, {place} is; prune what was given to "
                "torch.compile, and compile the result"
            )
        if isinstance(part, torch.jit.ScriptModule):
            raise PruningError(
                f"expected a network in Python, {place} is scripted; prune it as it was before "
                "torch.jit, and script the result"
            )


def _tried(groups: ChannelGroups, trial: Trial) -> ChannelGroups:
    """Move the groups that a network cannot do without to the unprunable ones."""
    cuts = [_cut_of(group, range(1, group.size, 3)) for group in groups.prunable]
    tried = list(zip(groups.prunable, trial.obstacles(cuts), strict=True))
    working = tuple(group for group, obstacle in tried if obstacle is None)
    failing = tuple((group, obstacle) for group, obstacle in tried if obstacle is not None)
    return ChannelGroups(working, (*groups.unprunable, *failing))


def _cut_of(group: ChannelGroup, channels: Iterable[int]) -> Cut:
    """Return the indexes that go with channels of a group."""
    gone = list(channels)
    return {
        (part.layer, part.side): [index for channel in gone for index in part.channels[channel]]
        for part in group.slices
    }


def _gather(tracer: ChannelTracer) -> ChannelGroups:
    """Join the channels that touch the same sides of the same layers into groups."""
    reasons: dict[int, str] = {}
    for channel, reason in tracer.barred.items():
        reasons.setdefault(tracer.find(channel), reason)
    places: dict[tuple[int, ...], Places] = {}  # what layers share is looked at once
    keys: dict[tuple[str, Side], Places] = {}
    touching: dict[int, list[Places]] = {}
    for key, ids in tracer.members.items():
        if ids not in places:
            indexes: Places = {}
            for index, root in enumerate(map(tracer.find, ids)):
                indexes.setdefault(root, []).append(index)
            for root in indexes:
                touching.setdefault(root, []).append(indexes)
            places[ids] = indexes
        keys[key] = places[ids]
    alike: dict[tuple[tuple[int, ...], str | None], list[int]] = {}
    for root, found in touching.items():
        alike.setdefault((tuple(map(id, found)), reasons.get(root)), []).append(root)
    prunable: list[ChannelGroup] = []
    unprunable: list[tuple[ChannelGroup, str]] = []
    names: set[str] = set()
    for (_, barrier), roots in alike.items():
        sides = {key: one for key, one in keys.items() if roots[0] in one}
        if all(side in ("parameter", "heads") for _, side in sides):
            continue  # of parameters alone, with which no layer has to do
        group = _group(roots, sides, names)
        names.add(group.name)
        why_not = barrier or _obstacle(group)
        if why_not is None:
            prunable.append(group)
        else:
            unprunable.append((group, why_not))
    return ChannelGroups(tuple(prunable), (*unprunable, *_unseen(tracer)))


def _unseen(tracer: ChannelTracer) -> Iterable[tuple[ChannelGroup, str]]:
    """Yield the layers that were not followed, as groups without slices."""
    for layer, reason in tracer.unseen().items():
        yield ChannelGroup(layer, tracer.makes(layer), ()), reason


def _group(
    roots: list[int], places: Mapping[tuple[str, Side], Places], names: set[str]
) -> ChannelGroup:
    columns = {
        key: tuple(tuple(one[root]) for root in roots)
        for key, one in {id(one): one for one in places.values()}.items()
    }  # one for all layers that share the channels
    slices = tuple(Slice(*key, columns[id(one)]) for key, one in places.items())
    makers = [part for part in slices if part.side == "out"] or list(slices)
    name = makers[0].layer
    if name in names:
        name += f"[{makers[0].channels[0][0]}]"
    return ChannelGroup(name, len(roots), slices)


def _obstacle(group: ChannelGroup) -> str | None:
    if not any(part.side == "in" for part in group.slices):
        return "no convolution or linear layer reads it"
    if not any(part.side in ("out", "depthwise", "heads") for part in group.slices):
        return "no convolution or linear layer makes it"
    return "it has one channel only" if group.size == 1 else None


def choose(groups: ChannelGroups, names: Iterable[str]) -> dict[str, ChannelGroup]:
    """Return the groups of these names.

    Raises:
        ValueError: there is no prunable group of such a name.
    """
    known = groups.by_name()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(
            f"expected a prunable channel group such as {next(iter(known))!r}, got {unknown[0]!r}"
        )
    return {name: known[name] for name in names}


def removed_indexes(
    groups: ChannelGroups, removals: Mapping[str, Collection[int]]
) -> dict[tuple[str, Side], set[int]]:
    """Return, for each side of each layer, the indexes that go with channels of groups.

    Args:
        groups: the channel groups of a network.
        removals: by group name, which channels go, numbered from 0 to the group's size − 1.

    Raises:
        ValueError: no such group or channel, or no channel would be left.
    """
    gone: dict[tuple[str, Side], set[int]] = {}
    for name, group in choose(groups, removals).items():
        if not set(removals[name]) < set(range(group.size)):
            raise ValueError(
                f"expected some but not all of the channels 0 to {group.size - 1} of {name}, "
                f"got {sorted(removals[name])}"
            )
        for place, indexes in _cut_of(group, removals[name]).items():
            gone.setdefault(place, set()).update(indexes)
    return gone


def remaining_groups(
    groups: ChannelGroups, removals: Mapping[str, Collection[int]]
) -> ChannelGroups:
    """Return the groups of the network that `remove_channels` makes, without running it.

    Names stay as they are, and a group's channels keep their order.

    Raises:
        ValueError: no such group or channel, or no channel would be left.
    """
    gone = removed_indexes(groups, removals)
    prunable: list[ChannelGroup] = []
    unprunable = [(_renumbered(group, set(), gone), why) for group, why in groups.unprunable]
    for group in groups.prunable:
        rest = _renumbered(group, set(removals.get(group.name, ())), gone)
        obstacle = _obstacle(rest)
        if obstacle is None:
            prunable.append(rest)
        else:
            unprunable.append((rest, obstacle))
    return ChannelGroups(tuple(prunable), tuple(unprunable))


def _renumbered(
    group: ChannelGroup, removed: set[int], gone: Mapping[tuple[str, Side], set[int]]
) -> ChannelGroup:
    """Return the rest of a group, with the indexes that it has after the cut."""
    slices = []
    for part in group.slices:
        cut = sorted(gone.get((part.layer, part.side), ()))
        kept = (covered for k, covered in enumerate(part.channels) if k not in removed)
        moved = (tuple(index - bisect_left(cut, index) for index in covered) for covered in kept)
        slices.append(dataclasses.replace(part, channels=tuple(moved)))
    return ChannelGroup(group.name, group.size - len(removed), tuple(slices))
