"""Show the size, the cost and the contribution of each layer of a model.

For every layer that has parameters: its channels, parameters and multiplications (MACs), its
milliseconds in ONNX Runtime for one photo (layers that run inside others count with those),
its part of the Fisher-Rao norm, exact and by the diagonal, the sum of its Fisher values, and the
share of its parameters that could be removed for 1 % of what the model knows (its gain over an even
density), by their Fisher signals. The last line is for the whole network. docs/explain/fisher.md
explains the columns.

Exit status: 0 when the table is printed, 1 when a file cannot be used, 2 for a wrong
command line, 130 after Ctrl-C.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from saliency.commands.arguments.training import add_parts_option
from saliency.commands.jobs.reporting import run_reporting
from saliency.errors import CheckpointError, DatasetError
from saliency.files import check_writable, write_whole
from saliency.prediction.shipped_models import fisher_path, trainable_model


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="saliency inspect",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "model",
        metavar="MODEL.safetensors",
        type=trainable_model,
        help="trained or pruned model, or fast, default or best",
    )
    add(
        "--data",
        metavar="LAYOUT:PATH",
        action="append",
        required=True,
        help="data set whose training images are shown; may be given several times",
    )
    add_parts_option(parser)
    add(
        "--images",
        metavar="N",
        type=_count,
        default=64,
        help="how many images, spread evenly over all data sets (default: %(default)s)",
    )
    add(
        "--fisher",
        choices=("empirical", "true"),
        default="empirical",
        help="fixations of the data, or drawn from the model's own density (default: %(default)s)",
    )
    add("--threads", metavar="N", type=_count, default=1, help="of the timing (default: 1)")
    add("--json", metavar="FILE", type=Path, help="write the table as JSON, replacing FILE")
    add("--plot", metavar="FILE", type=Path, help="write a PNG of the columns, replacing FILE")
    add(
        "--save-fisher",
        action="store_true",
        help="write the Fisher values into NAME.fisher.safetensors beside the model, for "
        "`saliency train --keep ewc`; take --images 512 or more",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = build_parser().parse_args(argv)
    return run_reporting("inspect", lambda: _inspect(arguments))


def _inspect(arguments: argparse.Namespace) -> int:
    # Here and not above, so that --help answers at once, and without the training extra.
    from saliency.compression.inspection import as_records, as_table, inspect_model  # noqa: PLC0415
    from saliency.datasets.layouts.registry import read_dataset  # noqa: PLC0415
    from saliency.datasets.splits import select  # noqa: PLC0415
    from saliency.model.checkpoint import load_model  # noqa: PLC0415
    from saliency.pruning.penalties.ewc import write_fisher  # noqa: PLC0415
    from saliency.training.fisher import fisher_of_scenes, spread_evenly  # noqa: PLC0415

    for file in (arguments.json, arguments.plot):
        if file is not None:
            check_writable(file, overwrite=True)
    if arguments.model.suffix != ".safetensors":
        raise CheckpointError(
            f"expected a .safetensors file, whose layers are known, got {arguments.model}"
        )
    model = load_model(arguments.model)
    parts = arguments.parts or "hashed"
    scenes = [
        scene
        for spec in arguments.data
        for scene in select(read_dataset(spec).scenes, "train", parts=parts)
    ]
    if not scenes:
        raise DatasetError("expected training images with fixations, got none; add data sets")
    shown = spread_evenly(scenes, arguments.images)
    fisher = fisher_of_scenes(model, shown, is_true=arguments.fisher == "true")
    rows = inspect_model(model, shown, fisher, threads=arguments.threads)
    print(as_table(rows))
    if arguments.json is not None:
        text = json.dumps({"images": len(shown), "layers": as_records(rows)}, indent=1) + "\n"
        write_whole(text.encode(), arguments.json, overwrite=True)
    if arguments.plot is not None:
        from saliency.compression.inspection_plot import draw_layers  # noqa: PLC0415  matplotlib

        write_whole(draw_layers(rows), arguments.plot, overwrite=True)
    if arguments.save_fisher:
        path = fisher_path(arguments.model)
        write_fisher(fisher, path, overwrite=True)
        print(f"written: {path}")
    return 0


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)
