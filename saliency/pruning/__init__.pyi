from saliency.pruning.groups import find_groups as find_groups
from saliency.pruning.loop.prune import prune as prune
from saliency.pruning.loop.pruned_network import PrunedNetwork as PrunedNetwork
from saliency.pruning.loop.pruned_network import load as load
from saliency.pruning.methods.options import PruningOptions as PruningOptions
from saliency.pruning.surgery import resize_layers as resize

__all__ = ["PrunedNetwork", "PruningOptions", "find_groups", "load", "prune", "resize"]
