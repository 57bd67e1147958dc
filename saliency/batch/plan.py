"""Which files are to be made of each photo, so that no two photos get the same one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from saliency.batch.listing import ListedPhoto
from saliency.batch.naming import DEFAULT_PATTERN, crop_name, names_candidates
from saliency.crop_windows.options import ChoiceOptions
from saliency.cropping.cutting import Output
from saliency.errors import PhotoError
from saliency.photo.formats import HEAD_BYTES, SUFFIXES, CropFormat, crop_format, photo_format
from saliency.photo.writing import Encoding


@dataclass(frozen=True, kw_only=True)
class CropOptions:
    """How photos are to be cropped.

    Attributes:
        aspects: how each ratio is written, and its value.
        choice: how the windows are chosen.
        output_dir: folder for the crops; None for each photo's own.
        pattern: names the crops (`naming`); where it numbers candidates, each has a crop.
        output: the size of the crops.
        as_format: format of the crops; None for the photo's own.
        encoding: quality and the like.
        is_lossless: cut JPEGs on the borders of their blocks, without re-encoding.
        is_stripped: leave out EXIF, XMP, IPTC and the resolution.
        overlay: write a picture of the density and the windows too.
        overwrite: replace files that exist.
        resume: leave crops that exist as they are, and make those that are missing (of
            several candidates: `Plan.is_done`).
        is_dry: choose the windows and write nothing.
        has_preview: keep a small picture of each photo in its report.
    """

    aspects: Mapping[str, Fraction]
    choice: ChoiceOptions = field(default_factory=ChoiceOptions)
    output_dir: Path | None = None
    pattern: str = DEFAULT_PATTERN
    output: Output = field(default_factory=Output)
    as_format: CropFormat | None = None
    encoding: Encoding = field(default_factory=Encoding)
    is_lossless: bool = False
    is_stripped: bool = False
    overlay: bool = False
    overwrite: bool = False
    resume: bool = False
    is_dry: bool = False
    has_preview: bool = False


@dataclass(frozen=True)
class Plan:
    """Which files are to be made of a photo.

    Attributes:
        photo: the photo.
        as_format: format of its crops.
        files: for each ratio the crop, then those of further candidates where they are wanted.
        overlay: its overlay, if there is to be one.
        is_done: they are there already, and are to stay. Of a ratio's crops the first one tells:
            it is written last, and how many candidates there are only the model knows.
    """

    photo: ListedPhoto
    as_format: CropFormat
    files: tuple[tuple[Path, ...], ...]
    overlay: Path | None
    is_done: bool = False


class Planner:
    """Names the files of photos, and gives no two photos the same one."""

    def __init__(self, options: CropOptions, photos: Sequence[ListedPhoto] = ()) -> None:
        """Take the options, and all photos of this run, which are never written to."""
        self._options = options
        self._taken: dict[Path, Path] = {photo.path.resolve(): photo.path for photo in photos}

    def plan(self, photo: ListedPhoto) -> Plan:
        """Return which files are to be made of a photo, and keep them from other photos.

        Not to be called by several threads at once.

        Raises:
            PhotoError: a file is another photo's, or is there and must not be replaced.
        """
        options, path = self._options, photo.path
        as_format = options.as_format or crop_format(_format_of(path))
        folder = path.parent if options.output_dir is None else options.output_dir / photo.folder
        own = path.suffix
        suffix = own if own.lower() in SUFFIXES[as_format] else SUFFIXES[as_format][0]
        count = options.choice.candidates if names_candidates(options.pattern) else 1
        files = tuple(
            tuple(
                folder / crop_name(path, label, suffix[1:], options.pattern, candidate=number)
                for number in range(1, count + 1)
            )
            for label in options.aspects
        )
        overlay = folder / f"{path.stem}-overlay.png" if options.overlay else None
        if options.is_dry:
            return Plan(photo, as_format, files, overlay)
        outputs = [file for some in files for file in some] + ([overlay] if overlay else [])
        for file in outputs:
            self._take(file, path)
        told_by = [some[0] for some in files] + ([overlay] if overlay else [])
        is_done = options.resume and all(is_made(file) for file in told_by)
        return Plan(photo, as_format, files, overlay, is_done)

    def _take(self, file: Path, photo: Path) -> None:
        """Note that a file belongs to a photo, unless it is another's or must not be replaced."""
        place = file.resolve()
        other = self._taken.get(place)
        if other is not None and place == other.resolve():
            raise PhotoError(f"the crop of {photo} would replace the photo {other}")
        if other == photo:
            raise PhotoError(f"two crops of {photo} would be {file}; put {{aspect}} in their names")
        if other is not None:
            raise PhotoError(
                f"the crops of {photo} and {other} would both be {file}; crop them into two folders"
            )
        if _is_there(file) and not (self._options.overwrite or self._options.resume):
            raise PhotoError(f"{file} exists already; --overwrite replaces it, --resume leaves it")
        self._taken[place] = photo


def is_made(file: Path) -> bool:
    """Return whether a crop is there from an earlier run."""
    return _is_there(file) and not is_empty(file)


def is_empty(file: Path) -> bool:
    """Return whether a file has nothing in it, as after a power cut."""
    return file.is_file() and file.stat().st_size == 0


def _is_there(file: Path) -> bool:
    """Return whether a name is taken, even by a link to nowhere."""
    return file.exists() or file.is_symlink()


def _format_of(path: Path) -> str | None:
    """Return the format of a photo by its first bytes; None if it has none, or cannot be read."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return photo_format(file.read(HEAD_BYTES))
    except (OSError, ValueError):
        return None
