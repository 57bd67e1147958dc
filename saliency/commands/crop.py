"""Crop photos to one or more aspect ratios, keeping what people look at.

For each ratio W:H the crop is the largest window that fits into the photo, placed where it holds
the most of the density that the model predicts for people's fixations, less what it costs to leave
the middle and to be out of balance. Photos are taken upright,
by their EXIF. Each crop is written next to its photo as NAME-WxH.EXT, or into --output-dir, in
the photo's own format, with the photo's metadata (EXIF, XMP, IPTC, colour profile). All frames of
an animation are cropped by one window. PHOTO - reads one photo from standard input and writes its
crop to standard output.

A photo that cannot be read is reported and skipped. Exit status: 0 when every photo was cropped,
1 when some were not, 2 for a wrong command line, 130 after Ctrl-C.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from saliency.commands.arguments.aspects import (
    add_aspect_option,
    check_crop_options,
    is_aspect,
    read_aspects,
)
from saliency.commands.arguments.choice import add_choice_options
from saliency.commands.arguments.cluster import add_cluster_options, check_cluster_options
from saliency.commands.arguments.cropping import (
    add_encoding_options,
    add_file_options,
    add_input_options,
    add_report_options,
    add_run_options,
    add_size_options,
)
from saliency.commands.jobs.reporting import run_reporting

STREAM = "-"
"""In place of a photo: standard input, and standard output for its crop."""

_EPILOG = """\
--json prints one object per photo and line, its keys always in this order:
  {"schema": 1, "photo": FILE, "status": "cropped", "width": PX, "height": PX,
   "content": {...}, "windows": [...], "overlay": FILE or null, "timing_ms": {...} or null,
   "warnings": [...], "faces": [...]}
docs/reference/json.md explains each key. Photos that failed have "status": "failed" and "error";
with --dry-run the status is "analysed", with --resume "present" where there was nothing to do.

examples:
  saliency crop photo.jpg --aspect 16:9 1:1 --output-dir crops
  saliency crop holiday/ --recursive --size 1200x630 --output-dir crops --resume
  saliency crop - --aspect 4:5 < photo.jpg > crop.jpg
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `saliency crop`."""
    parser = argparse.ArgumentParser(
        prog="saliency crop",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("photos", metavar="PHOTO", nargs="*", help="photo, a folder for the photos in it, or -")
    add_aspect_option(parser)
    add_size_options(parser)
    add_choice_options(parser)
    add_input_options(parser)
    add_file_options(parser)
    add_encoding_options(parser)
    add_report_options(parser)
    add_run_options(parser)
    add_cluster_options(parser)
    return parser


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options, `aspect` as a dict from how a ratio was written to its value.

    `--aspect 16:9 1:1 photo.jpg` works as meant: an argument after a ratio that is no ratio itself
    is a photo, if it is there or looks like a file.
    """
    parser = build_parser()
    options = parser.parse_intermixed_args(argv)
    _move_files(options)
    check_cluster_options(parser, options)
    read_aspects(parser, options)
    if not options.photos and options.from_file is None:
        parser.error("the following arguments are required: PHOTO")
    check_crop_options(parser, options)
    if options.overwrite and options.resume:
        parser.error("argument --resume: not allowed with --overwrite")
    if STREAM in options.photos:
        _check_stream(parser, options)
    options.photos = [Path(photo) for photo in options.photos]
    return options


def _move_files(options: argparse.Namespace) -> None:
    """Move files that were given after a ratio from the ratios to the photos."""
    ratios: list[str] = []
    for text in options.aspect or ():
        is_file = bool(ratios) and not is_aspect(text) and _looks_like_photo(text)
        (options.photos if is_file else ratios).append(text)
    options.aspect = ratios or None


def _check_stream(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuse options that cannot be used with standard input and output."""
    if len(options.photos) > 1 or options.from_file is not None:
        parser.error("PHOTO - is given alone, for one photo on standard input")
    if not options.is_dry and (options.json or len(options.aspect) > 1):
        parser.error("PHOTO - writes one crop to standard output: give one ratio and no --json")
    if options.overlay or options.contact_sheet or options.rejects or options.output_dir:
        parser.error("PHOTO - writes no files: leave out --output-dir, --overlay, …")
    if options.decisions:
        parser.error("argument --decisions: not allowed with PHOTO -, whose name is not known")


def main(argv: Sequence[str] | None = None) -> int:
    """Crop photos and return the exit status."""
    options = parse_arguments(argv)
    return run_reporting("crop", lambda: _crop_photos(options))


def _crop_photos(options: argparse.Namespace) -> int:
    """Crop the photos that the options name."""
    # Here and not above, so that --help and a wrong command line answer at once.
    from saliency.commands.jobs.crop_job import crop_files, crop_stream  # noqa: PLC0415

    if options.cluster is not None:
        from saliency.commands.jobs.crop_cluster import crop_on_cluster  # noqa: PLC0415

        return crop_on_cluster(options)
    if options.photos == [Path(STREAM)]:
        return crop_stream(options)
    return crop_files(options)


def _looks_like_photo(text: str) -> bool:
    """Return whether an argument is an existing file, or at least looks like one."""
    return text == STREAM or bool(Path(text).suffix) or os.sep in text or Path(text).exists()
