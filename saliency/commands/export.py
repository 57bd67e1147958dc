"""Write a trained model as ONNX, which `saliency crop` runs, or as a copy to train on from.

`saliency train` does this at its end; use this for a model that was changed, moved or renamed.

Exit status: 0 when it is written, 1 when a file cannot be used, 2 for a wrong command line.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from saliency.commands.jobs.integers import (
    FEW_PHOTOS,
    MOST_PHOTOS,
    describe_difference,
    read_examples,
)
from saliency.commands.jobs.reporting import run_reporting
from saliency.errors import CheckpointError
from saliency.files import check_writable
from saliency.prediction.shipped_models import is_shipped, trainable_model


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="saliency export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        type=trainable_model,
        help="a .safetensors file, or fast, default or best",
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        help="where to write it; .safetensors for a copy to train on from (default: beside MODEL, "
        "with the ending .onnx; in this folder if it is fast, default or best)",
    )
    parser.add_argument(
        "--sharpness",
        metavar="X",
        type=_sharpness,
        default=1.0,
        help="factor on the differences of the log density: below 1 for a flatter, less sure "
        "density (default: %(default)s)",
    )
    parser.add_argument(
        "--smoothing",
        metavar="CELLS",
        type=_cells,
        default=0.0,
        help="blur of the saliency map on top of the learned one, a standard deviation in cells "
        "(default: %(default)s)",
    )
    numbers = parser.add_mutually_exclusive_group()
    numbers.add_argument(
        "--half",
        action="store_true",
        help="store weights with 16 bits, which halves the file; of the model best it moves less "
        "than 0.2%% of a density",
    )
    numbers.add_argument(
        "--int8",
        metavar="PHOTOS",
        type=Path,
        help="let the .onnx file compute in 8-bit integers: up to twice as fast where the "
        "processor has VNNI, a little faster elsewhere, and less than half the size; "
        f"{FEW_PHOTOS} to {MOST_PHOTOS} photos from this folder and those inside show what values "
        "occur; run saliency calibrate on the file afterwards",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = build_parser().parse_args(argv)
    return run_reporting("export", lambda: _export(arguments))


def _export(arguments: argparse.Namespace) -> int:
    out = _written_to(arguments)
    photos = None if arguments.int8 is None else read_examples(arguments.int8)
    from saliency.model.checkpoint import (  # noqa: PLC0415  torch takes seconds
        load_model,
        read_metadata,
        save_model,
    )
    from saliency.model.export import export_onnx  # noqa: PLC0415
    from saliency.model.loading import look_of  # noqa: PLC0415

    model = load_model(arguments.model)
    scores = read_metadata(arguments.model)["scores"]
    if (arguments.sharpness, arguments.smoothing) != (1.0, 0.0):
        model.soften(sharpness=arguments.sharpness, smoothing_cells=arguments.smoothing)
        scores = {}  # scores and calibration belong to the density before the change
    if out.suffix == ".safetensors":
        save_model(model, out, scores=scores, half=arguments.half)
    else:
        seen = None if photos is None else [model.as_seen(photo) for photo in photos]
        export_onnx(model, out, scores=scores, half=arguments.half, photos=seen)
    if photos is not None:
        print(describe_difference(look_of(model), out, photos))
    print(f"written: {out}")
    return 0


def _written_to(arguments: argparse.Namespace) -> Path:
    """Return the file to write, which can be written.

    Raises:
        SaliencyError: it cannot, or must not be replaced.
    """
    beside: Path = arguments.model.with_suffix(".onnx")
    out: Path = arguments.out or (Path(beside.name) if is_shipped(beside) else beside)
    if out.suffix not in (".onnx", ".safetensors"):
        raise CheckpointError(
            f"expected a file with the ending .onnx or .safetensors to write to, got {out}"
        )
    if out.exists() and out.samefile(arguments.model):
        raise CheckpointError(f"expected another file to write to than the model, got {out}")
    if is_shipped(out.resolve()):
        raise CheckpointError(f"expected another file to write to than one of the package: {out}")
    if arguments.int8 is not None and out.suffix != ".onnx":
        raise CheckpointError(f"only an .onnx file computes in 8-bit integers, got {out}")
    check_writable(out, overwrite=arguments.overwrite)
    return out


def _sharpness(text: str) -> float:
    return _number(text, "a number above 0", lambda value: 0 < value < math.inf)


def _cells(text: str) -> float:
    return _number(text, "a number of at least 0", lambda value: 0 <= value < math.inf)


def _number(text: str, wanted: str, is_fine: Callable[[float], bool]) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not is_fine(value):
        raise argparse.ArgumentTypeError(f"expected {wanted}, got {text!r}")
    return value
