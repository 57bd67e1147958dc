"""Make networks faster by removing channels, against times measured on this machine.

    import saliency.pruning as pruning

    result = pruning.prune(model, example, loader, loss, validate=accuracy, target_ms=4.0)
    result.save("small.safetensors")
    small = pruning.load("small.safetensors", create_model())

It knows nothing of saliency. Importing it loads nothing: a public name is fetched from its module
when it is first used. `__init__.pyi` beside this file declares the same for type checkers.
"""

from importlib import import_module

__all__ = ["PrunedNetwork", "PruningOptions", "find_groups", "load", "prune", "resize"]

_HOMES = {
    "PrunedNetwork": ("loop.pruned_network", "PrunedNetwork"),
    "PruningOptions": ("methods.options", "PruningOptions"),
    "find_groups": ("groups", "find_groups"),
    "load": ("loop.pruned_network", "load"),
    "prune": ("loop.prune", "prune"),
    "resize": ("surgery", "resize_layers"),
}


def __getattr__(name: str) -> object:
    """Fetch a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, inner = _HOMES[name]
    return getattr(import_module(f"{__name__}.{module}"), inner)


def __dir__() -> list[str]:
    """List the public names, those not fetched yet among them."""
    return sorted({*globals(), *__all__})
