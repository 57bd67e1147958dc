"""Choose the method that the options name."""

from torch import nn

from saliency.pruning.groups import ChannelGroups
from saliency.pruning.methods.gates import L0Gates
from saliency.pruning.methods.method import RemovalMethod
from saliency.pruning.methods.options import PruningOptions
from saliency.pruning.methods.ranking import Ranking
from saliency.pruning.methods.sparsity import GroupSparsity
from saliency.pruning.penalties.group_sparsity import Side


def create_method(
    model: nn.Module, groups: ChannelGroups, options: PruningOptions, *, seed: int
) -> RemovalMethod:
    """Return the method of the options, at the beginning of a run.

    Args:
        model: the unpruned network.
        groups: its channel groups.
        options: how to prune.
        seed: of everything random.

    Raises:
        PruningError: the network has nothing that the method could work on.
    """
    if options.method == "l0":
        return L0Gates(groups, options, seed=seed)
    if options.method == "ranking":
        return Ranking(groups, options, seed=seed)
    side: Side = "weights" if options.method == "lasso" else "scales"
    return GroupSparsity(model, groups, options, side=side)
