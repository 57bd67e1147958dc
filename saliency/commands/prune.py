"""Make a trained model smaller, until its measured time reaches the target.

Channels are removed one at a time: first those that raise the loss least for each millisecond
saved (Theis et al. 2018, Fisher pruning), with times measured on this machine in the
engine that will run the model. The model trains on between removals, and is fine-tuned at the
end, with the unpruned model as teacher beside the fixations. Stop it whenever you like, even with
`kill -9`: `saliency prune --out DIR --resume` continues it.

It writes into --out: model.safetensors and model.onnx, the small model; report.md, .json and .png,
its cost and its loss; latency.json, the measured times, for --table;
pruned.safetensors, the model before fine-tuning; and the state of the run.

`saliency prune measure` measures the times alone: see `saliency prune measure --help`.
`saliency prune MODULE:FUNCTION` prunes any other network: see `saliency prune my:network --help`.

Exit status: 0 when the run has ended, 1 when a file cannot be used or the target cannot be
reached, 2 for a wrong command line, 130 after Ctrl-C.
"""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from saliency.commands.arguments.fields import given_fields, record_of
from saliency.commands.arguments.pruning import (
    add_engine_options,
    add_pruning_options,
    log_to_terminal,
    refuse_unused,
)
from saliency.commands.arguments.training import (
    add_field,
    add_fitting_options,
    add_parts_option,
    add_run_options,
    check_teachers,
    refuse_beside_resume,
)
from saliency.commands.jobs import prune_module
from saliency.commands.jobs.reporting import run_reporting, wait_passively
from saliency.errors import CheckpointError
from saliency.prediction.shipped_models import trainable_model
from saliency.pruning.methods.options import PruningOptions
from saliency.training.options import TrainingOptions
from saliency.training.run_folder import RunFolder

TUNING = TrainingOptions(
    weights="none",
    epochs=24,
    batch_size=8,
    backbone_rate=4e-4,
    readout_rate=1e-3,
    teacher_weight=0.65,
    feature_weight=0.0,
    patience=8,
)
"""How a pruned model is fine-tuned by default."""

MEASURE = """Measure what the layers of a model cost at many numbers of channels, in an engine.

The result is a table for `saliency prune --table`. It holds for this engine and its version, this
device, number of threads and photo size, and is refused for any other. It takes some minutes (in
onnxruntime-int8 up to half an hour); leave the machine alone meanwhile.
"""


@dataclasses.dataclass(frozen=True)
class PruneRunOptions:
    """Everything that decides a run: what is in its `options.json`."""

    model: str
    data: tuple[str, ...]
    photos: str | None
    teacher: tuple[str, ...]
    table: str | None
    pruning: PruningOptions
    training: TrainingOptions
    examples: str | None = None
    parts: str = "hashed"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="saliency prune",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    files = parser.add_argument_group("files")
    files.add_argument(
        "model",
        metavar="MODEL.safetensors",
        nargs="?",
        type=trainable_model,
        help="trained model, or one pruned before; or fast, default or best",
    )
    add_run_options(files, teacher="models to learn from too, instead of the unpruned one")
    add_parts_option(files)
    files.add_argument(
        "--table",
        metavar="FILE",
        help="latency table from `saliency prune measure` (default: measure it, into DIR)",
    )
    choice = add_pruning_options(parser)
    add_field(
        choice,
        TUNING,
        "input_pixels",
        "area in pixels to which photos are resized (default: that of MODEL); MODEL, to which "
        "speedups compare, and a .safetensors --teacher keep theirs",
        choices={},
        type=int,
        metavar="N",
    )
    _add_size(add_engine_options(parser))
    add_fitting_options(parser, TUNING)
    return parser


def build_measure_parser() -> argparse.ArgumentParser:
    """Return the parser of `saliency prune measure`."""
    parser = argparse.ArgumentParser(
        prog="saliency prune measure",
        description=MEASURE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model",
        metavar="MODEL.safetensors",
        nargs="?",
        type=trainable_model,
        help="trained model (default: the network that `saliency train` makes by default)",
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        default=Path("latency.json"),
        help="where to write the table (default: latency.json)",
    )
    _add_size(add_engine_options(parser))
    add_field(
        parser, TUNING, "device", "where torch runs", choices={"device": ("auto", "cpu", "cuda")}
    )
    return parser


def _add_size(engine: argparse._ArgumentGroup) -> None:
    engine.add_argument(
        "--size",
        metavar="HEIGHTxWIDTH",
        type=image_size,
        default=argparse.SUPPRESS,
        help="of the photo for which time counts, as the network gets it (default: those of a "
        "photo of 4:3 at the area at which the model looks at it)",
    )


def parse_arguments(words: Sequence[str]) -> argparse.Namespace:
    """Return the options of either form of the command."""
    if words[:1] == ["measure"]:
        return build_measure_parser().parse_args(words[1:])
    if prune_module.are_for_a_module(words):
        return prune_module.build_parser().parse_args(words)
    return build_parser().parse_args(words)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["measure"]:
        return _measure(parse_arguments(words))
    if prune_module.are_for_a_module(words):
        return prune_module.main(words)
    parser = build_parser()
    arguments = parse_arguments(words)
    check_teachers(parser, arguments.teacher)
    asked = None
    if arguments.resume:
        refuse_beside_resume(parser, arguments)
    elif arguments.model is None or not arguments.data:
        parser.error("expected a MODEL.safetensors and at least one --data LAYOUT:PATH")
    else:
        try:
            asked = _options_of_command_line(arguments)
        except ValueError as error:
            parser.error(str(error))
    log_to_terminal()
    return run_reporting("prune", lambda: _prune(asked, RunFolder(arguments.out)))


def image_size(text: str) -> tuple[int, int]:
    """Return the height and width of `HEIGHTxWIDTH`."""
    height, cross, width = text.partition("x")
    if not (cross and height.isdecimal() and width.isdecimal() and int(height) * int(width)):
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH such as 240x320, got {text!r}")
    return int(height), int(width)


def _measure(arguments: argparse.Namespace) -> int:
    try:
        options = PruningOptions(speedup=2.0, **given_fields(arguments, PruningOptions))
    except ValueError as error:
        build_measure_parser().error(str(error))
    log_to_terminal()

    def run() -> int:
        from saliency.compression.latency_tables import measure  # noqa: PLC0415  torch takes many seconds

        table = measure(
            arguments.model,
            engine=options.engine,
            threads=options.threads,
            device=vars(arguments).get("device", TUNING.device),
            size=options.size,
            out=arguments.out,
        )
        print(f"written: {arguments.out}, {len(table.rows)} rows for {table.conditions.device}")
        return 0

    return run_reporting("prune", run)


def _prune(asked: PruneRunOptions | None, folder: RunFolder) -> int:
    """Start the run that is asked for, or continue the one in the folder."""
    from saliency.training.data import read_training_data  # noqa: PLC0415  scipy takes a second

    options = asked or _options_of_run(folder)
    unpruned = folder.path / "unpruned.safetensors"
    data = read_training_data(
        options.data,
        photos=options.photos,
        teachers=options.teacher or (str(unpruned),),
        parts=options.parts,
        examples=options.examples,
    )
    if asked:
        _start(folder, asked)
    wait_passively("prune", options.training.torch_threads)
    from saliency.compression.compress import prune  # noqa: PLC0415  torch and timm take many seconds

    outcome = prune(
        Path(options.model),
        data,
        options=options.pruning,
        training=options.training,
        folder=folder.path,
        table=None if options.table is None else Path(options.table),
    )
    shown = ", ".join(f"{name} {value:.4f}" for name, value in outcome.result.items())
    print(f"{shown}\nwritten: {folder.model}, {folder.onnx}, {folder.path / 'report.md'}")
    if options.pruning.engine == "onnxruntime-int8":
        print(
            f"{folder.onnx} computes in float32; for 8-bit integers: "
            f"saliency export {folder.model} --int8 PHOTOS --out int8.onnx"
        )
    return 0


def _start(folder: RunFolder, options: PruneRunOptions) -> None:
    """Create the folder of a run, in which that of the pruning itself lies.

    Raises:
        CheckpointError: it holds a run already, or cannot be written.
    """
    pruning = folder.path / "pruning"
    if (pruning / "state.pt").exists() or (folder.path / "pruned.safetensors").exists():
        raise CheckpointError(
            f"{folder.path} holds a run already; continue it with --resume, or name another --out"
        )
    folder.start(options)
    pruning.mkdir(exist_ok=True)


def _options_of_command_line(arguments: argparse.Namespace) -> PruneRunOptions:
    training = dataclasses.replace(TUNING, **given_fields(arguments, TrainingOptions))
    if training.devices > 1 or training.nodes > 1:
        raise ValueError("expected one device to prune on; train on several afterwards")
    if training.precision == "16-mixed":
        raise ValueError("the signal needs gradients as they are: expected another --precision")
    refuse_unused(arguments)
    return PruneRunOptions(
        model=str(arguments.model),
        data=tuple(arguments.data),
        photos=arguments.photos,
        examples=arguments.examples,
        teacher=tuple(arguments.teacher or ()),
        table=arguments.table,
        parts=arguments.parts or "hashed",
        pruning=record_of(PruningOptions, arguments),
        training=training,
    )


def _options_of_run(folder: RunFolder) -> PruneRunOptions:
    stored = folder.read_options()
    if "network" in stored:
        raise CheckpointError(
            f"the run in {folder.path} was begun by saliency prune MODULE:FUNCTION; give that "
            "command once more, with --resume"
        )
    try:
        pruning, training = stored.pop("pruning"), stored.pop("training")
        size = None if pruning["size"] is None else tuple(pruning["size"])
        return PruneRunOptions(
            **{**stored, "data": tuple(stored["data"]), "teacher": tuple(stored["teacher"])},
            pruning=PruningOptions(**{**pruning, "size": size}),
            training=TrainingOptions(**{**training, "levels": tuple(training["levels"])}),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{folder.path} holds no run that this version can continue ({error}); "
            "use the version that began it, or start anew in another --out"
        ) from error
