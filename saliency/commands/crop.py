"""Crop photos to one or more aspect ratios, keeping what people look at.

For each ratio W:H the crop is the largest window that fits into the photo, placed where it holds
the most of the density that the model predicts for people's fixations. Photos are taken upright,
as their EXIF says. Each crop is written next to its photo as NAME-WxH.EXT, or into --output-dir.
JPEG, PNG and WebP photos keep their format; crops of TIFF, BMP and GIF are PNG.

A photo that cannot be read is reported and skipped. Exit status: 0 when every photo was cropped,
1 when some were not, 2 for a wrong command line, 130 after Ctrl-C.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

from saliency.aspect import aspect_name, parse_aspect
from saliency.commands import error_line, run_reporting
from saliency.commands.choice_options import add_choice_options, read_choice_options
from saliency.errors import PhotoError

_EPILOG = """\
--json prints one object per photo and line:
  {"photo": FILE, "width": PX, "height": PX, "windows": [{"aspect": "W:H", "x": PX, "y": PX,
   "width": PX, "height": PX, "share": S, "centre_share": C, "file": CROP}, ...]}
with the window in pixels of the upright photo, (x, y) its top left corner, S the share of the
density inside it (0 to 1), C the share inside the window of the same size in the middle of the
photo. With --overlay there is "overlay": FILE too.

examples:
  saliency crop photo.jpg --aspect 16:9 1:1 --output-dir crops
  saliency crop holiday/ --aspect 1.91:1 --max-size 1200 --json
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
    add("photos", metavar="PHOTO", nargs="*", help="photo, or a folder for the photos in it")
    add(
        "--aspect",
        metavar="W:H",
        nargs="+",
        action="extend",
        help="width to height of a crop: 16:9, 1.91:1 or 1200x630; several make several crops of "
        "each photo (default: 1:1)",
    )
    add(
        "--output-dir",
        metavar="DIR",
        type=Path,
        help="folder for the crops, created if missing (default: the photo's own folder)",
    )
    add("--overlay", action="store_true", help="write NAME-overlay.png too: density and windows")
    add("--json", action="store_true", help="print what was done as JSON, see below")
    add("--overwrite", action="store_true", help="replace files that exist")
    add_choice_options(parser)
    _add_file_options(parser)
    _add_model_options(parser)
    return parser


def _add_file_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what a crop's file is like."""
    add = parser.add_argument
    add(
        "--max-size",
        metavar="PX",
        type=_whole_number,
        help="shrink crops whose longest side is longer (default: keep the photo's pixels)",
    )
    add(
        "--format",
        choices=("jpeg", "png", "webp"),
        help="format of the crops (default: the photo's own)",
    )
    add(
        "--quality",
        metavar="Q",
        type=_quality,
        default=92,
        help="quality of JPEG and WebP crops, 1 to 100 (default: %(default)s)",
    )


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how the density is predicted."""
    add = parser.add_argument
    add(
        "--model",
        metavar="FILE",
        type=Path,
        help=".onnx model to use (default: the one that comes with the package)",
    )
    add(
        "--threads",
        metavar="N",
        type=_whole_number,
        help="processor threads the model may use (default: one per core)",
    )


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options, `aspect` as a dict from how a ratio was written to its value.

    `--aspect 16:9 1:1 photo.jpg` works as meant: an argument after a ratio that is none itself is
    a photo, if it is there or looks like a file.
    """
    parser = build_parser()
    options = parser.parse_intermixed_args(argv)
    aspects: dict[str, Fraction] = {}
    files: set[str] = set()
    for text in options.aspect or ["1:1"]:
        try:
            ratio = parse_aspect(text)
        except ValueError as error:
            if not (aspects and _looks_like_photo(text)):
                parser.error(f"argument --aspect: {error}")
            options.photos.append(text)
            continue
        if aspect_name(text) not in files:  # 16:9 and 16x9 are one crop
            files.add(aspect_name(text))
            aspects[text] = ratio
    if not options.photos:
        parser.error("the following arguments are required: PHOTO")
    options.aspect = aspects
    options.photos = [Path(photo) for photo in options.photos]
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Crop photos and return the exit status."""
    options = parse_arguments(argv)
    return run_reporting("crop", lambda: _crop_photos(options))


def _crop_photos(options: argparse.Namespace) -> int:
    """Crop every photo, going on after those that fail."""
    # Here and not above, so that --help and a wrong command line answer at once.
    from saliency.cropping import CropOptions, Cropper, find_photos  # noqa: PLC0415
    from saliency.predictor import Predictor  # noqa: PLC0415

    photos = find_photos(options.photos, list(options.aspect))
    _make_folder(options.output_dir)
    wanted = CropOptions(
        aspects=options.aspect,
        choice=read_choice_options(options),
        output_dir=options.output_dir,
        max_size=options.max_size,
        as_format=options.format,
        quality=options.quality,
        overlay=options.overlay,
        overwrite=options.overwrite,
    )
    cropper = Cropper(Predictor(options.model, threads=options.threads), wanted, photos)
    failed_count = 0
    with _progress_bar(len(photos)) as bar:
        emit = print if bar is None else bar.write
        for photo in photos:
            try:
                done = cropper.crop(photo)
            except PhotoError as error:
                failed_count += 1
                emit(error_line("crop", str(error)), file=sys.stderr)
            else:
                emit(_describe(done.to_json(), as_json=options.json), file=sys.stdout)
            if bar is not None:
                bar.update()
    return 1 if failed_count else 0


def _progress_bar(photo_count: int) -> AbstractContextManager[Any]:
    """Return a bar for a person who waits for several photos, and nothing for anybody else."""
    if photo_count < 2 or not sys.stderr.isatty():
        return nullcontext()
    from tqdm import tqdm  # noqa: PLC0415  not for one photo

    return tqdm(total=photo_count, unit="photo", file=sys.stderr, leave=False)


def _describe(done: dict[str, Any], *, as_json: bool) -> str:
    """Return what was done with a photo: one JSON object, or one line per file."""
    if as_json:
        return json.dumps(done, ensure_ascii=False)
    lines = [
        f"{window['file']}  {window['width']}x{window['height']}+{window['x']}+{window['y']}  "
        f"keeps {window['share']:.1%} (centre {window['centre_share']:.1%})"
        for window in done["windows"]
    ]
    return "\n".join(lines + ([done["overlay"]] if "overlay" in done else []))


def _make_folder(folder: Path | None) -> None:
    """Create the folder for the crops."""
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PhotoError(f"cannot create the folder {folder}: {error.strerror or error}") from error


def _looks_like_photo(text: str) -> bool:
    """Return whether an argument is there on the disk, or at least looks like a file."""
    return bool(Path(text).suffix) or os.sep in text or Path(text).exists()


def _whole_number(text: str) -> int:
    """Return a whole number above 0."""
    return _number_between(text, 1, None)


def _quality(text: str) -> int:
    """Return a quality, 1 to 100."""
    return _number_between(text, 1, 100)


def _number_between(text: str, least: int, most: int | None) -> int:
    """Return a whole number in a range, or refuse the argument."""
    value = int(text) if text.isascii() and text.isdigit() else least - 1
    if value < least or (most is not None and value > most):
        wanted = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise argparse.ArgumentTypeError(f"expected a whole number {wanted}, got '{text}'")
    return value
