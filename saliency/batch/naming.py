"""The names of crops: patterns such as `{stem}-{aspect}.{ext}`."""

import string
from pathlib import Path, PurePosixPath

from saliency.geometry import aspect_name

DEFAULT_PATTERN = "{stem}-{aspect}.{ext}"
CANDIDATE_PATTERN = "{stem}-{aspect}-{candidate}.{ext}"
"""Where a ratio has several crops, one for each candidate."""

_FIELDS = ("stem", "aspect", "ext", "parent", "candidate")


def parse_pattern(text: str) -> str:
    """Return a pattern that names crops, checked.

    Args:
        text: a path inside the output folder, with `/` between folders. `{stem}` is the photo's
            name without its ending, `{aspect}` the ratio or the size as it was written, `{ext}`
            the ending of the crop's format, `{parent}` the name of the photo's folder,
            `{candidate}` the number of the window among those of its ratio, from 1.

    Raises:
        ValueError: it names something else, or a place outside the output folder.
    """
    try:
        pieces = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{error}, in '{text}'") from error
    for _, field, specification, conversion in pieces:
        if field is not None and (field not in _FIELDS or specification or conversion):
            known = ", ".join(f"{{{name}}}" for name in _FIELDS)
            raise ValueError(f"expected {known}, got '{{{field}}}' in '{text}'")
    parts = PurePosixPath(text).parts
    if not parts or ".." in parts or text.startswith("/") or text.endswith("/") or "\0" in text:
        raise ValueError(f"expected a file inside the output folder, got '{text}'")
    return text


def names_candidates(pattern: str) -> bool:
    """Return whether a pattern gives each candidate window of a ratio a name of its own."""
    return any(name == "candidate" for _, name, _, _ in string.Formatter().parse(pattern))


def crop_name(
    photo: Path, label: str, ext: str, pattern: str = DEFAULT_PATTERN, *, candidate: int = 1
) -> Path:
    """Return the name of a crop, relative to the output folder: `NAME-16x9.jpg`.

    Args:
        photo: the photo's file.
        label: the ratio or the size, as it was written.
        ext: ending of the file, without its dot.
        pattern: from `parse_pattern`.
        candidate: number of the window among those of the ratio.
    """
    fields = {
        "stem": photo.stem,
        "aspect": aspect_name(label),
        "ext": ext,
        "parent": photo.resolve().parent.name if "{parent}" in pattern else "",
        "candidate": candidate,
    }
    return Path(pattern.format_map(fields))
