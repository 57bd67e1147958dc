"""An optimizer's state, cut together with the network that it trains."""

import copy
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import nn

from saliency.pruning.groups import ChannelGroups
from saliency.pruning.latency.exporting import copy_network
from saliency.pruning.surgery import remove_channels


def remove_moments(
    states: Mapping[str, Mapping[str, Any]],
    model: nn.Module,
    groups: ChannelGroups,
    removals: Mapping[str, Collection[int]],
) -> dict[str, dict[str, Any]]:
    """Return an optimizer's state for a network without some channels.

    A moment has the shape of its parameter, so it is cut as the parameter is: a copy of the
    network holds the moments in place of the parameters, and loses its channels. Layers that become
    others as they lose channels (weight standardisation) begin anew.

    Args:
        states: by the name of a parameter, the optimizer's state for it; parameters that never
            had a gradient have none.
        model: the network before its channels are removed; it is not changed.
        groups: its channel groups.
        removals: by group name, which channels go.
    """
    after: dict[str, dict[str, Any]] = {name: {} for name in states}
    anew: set[str] = set()
    for key in dict.fromkeys(key for state in states.values() for key in state):
        carrier = copy_network(model)
        moved = []
        with torch.no_grad():
            for name, parameter in carrier.named_parameters():
                value = states.get(name, {}).get(key)
                if not isinstance(value, torch.Tensor) or value.shape != parameter.shape:
                    if value is not None:
                        after[name][key] = copy.deepcopy(value)
                    continue
                parameter.copy_(value)
                moved.append(name)
        if not moved:
            continue
        pruned = remove_channels(carrier, groups, removals)
        anew |= {
            n
            for n, layer in model.named_modules()
            if type(layer) is not type(pruned.get_submodule(n))
        }
        cut = dict(pruned.named_parameters())
        for name in moved:
            if name in cut:
                after[name][key] = cut[name].detach().clone()
    return {name: state for name, state in after.items() if name.rpartition(".")[0] not in anew}
