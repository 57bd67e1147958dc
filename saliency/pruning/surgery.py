"""Networks with fewer channels: removing some of a group, or rebuilding stored sizes."""

from collections.abc import Collection, Mapping, Sequence

from torch import nn

from saliency.pruning.channels.attention import cut_heads, head_counts
from saliency.pruning.channels.bare import bare_axis, bare_tensors, cut_bare
from saliency.pruning.channels.cutting import cut_channels, cut_layer
from saliency.pruning.channels.layers import (
    GROUP_NORMS,
    NORMS,
    Side,
    channel_layers,
    count_channels,
    count_groups,
)
from saliency.pruning.groups import ChannelGroups, removed_indexes
from saliency.pruning.latency.exporting import copy_network

Counts = dict[str, tuple[int, int]]


def remove_channels(
    model: nn.Module, groups: ChannelGroups, removals: Mapping[str, Collection[int]]
) -> nn.Module:
    """Return a copy of a network without some channels of its groups.

    The copy computes what the network does with those channels' gates at zero; its groups are
    `remaining_groups`. timm's `feature_info` keeps the old counts.

    Args:
        model: the network that the groups were found in; it is not changed.
        groups: its channel groups.
        removals: by group name, which channels go, numbered from 0 to the group's size − 1.

    Raises:
        ValueError: no such group or channel, or no channel would be left.
    """
    pruned = copy_network(model)
    for (layer, side), removed in removed_indexes(groups, removals).items():
        cut_channels(pruned, layer, side, removed)
    return pruned


def remaining_outputs(
    model: nn.Module, groups: ChannelGroups, removals: Mapping[str, Collection[int]]
) -> dict[str, list[int]]:
    """Return, for each layer, which of the channels that it makes are left after a removal.

    Raises:
        ValueError: no such group or channel, or no channel would be left.
    """
    gone = removed_indexes(groups, removals)
    left = {}
    for name, layer in channel_layers(model).items():
        makes, count = count_channels(layer)[1], count_groups(layer)
        side: Side = "depthwise" if count > 1 else "out"
        if isinstance(layer, (*NORMS, *GROUP_NORMS)):
            side = "norm"
        width = makes // count if count > 1 else 1  # what a group of a grouped convolution makes
        removed = gone.get((name, side), set())
        left[name] = [channel for channel in range(makes) if channel // width not in removed]
    return left


def channel_counts(model: nn.Module) -> Counts:
    """Return how many channels each layer reads and makes, and how many other parameters have."""
    bare = {name: values.shape[bare_axis(values)] for name, values in bare_tensors(model).items()}
    return layer_counts(model) | {
        name: (count, count) for name, count in (bare | head_counts(model)).items()
    }


def layer_counts(model: nn.Module) -> Counts:
    """Return how many channels each convolution, linear layer and norm reads and makes."""
    return {name: count_channels(layer) for name, layer in channel_layers(model).items()}


def resize_layers(model: nn.Module, counts: Mapping[str, Sequence[int]]) -> nn.Module:
    """Return a copy of an unpruned network with layers of these sizes, for weights to be loaded.

    Args:
        model: the network before pruning; it is not changed. The copy keeps the first channels.
        counts: what `channel_counts` gave for the pruned network, perhaps through JSON.

    Raises:
        ValueError: other layers, or a layer that would have to grow or be split.
    """
    resized = copy_network(model)
    layers, heads, present = channel_layers(resized), head_counts(model), channel_counts(resized)
    unlike = sorted({*(set(layers) - set(counts)), *(set(counts) - set(present))})
    if unlike:
        raise ValueError(
            f"expected the sizes of the network's layers, which differ in {unlike[:3]}"
        )
    for name, wanted in counts.items():
        if name in layers:
            _resize(name, layers[name], wanted)
        elif name in heads:
            cut_heads(resized.get_submodule(name), _last(name, wanted[0], heads[name]))
        else:
            cut_bare(resized, name, _last(name, wanted[0], present[name][0]))
    return resized


def _last(name: str, wanted: int, count: int) -> range:
    if not 0 < wanted <= count:
        raise ValueError(f"expected at most {count} channels of {name}, got {wanted}")
    return range(wanted, count)


def _resize(name: str, layer: nn.Module, wanted: Sequence[int]) -> None:
    """Cut the last channels of a layer off, in place."""
    (read, made), (reads, makes) = wanted, count_channels(layer)
    width = reads // count_groups(layer)  # what a group of a grouped convolution reads
    if not (0 < read <= reads and 0 < made <= makes):
        raise ValueError(f"expected at most {(reads, makes)} channels of {name}, got {wanted}")
    if isinstance(layer, (*NORMS, *GROUP_NORMS)):
        cut_layer(layer, "norm", range(made, makes))
    elif count_groups(layer) > 1:
        cut_layer(layer, "depthwise", range(max(read // width, 1), reads // width))
    else:
        cut_layer(layer, "in", range(read, reads))
        cut_layer(layer, "out", range(made, makes))
    if count_channels(layer) != (read, made):
        raise ValueError(
            f"expected channels of {name} in whole groups, such as {count_channels(layer)}, "
            f"got {wanted}"
        )
