r"""Make any network fast on this machine, by functions of a module of your own.

    saliency prune my_module:create_model --example 1x3x224x224 --train my_module:task \
        --speedup 2 --out runs/mine

`create_model()` returns the trained network. `task()` returns what `saliency.pruning.prune` is
given, as a dictionary: `batches` and `loss`, and perhaps `validate` and `make_optimizer`. Modules
are looked for in this folder, too.

It writes into --out: pruned.safetensors, the weights and the channel counts, for
`saliency.pruning.load`; pruned.onnx; report.md, .json and .png; latency.json, the measured times,
for --table; and the state of the run. Stop it whenever you like, even with `kill -9`: the same
command with --resume continues it.
"""

import argparse
import inspect
import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from saliency.commands.arguments.fields import given_fields
from saliency.commands.arguments.pruning import (
    add_engine_options,
    add_pruning_options,
    log_to_terminal,
    refuse_unused,
)
from saliency.commands.jobs.reporting import run_reporting, wait_passively
from saliency.errors import PruningError, first_line
from saliency.pruning.methods.options import PruningOptions

_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.\w+)*:[A-Za-z_]\w*")
_TASK = {"batches", "loss", "validate", "make_optimizer"}


def are_for_a_module(words: Sequence[str]) -> bool:
    """Return whether a command line is that of `saliency prune MODULE:FUNCTION`, perhaps wrong."""
    has_function = bool(words) and _FUNCTION.fullmatch(words[0]) is not None
    return has_function or any(word.partition("=")[0] == "--train" for word in words)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `saliency prune MODULE:FUNCTION`."""
    parser = argparse.ArgumentParser(
        prog="saliency prune",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    files = parser.add_argument_group("network")
    files.add_argument(
        "model", metavar="MODULE:FUNCTION", type=function_name, help="returns the trained network"
    )
    files.add_argument(
        "--example",
        metavar="SIZES",
        nargs="+",
        type=sizes,
        required=True,
        help="of each of its inputs, such as 1x3x224x224: times are for these",
    )
    files.add_argument(
        "--train",
        metavar="MODULE:FUNCTION",
        type=function_name,
        required=True,
        help="returns batches and loss, and perhaps validate and make_optimizer",
    )
    files.add_argument("--out", metavar="DIR", type=Path, required=True, help="for all files")
    files.add_argument("--resume", action="store_true", help="continue the run in DIR")
    files.add_argument("--table", metavar="FILE", type=Path, help="latency table of this network")
    files.add_argument(
        "--budget",
        metavar="SECONDS",
        type=float,
        default=180.0,
        help="time in which the table is measured (default: 180)",
    )
    files.add_argument(
        "--tuning-steps",
        metavar="N",
        type=int,
        default=1000,
        help="of training at the end (default: 1000)",
    )
    files.add_argument("--seed", metavar="N", type=int, default=0, help="(default: 0)")
    add_pruning_options(parser)
    add_engine_options(parser)
    return parser


def main(argv: Sequence[str]) -> int:
    """Run the command and return its exit status."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    options = given_fields(arguments, PruningOptions)
    try:
        refuse_unused(arguments)
        PruningOptions(**options)
    except ValueError as error:
        parser.error(str(error))
    log_to_terminal()
    return run_reporting("prune", lambda: _prune(arguments, options))


def function_name(text: str) -> str:
    """Return the name of a function, checked."""
    if _FUNCTION.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"expected MODULE:FUNCTION, got {text!r}")
    return text


def sizes(text: str) -> tuple[int, ...]:
    """Return the sizes of a tensor, such as `1x3x224x224`."""
    parts = text.split("x")
    if not all(part.isdecimal() and int(part) for part in parts):
        raise argparse.ArgumentTypeError(f"expected sizes such as 1x3x224x224, got {text!r}")
    return tuple(map(int, parts))


def _prune(arguments: argparse.Namespace, options: dict[str, Any]) -> int:
    model, task = (_called(name) for name in (arguments.model, arguments.train))
    if not isinstance(task, dict) or not {"batches", "loss"} <= set(task) <= _TASK:
        shown = sorted(map(str, task)) if isinstance(task, dict) else type(task).__name__
        raise PruningError(
            f"expected {arguments.train} to return a dictionary with batches and loss, and perhaps "
            f"validate and make_optimizer, got {shown}"
        )
    threads = 1 if os.environ.get("OMP_NUM_THREADS") == "1" else None
    wait_passively("prune", threads, remedy="OMP_NUM_THREADS=1")
    import torch  # noqa: PLC0415  takes seconds, which --help does not need

    from saliency.pruning.loop.prune import prune  # noqa: PLC0415  as above

    if not isinstance(model, torch.nn.Module):
        raise PruningError(
            f"expected {arguments.model} to return a torch.nn.Module, got {type(model).__name__}"
        )
    generator = torch.Generator().manual_seed(0)
    example = tuple(torch.rand(shape, generator=generator) for shape in arguments.example)
    result = prune(
        model,
        example,
        **task,
        tuning_steps=arguments.tuning_steps,
        table=arguments.table,
        budget_seconds=arguments.budget,
        folder=arguments.out,
        resume=arguments.resume,
        seed=arguments.seed,
        **options,
    )
    result.export_onnx(arguments.out / "pruned.onnx")
    first, last = result.points[0], result.points[-1]
    scores = f", score {first['score']:.4f} to {last['score']:.4f}" if "score" in last else ""
    print(
        f"{first['measured_ms']:.2f} ms to {last['measured_ms']:.2f} ms "
        f"({last['speedup']:.2f} times faster){scores}\nwritten: "
        f"{arguments.out / 'pruned.safetensors'}, {arguments.out / 'pruned.onnx'}, "
        f"{arguments.out / 'report.md'}"
    )
    if options.get("engine") == "onnxruntime-int8":
        print(
            f"{arguments.out / 'pruned.onnx'} computes in float32; "
            "saliency.pruning.latency.quantization.quantize makes it compute in 8-bit integers"
        )
    return 0


def _called(name: str) -> Any:
    """Return what a function of a module returns.

    Raises:
        PruningError: there is no such module or function.
    """
    module, _, function = name.partition(":")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        found = getattr(import_module(module), function)
    except (ImportError, AttributeError, SyntaxError) as error:
        raise PruningError(f"cannot find {name}: {first_line(error)}") from error
    if not callable(found) or not _takes_nothing(found):
        raise PruningError(f"expected {name} to be a function without arguments, got {found!r}")
    return found()


def _takes_nothing(function: Any) -> bool:
    """Return whether a function can be called without arguments; true where that is unknown."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return True
    others = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return all(one.default is not one.empty or one.kind in others for one in parameters)
