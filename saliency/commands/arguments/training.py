"""Options of commands that are fields of a dataclass, which is the source of their defaults."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saliency.training.options import CHOICES, PARTS, TrainingOptions


def add_field(
    group: Any, defaults: Any, field: str, does: str, *, choices: Mapping[str, Any], **keywords: Any
) -> None:
    """Add the option of a field, of the field's name, default and type.

    Args:
        group: of an argument parser.
        defaults: a dataclass or an instance, whose attribute is the default that is shown.
        field: name of the attribute.
        does: what the option is for.
        choices: by field, what it may be.
        keywords: of `add_argument`, such as `metavar`.
    """
    default = getattr(defaults, field)
    shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
    if field in choices:
        keywords["choices"] = choices[field]
    else:
        keywords.setdefault("type", type(default))
    group.add_argument(
        f"--{field.replace('_', '-')}",
        default=argparse.SUPPRESS,
        help=does if default is None else f"{does} (default: {shown})",
        **keywords,
    )


def refuse_beside_resume(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """End the program if options are given beside --resume, which takes the run's own."""
    given = {name for name, value in vars(arguments).items() if value is not None}
    if given := given - {"out", "resume"}:
        named = (f"--{name.removesuffix('_ms').replace('_', '-')}" for name in sorted(given))
        parser.error(f"--resume takes the run's own options: leave out {', '.join(named)}")


def add_run_options(files: Any, *, teacher: str) -> None:
    """Add a run's folder and what it learns from; `teacher` is the help text of that option."""
    files.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder of the run")
    files.add_argument(
        "--resume", action="store_true", help="continue the run in DIR, with its own options"
    )
    files.add_argument(
        "--data",
        metavar="LAYOUT:PATH",
        action="append",
        help="data set to learn from, such as osie:PATH; may be given several times; 3*osie:PATH "
        "shows its images three times in an epoch",
    )
    files.add_argument(
        "--teacher",
        metavar="MODEL",
        action="append",
        help=f"{teacher}: .onnx files, whose mean density of each photo is learned, or one "
        ".safetensors file, which is shown each variant of a photo",
    )
    files.add_argument(
        "--photos", metavar="DIR", help="folder of photos on which to learn from the teachers"
    )
    files.add_argument(
        "--examples",
        metavar="DIR",
        help="folder of the kept --variants, which runs may share (default: examples in --out)",
    )


def add_fold_options(group: Any, *, does: str) -> None:
    """Add --folds and --fold; `does` describes what happens to the images of the fold."""
    group.add_argument(
        "--folds",
        metavar="COUNT",
        type=_fold_number,
        help="split the images into COUNT folds by their names (with --fold)",
    )
    group.add_argument(
        "--fold",
        metavar="NUMBER",
        type=_fold_number,
        help=f"which fold, counted from 1: its images {does} (with --folds)",
    )


def add_parts_option(group: Any) -> None:
    """Add --parts."""
    group.add_argument(
        "--parts",
        choices=PARTS,
        help="rule that splits images: a hash of their names, or the published parts of SALICON, "
        "COCO-FreeView and COCO-Search18; with --folds 10, the usual folds of MIT1003 "
        "(default: hashed)",
    )


def chosen_fold(
    parser: argparse.ArgumentParser, arguments: argparse.Namespace
) -> tuple[int, int] | None:
    """Return (folds, fold) of the command line, None without; refuse one without the other."""
    folds, fold = arguments.folds, arguments.fold
    if folds is None and fold is None:
        return None
    if folds is None or fold is None:
        parser.error("expected --folds and --fold together, such as --folds 10 --fold 3")
    if folds < 2 or fold > folds:
        parser.error(f"expected --folds of at least 2 and --fold up to them, got {folds}, {fold}")
    return folds, fold


def _fold_number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)


def check_teachers(parser: argparse.ArgumentParser, teachers: Sequence[str] | None) -> None:
    """Refuse a teacher that is shown each variant beside others, in the parser's way."""
    if len(teachers or ()) > 1 and any(name.endswith(".safetensors") for name in teachers or ()):
        parser.error("a .safetensors --teacher teaches alone: name it only, or .onnx files only")


def add_fitting_options(parser: argparse.ArgumentParser, defaults: Any = TrainingOptions) -> None:
    """Add how to train and on what machine, with these defaults."""

    def add(group: Any, field: str, does: str, metavar: str | None = None, **keywords: Any) -> None:
        keywords |= {} if metavar is None else {"metavar": metavar}
        add_field(group, defaults, field, does, choices=CHOICES, **keywords)

    fit = parser.add_argument_group("fitting")
    add(fit, "epochs", "how often each image is shown, at most", "N")
    add(fit, "batch_size", "images in one step", "N")
    add(fit, "backbone_rate", "greatest learning rate of the backbone", "RATE")
    add(fit, "readout_rate", "greatest learning rate of the rest", "RATE")
    add(fit, "weight_decay", "weight decay of AdamW", "RATE")
    add(fit, "clip", "greatest norm of the gradient", "NORM")
    add(fit, "ema_decay", "decay of the moving average of the weights", "SHARE")
    add(fit, "patience", "epochs without a gain after which to stop", "N")
    add(fit, "teacher_weight", "share of the teachers beside fixations", "SHARE")
    add(
        fit,
        "teacher_pixels",
        "area at which a .safetensors teacher looks at photos (default: its own)",
        "N",
        type=int,
    )
    add(fit, "feature_weight", "weight of the features of a .safetensors teacher", "WEIGHT")
    add(fit, "variants", "of each photo, made once and shown again; 0: always new ones", "N")
    add(fit, "blur", "error of measured fixations, share of the area's square root", "X")
    add(fit, "strength", "of the changes in colour, 0 to 2", "X")
    bias = "own: learn ten numbers for what is particular to each data set; auto: if several"
    add(fit, "set_bias", bias)
    add(fit, "seed", "of everything random", "N")
    machine = parser.add_argument_group("machine")
    add(machine, "device", "where to train")
    add(
        machine,
        "devices",
        "how many of them; each gets a process and its share of the batch",
        "N",
    )
    add(machine, "nodes", "machines, each with so many devices; see docs/scale.md", "N")
    add(machine, "precision", "of the arithmetic; auto: bfloat16 on CUDA")
    add(
        machine,
        "torch_threads",
        "threads of the network on a CPU (default: one per core); 1 if the machine has other work",
        "N",
        type=int,
    )
    add(machine, "workers", "processes that load images", "N")
    add(machine, "save_steps", "steps between two saved states", "N")
    add(machine, "picture_epochs", "epochs between two pictures", "N")
    add(machine, "cache", "keep photos decoded in DIR, which is safe to delete", "DIR", type=str)
