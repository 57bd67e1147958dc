"""Which photos a command line names: files, folders and lists of files."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from saliency.batch.naming import crop_name
from saliency.errors import PhotoError
from saliency.photo.formats import PHOTO_SUFFIXES

_NUMBER = re.compile(r"-\d+\Z")  # of a candidate, or of a page


@dataclass(frozen=True)
class ListedPhoto:
    """A photo, and its place below the folder in which it was found.

    Attributes:
        path: the file.
        folder: the file's folder, relative to the one that was named; `.` for a file named itself.
    """

    path: Path
    folder: Path = Path()


def find_photos(
    paths: Sequence[Path],
    labels: Sequence[str],
    *,
    is_recursive: bool = False,
    output_dir: Path | None = None,
    contact_sheet: Path | None = None,
) -> list[ListedPhoto]:
    """Return the photos that paths name: the file itself, or the photos in a folder.

    A folder's photos are its files with the suffix of a photo, sorted by name, without hidden
    ones, and without crops and overlays that an earlier run with the same ratios (and the default
    patterns) made of others among them. A folder without photos is returned itself, to be reported
    as such.

    Args:
        paths: files and folders.
        labels: how the ratios are written.
        is_recursive: folders inside of folders too, without hidden ones and the output folder;
            links to folders are not followed.
        output_dir: folder of the crops.
        contact_sheet: first page of a sheet; pages that exist already do not count as photos of a
            folder.
    """
    photos: list[ListedPhoto] = []
    for path in paths:
        if not path.is_dir():
            photos.append(ListedPhoto(path))
            continue
        folders = _folders_in(path, output_dir) if is_recursive else [path]
        found = [
            ListedPhoto(file, folder.relative_to(path))
            for folder in folders
            for file in _photos_in(folder, labels)
            if not _is_page(file, contact_sheet)
        ]
        photos += found or [ListedPhoto(path)]
    return photos


def read_list(content: bytes, *, is_null_separated: bool = False) -> list[Path]:
    """Return the files that a list names, one per line, or each followed by a NUL."""
    separator = b"\0" if is_null_separated else b"\n"
    names = content.split(separator)
    if not is_null_separated:
        names = [name.removesuffix(b"\r") for name in names]
    return [Path(os.fsdecode(name)) for name in names if name]


def write_list(paths: Sequence[Path], *, is_null_separated: bool = False) -> bytes:
    """Return the list of files that `read_list` reads."""
    end = b"\0" if is_null_separated else b"\n"
    return b"".join(os.fsencode(path) + end for path in paths)


def _folders_in(top: Path, output_dir: Path | None) -> Iterator[Path]:
    """Yield a folder and those inside it, sorted by name."""
    left_out = None if output_dir is None else output_dir.resolve()

    def fail(error: OSError) -> None:
        raise PhotoError(f"cannot read the folder {error.filename}: {error.strerror}") from error

    for name, inner, _ in os.walk(top, onerror=fail):
        folder = Path(name)
        inner[:] = sorted(
            one for one in inner if one[0] != "." and (folder / one).resolve() != left_out
        )
        yield folder


def _photos_in(folder: Path, labels: Sequence[str]) -> list[Path]:
    """Return the photos in a folder, without the crops of others in it."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise PhotoError(f"cannot read the folder {folder}: {error.strerror or error}") from error
    files = [
        file
        for file in entries
        if file.suffix.lower() in PHOTO_SUFFIXES and file.name[0] != "." and not file.is_dir()
    ]
    made = {crop_name(file, label, "x").stem for file in files for label in labels}
    made |= {f"{file.stem}-overlay" for file in files}
    return [file for file in files if not {file.stem, _NUMBER.sub("", file.stem)} & made]


def _is_page(file: Path, contact_sheet: Path | None) -> bool:
    """Return whether a file is a page of an existing contact sheet."""
    if contact_sheet is None or not contact_sheet.exists():
        return False
    first = file.with_name(_NUMBER.sub("", file.stem) + file.suffix)
    sheet = contact_sheet.resolve()
    return sheet in (file.resolve(), first.resolve())
