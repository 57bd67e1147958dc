"""Whether crops are what their photos are: pixels, mode, profile, EXIF, frames, by kind of file.

    python benchmarks/fidelity.py FOLDER [FOLDER ...] [--list]

Crops every image below the folders to 1:1 in its own format, opens photo and crop with Pillow
alone, and compares them. A pixel may differ by nothing where the format loses nothing, and by 6
levels of 255 on average where it does. EXIF is compared entry by entry, but for those that cannot
be true of a crop. --list names each file that differs, is refused, or is cropped with a warning.
"""

import argparse
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile, ImageOps, ImageSequence

from saliency.cropping.options import CropOptions
from saliency.cropping.photo_cropper import PhotoCropper
from saliency.errors import PhotoError
from saliency.geometry import Window
from saliency.photo.formats import PHOTO_SUFFIXES
from saliency.prediction.predictor import Predictor

LOSSLESS = ("PNG", "TIFF", "GIF", "BMP")
MOST_LOSS = 6.0
CHANGED_TAGS = {0x0100, 0x0101, 0x0112, 0xA002, 0xA003, 0x9214, 0xA214, 0x8769, 0x8825, 0xA005}
LAYOUT_TAGS = {0x00FE, 0x00FF, 0x0102, 0x0103, 0x0106, 0x010A, 0x0111, 0x0115, 0x0116, 0x0117}
LAYOUT_TAGS |= {
    0x011A,
    0x011B,
    0x011C,
    0x0128,
    0x013D,
    0x0140,
    0x0142,
    0x0143,
    0x0144,
    0x0145,
    0x0152,
    0x0153,
    0x0212,
    0x02BC,
    0x83BB,
    0x8649,
    0x8773,
}
MARKS = ("cropped", "refused", "warned", "pixels", "mode", "profile", "exif", "frames")


def find_images(folders: list[Path]) -> Iterator[Path]:
    """Yield the images below folders."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in PHOTO_SUFFIXES and path.is_file():
                yield path


def kept_exif(image: Image.Image) -> dict[int, Any]:
    """Return what of an image's EXIF is to be the same in a crop."""
    exif = image.getexif()
    entries = dict(exif.items()) | dict(exif.get_ifd(0x8769)) | dict(exif.get_ifd(0x8825))
    if 0x927C in entries and image.format == "TIFF":
        del entries[0x927C]
    return {
        tag: str(value).strip("\0 ")
        for tag, value in entries.items()
        if tag not in CHANGED_TAGS | LAYOUT_TAGS
    }


def frames_of(image: Image.Image, box: tuple[int, int, int, int] | None) -> list[Any]:
    """Return the upright pixels of each frame as RGBA, cropped to a box, and its duration."""
    found = []
    for frame in ImageSequence.Iterator(image):
        shown = ImageOps.exif_transpose(frame) if image.format != "TIFF" else frame.copy()
        shown = shown.crop(box) if box else shown
        deep = shown.mode.startswith("I")
        values = np.asarray(shown if deep else shown.convert("RGBA")).astype(float)
        if not deep:
            values[values[..., 3] == 0] = 0  # colours that nobody sees
        found.append((values / (257 if deep else 1), frame.info.get("duration", 0)))
        if image.format in ("TIFF", "MPO"):
            break
    return found


def differences(data: bytes, crop: bytes, window: Window) -> list[str]:
    """Return in what a crop differs from its photo."""
    with Image.open(BytesIO(data)) as photo, Image.open(BytesIO(crop)) as cropped:
        found = []
        same_format = photo.format in (cropped.format, "MPO")
        modes = {image.mode.removesuffix("B") for image in (photo, cropped)}
        if same_format and len(modes) > 1 and "P" not in modes:
            found.append("mode")
        profile = photo.info.get("icc_profile")
        if same_format and profile and profile != cropped.info.get("icc_profile"):
            found.append("profile")
        if same_format and kept_exif(photo) != {
            tag: value for tag, value in kept_exif(cropped).items() if tag in kept_exif(photo)
        }:
            found.append("exif")
        before, after = frames_of(photo, window.box), frames_of(cropped, None)
        if sum(one for _, one in before) != sum(one for _, one in after):
            found.append("frames")
        if len(before) == len(after):
            loss = max(
                float(np.abs(one - other).mean()) if one.shape == other.shape else 255.0
                for (one, _), (other, _) in zip(before, after, strict=True)
            )
            if loss > (0 if cropped.format in LOSSLESS else MOST_LOSS):
                found.append("pixels")
    return found


def kind_of(path: Path) -> str:
    """Return the format and mode of an image, as Pillow reports them."""
    try:
        with Image.open(path) as image:
            return f"{image.format} {image.mode}"
    except Exception:  # what Pillow cannot open
        return "not opened"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--list", action="store_true", help="name files")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    cropper = PhotoCropper(Predictor(), CropOptions(aspects={"1:1": Fraction(1)}))
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for path in find_images(arguments.folders):
        kind, data = kind_of(path), path.read_bytes()
        marks, notes = ["cropped"], []
        try:
            seen = cropper.look(data, path)
            (choice,) = cropper.choose(seen)
            cutter = cropper.cutter(seen, [choice])
            crop = cutter.cut(choice)
            if cutter.warnings:
                marks, notes = [*marks, "warned"], list(cutter.warnings)
            ImageFile.LOAD_TRUNCATED_IMAGES = True  # for photos whose end is missing
            marks += differences(data, crop, choice.window)
            ImageFile.LOAD_TRUNCATED_IMAGES = False
        except PhotoError as error:
            marks, notes = ["refused"], [str(error)]
        counts[kind].update(marks)
        if arguments.list and marks != ["cropped"]:
            print(path, " ".join(marks[1:] or marks), *notes, sep="\t")
    print(f"{'kind':16}" + "".join(f"{mark:>9}" for mark in MARKS))
    print(f"{'':16}{'':27}" + f"{'differ in':>45}")
    for kind, count in sorted(counts.items()):
        print(f"{kind:16}" + "".join(f"{count[mark]:9}" for mark in MARKS))


if __name__ == "__main__":
    main()
