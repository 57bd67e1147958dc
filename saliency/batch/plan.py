"""Which files will be made of each photo, so that no two photos get the same one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from saliency.batch.listing import ListedPhoto
from saliency.batch.naming import crop_name, names_candidates
from saliency.batch.options import BatchOptions
from saliency.cropping.options import CropOptions
from saliency.errors import PhotoError
from saliency.photo import formats
from saliency.photo.formats import HEAD_BYTES, SUFFIXES, crop_format


@dataclass(frozen=True)
class Plan:
    """The files that will be made of a photo.

    Attributes:
        photo: the photo.
        files: for each ratio its crop, followed by those of further candidates if wanted.
        overlay: its overlay, if one is wanted.
        is_done: the files exist and stay as they are. The first crop of each ratio decides this:
            it is written last, and only the model knows how many candidates there are.
    """

    photo: ListedPhoto
    files: tuple[tuple[Path, ...], ...]
    overlay: Path | None
    is_done: bool = False


class Planner:
    """Names the files of photos, and gives no two photos the same one."""

    def __init__(
        self, crops: CropOptions, options: BatchOptions, photos: Sequence[ListedPhoto] = ()
    ) -> None:
        """Take the options, and all photos of this run, which are never written to."""
        self._crops, self._options = crops, options
        # Texts, as a million paths would take gigabytes.
        self._taken: dict[str, Path] = {str(photo.path.resolve()): photo.path for photo in photos}

    def plan(self, photo: ListedPhoto, *, photo_format: str | None = None) -> Plan:
        """Return which files are to be made of a photo, and keep them from other photos.

        Not safe to call from several threads at once.

        Args:
            photo: the photo.
            photo_format: its format as Pillow calls it; None to look into its file.

        Raises:
            PhotoError: a file belongs to another photo, or exists and must not be replaced.
        """
        options, path = self._options, photo.path
        plan = name_files(photo, self._crops, options, photo_format=photo_format)
        if options.is_dry:
            return plan
        files, overlay = plan.files, plan.overlay
        outputs = [file for some in files for file in some] + ([overlay] if overlay else [])
        for file in outputs:
            self._take(file, path)
        told_by = [some[0] for some in files] + ([overlay] if overlay else [])
        is_done = options.resume and all(is_made(file) for file in told_by)
        return replace(plan, is_done=is_done)

    def _take(self, file: Path, photo: Path) -> None:
        """Reserve a file for a photo, unless another photo has it or it must not be replaced."""
        place = str(file.resolve())
        other = self._taken.get(place)
        if other is not None and place == str(other.resolve()):
            raise PhotoError(f"the crop of {photo} would replace the photo {other}")
        if other == photo:
            raise PhotoError(f"two crops of {photo} would be {file}; put {{aspect}} in their names")
        if other is not None:
            raise PhotoError(
                f"the crops of {photo} and {other} would both be {file}; crop them into two folders"
            )
        if _is_there(file) and not (self._options.overwrite or self._options.resume):
            raise PhotoError(f"{file} exists already; overwrite it, or resume to keep it")
        self._taken[place] = photo


def name_files(
    photo: ListedPhoto,
    crops: CropOptions,
    options: BatchOptions,
    *,
    photo_format: str | None = None,
) -> Plan:
    """Return which files belong to a photo, by its name and format alone.

    Args:
        photo: the photo.
        crops: how photos are cropped.
        options: which files are written.
        photo_format: its format as Pillow calls it; None to look into its file.
    """
    path = photo.path
    as_format = crops.as_format or crop_format(photo_format or _format_of(path))
    folder = path.parent if options.output_dir is None else options.output_dir / photo.folder
    own = path.suffix
    suffix = own if own.lower() in SUFFIXES[as_format] else SUFFIXES[as_format][0]
    count = crops.choice.candidates if names_candidates(options.pattern) else 1
    files = tuple(
        tuple(
            folder / crop_name(path, label, suffix[1:], options.pattern, candidate=number)
            for number in range(1, count + 1)
        )
        for label in crops.aspects
    )
    return Plan(photo, files, folder / f"{path.stem}-overlay.png" if options.overlay else None)


def is_made(file: Path) -> bool:
    """Return whether a crop exists from an earlier run."""
    return _is_there(file) and not is_empty(file)


def is_empty(file: Path) -> bool:
    """Return whether a file has nothing in it, as after a power cut."""
    return file.is_file() and file.stat().st_size == 0


def _is_there(file: Path) -> bool:
    """Return whether a name is taken, even by a link to nowhere."""
    return file.exists() or file.is_symlink()


def _format_of(path: Path) -> str | None:
    """Return a photo's format by its first bytes; None if it is unknown or cannot be read."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return formats.photo_format(file.read(HEAD_BYTES))
    except (OSError, ValueError):
        return None
