"""Write docs/reference/cli.md and python.md from the parsers and the docstrings themselves.

python docs/generate_reference.py
"""

import argparse
import inspect
import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import saliency
from saliency.commands import VERBS, prune
from saliency.commands.jobs import prune_module

FOLDER = Path(__file__).parent / "reference"
PRUNING = {
    "loop.prune": ("prune",),
    "loop.pruned_network": ("PrunedNetwork", "load"),
    "methods.options": ("PruningOptions",),
    "groups": ("find_groups", "ChannelGroups", "ChannelGroup"),
    "signals": ("SignalCollector",),
    "fisher": ("empirical_fisher", "true_fisher", "parameter_signals"),
    "penalties.ewc": ("AnchorPenalty", "read_fisher", "write_fisher"),
    "penalties.group_sparsity": ("proximal_step", "closed_channels", "sparsity_penalty"),
    "penalties.l0": ("GateGradient", "open_probability", "relaxed_gates", "final_gates"),
    "penalties.fisher_rao": ("fisher_rao_norm", "diagonal_fisher_rao_norm"),
    "costs": ("latency_cost", "NetworkCost"),
    "latency.exporting": ("export_copy",),
    "latency.measuring": ("measure_table",),
    "latency.quantization": ("quantize",),
    "selection": ("Selection", "Decision"),
    "surgery": ("remove_channels", "channel_counts", "resize_layers"),
    "compensation": ("remove_and_compensate",),
}
_WIDTH = "100"  # of the help texts, whatever terminal this runs in


def command_line() -> str:
    """Return the page of the command line: the help of every verb, and of the verbs below it."""
    os.environ["COLUMNS"] = _WIDTH
    parts = [
        "# Command line",
        "Written by `python docs/generate_reference.py` from the parsers: what `saliency VERB "
        "--help` prints.",
    ]
    for verb in VERBS:
        parser = import_module(f"saliency.commands.{verb}").build_parser()
        for name, one in _with_children(f"saliency {verb}", parser):
            parts.append(f"## {name}\n\n```text\n{one.format_help().strip()}\n```")
    for name, parser in (
        ("measure", prune.build_measure_parser()),
        ("MODULE:FUNCTION", prune_module.build_parser()),
    ):
        parts.append(f"## saliency prune {name}\n\n```text\n{parser.format_help().strip()}\n```")
    return "\n\n".join(parts) + "\n"


def python() -> str:
    """Return the page of the public names: their signatures and docstrings."""
    parts = [
        "# Python",
        "Written by `python docs/generate_reference.py` from the docstrings.",
        "## saliency",
        *(_entry(name, getattr(saliency, name)) for name in saliency.__all__),
    ]
    for module, names in PRUNING.items():
        found = import_module(f"saliency.pruning.{module}")
        parts.append(f"## saliency.pruning.{module}")
        parts += [_entry(name, getattr(found, name)) for name in names]
    return "\n\n".join(parts) + "\n"


def _with_children(
    name: str, parser: argparse.ArgumentParser
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield a parser and those of its verbs, by name."""
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from ((f"{name} {verb}", one) for verb, one in action.choices.items())


def _entry(name: str, what: Any) -> str:
    """Return the part of a page on a function or a class with its public methods."""
    parts = [f"### {name}", _described(name, what)]
    if inspect.isclass(what):
        for method, function in vars(what).items():
            if not method.startswith("_") and inspect.isfunction(function):
                parts.append(_described(f"{name}.{method}", function))
    return "\n\n".join(parts)


def _described(name: str, what: Any) -> str:
    """Return a signature, by its names alone, and the docstring below it."""
    target = what.__init__ if inspect.isclass(what) else what
    names = [
        f"{'*' * (one.kind - 1) if one.kind in (2, 4) else ''}{one.name}"
        for one in inspect.signature(target).parameters.values()
        if one.name != "self"
    ]
    text = inspect.getdoc(what) or ""
    return f"```text\n{name}({', '.join(names)})\n\n{text}\n```"


if __name__ == "__main__":
    (FOLDER / "cli.md").write_text(command_line(), encoding="utf-8")
    (FOLDER / "python.md").write_text(python(), encoding="utf-8")
