"""The options of `saliency crop` for cropping on several machines."""

import argparse
import os
from pathlib import Path

RESULT_SUFFIXES = (".jsonl", ".parquet")

_HERE = "auto"  # --cluster without an address


def add_cluster_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for cropping on several machines."""
    add = parser.add_argument_group("cluster").add_argument
    add(
        "--cluster",
        metavar="ADDRESS",
        nargs="?",
        const=_HERE,
        help="crop on a Ray cluster: HOST:PORT of its head; local for one that is started on this "
        "machine; without ADDRESS, RAY_ADDRESS or the cluster of this machine, else local. PHOTO "
        "may then be in an object store (s3://…), or a Parquet file with columns path and bytes",
    )
    add(
        "--results",
        metavar="FILE",
        type=Path,
        help="with --cluster, write one row for each photo: .jsonl or .parquet; with --resume, rows"
        " of an earlier run are kept",
    )


def check_cluster_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Check the address of a cluster; `--cluster photo.jpg` has none, and names a photo."""
    if options.cluster is None:
        if options.results is not None:
            parser.error("argument --results: only with --cluster; otherwise take --json")
        return
    from saliency.batch.ray_nodes import parse_address  # noqa: PLC0415  rarely wanted

    try:
        options.cluster = parse_address(options.cluster)
    except ValueError as error:
        if options.cluster.startswith("ray://") or not _looks_like_photo(options.cluster):
            parser.error(f"argument --cluster: {error}")
        options.photos.append(options.cluster)
        options.cluster = _HERE
    if "-" in options.photos:
        parser.error("argument --cluster: not allowed with PHOTO -")
    if options.results is not None and options.results.suffix not in RESULT_SUFFIXES:
        parser.error(f"argument --results: expected .jsonl or .parquet, got '{options.results}'")


def _looks_like_photo(text: str) -> bool:
    """Return whether what was given as an address is a photo, a folder or a URL."""
    return "://" in text or bool(Path(text).suffix) or os.sep in text or Path(text).exists()
