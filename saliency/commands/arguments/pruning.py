"""Options of pruning, of saliency models and of any other network."""

import argparse
import logging
from typing import Any

from saliency.commands.arguments.training import add_field
from saliency.pruning.methods.options import PRUNING_CHOICES, PruningOptions


def add_pruning_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the goal, and how channels are chosen; return the group of the latter."""
    goal = parser.add_argument_group("goal, one of")
    for option, field, metavar, kind, does in (
        ("target", "target_ms", "TIME", milliseconds, "time that it may take, such as 4ms"),
        ("speedup", "speedup", "TIMES", float, "how many times faster it is to be, such as 4"),
        ("beta", "beta", "LOSS", float, "rise of the loss (nats) that a unit of the cost is worth"),
    ):
        goal.add_argument(
            f"--{option}",
            dest=field,
            metavar=metavar,
            type=kind,
            default=argparse.SUPPRESS,
            help=does,
        )
    choice = parser.add_argument_group("pruning")

    def add(field: str, does: str, **keywords: Any) -> None:
        add_field(choice, PruningOptions, field, does, choices=PRUNING_CHOICES, **keywords)

    add(
        "method",
        "how channels are chosen: ranking removes those of least --signal; l0 learns gates; lasso "
        "shortens the weights that make a channel, slimming the scales of its batch norms",
    )
    add("estimator", "of the gradient of the gates, with --method l0")
    add("cost", "what a channel costs")
    add("signal", "how ranking estimates the rise of the loss without a channel")
    add("steps", "training steps before each removal", metavar="N")
    add("time_share", "of the present time, that each removal saves", metavar="SHARE")
    add("forget", "share of the signals' past that is forgotten at each removal", metavar="SHARE")
    add(
        "rate_share",
        "learning rates while pruning, as a share of the greatest while fine-tuning",
        metavar="SHARE",
    )
    add(
        "least",
        "of its channels that each group of channels keeps (default: 0.125, which keeps the narrow "
        "groups alive that all later layers read; 0, which is one channel, with ranking)",
        metavar="SHARE",
        type=float,
    )
    return choice


def add_engine_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the engine and its threads; return their group."""
    engine = parser.add_argument_group("engine")

    def add(field: str, does: str, **keywords: Any) -> None:
        add_field(engine, PruningOptions, field, does, choices=PRUNING_CHOICES, **keywords)

    add("engine", "what will run the model")
    add("threads", "of the engine", metavar="N")
    return engine


def milliseconds(text: str) -> float:
    """Return the milliseconds of a time such as `4ms` or `4`."""
    try:
        return float(text.removesuffix("ms"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a time such as 4ms, got {text!r}") from None


def refuse_unused(arguments: argparse.Namespace) -> None:
    """Refuse options that the method does not use.

    Raises:
        ValueError: there is one.
    """
    given = vars(arguments)
    method = given.get("method", PruningOptions.method)
    for field, user in (("estimator", "l0"), ("signal", "ranking"), ("forget", "ranking")):
        if field in given and method != user:
            raise ValueError(
                f"expected --{field} with --method {user}, got --method {method}, which does not "
                f"use it; leave out --{field}, or add --method {user}"
            )


def log_to_terminal() -> None:
    """Show what the package logs, and warnings of all others."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("saliency").setLevel(logging.INFO)
