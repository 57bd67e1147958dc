"""What was done with a photo, as JSON and as lines for people."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saliency.crop_windows.choice import Choice, candidates_of
from saliency.cropping.analysis import Analysis
from saliency.cropping.focal_point import service_values
from saliency.cropping.stopwatch import Stopwatch
from saliency.files import url_of
from saliency.geometry import Frame, Window

SCHEMA = 1
"""Version of the JSON; a later one may only add keys as long as this stays."""


@dataclass(frozen=True)
class CropReport:
    """What was done with one photo.

    Attributes:
        photo: its file.
        frame: size of the upright photo, and the part of it that is its picture.
        choices: the window for each ratio.
        files: for each ratio its crop, followed by those of its alternatives if wanted; None for
            one that was not written.
        overlay: the overlay, if one was written.
        timing_ms: how long each part took.
        preview: the photo as the model sees it, if asked for.
        warnings: what is wrong with the photo, and what its crops do not keep of its file.
        heads: of people that were found, in pixels of the photo.
    """

    photo: Path
    frame: Frame
    choices: tuple[Choice, ...]
    files: tuple[tuple[Path | None, ...], ...]
    overlay: Path | None
    timing_ms: dict[str, float]
    preview: NDArray[np.uint8] | None
    warnings: tuple[str, ...] = ()
    heads: tuple[Window, ...] = ()

    @classmethod
    def of(
        cls,
        seen: Analysis,
        choices: Sequence[Choice],
        clock: Stopwatch,
        *,
        files: tuple[tuple[Path | None, ...], ...] | None = None,
        overlay: Path | None = None,
        preview: NDArray[np.uint8] | None = None,
        warnings: Sequence[str] = (),
    ) -> "CropReport":
        """Return the report on a photo that was looked at; `files` is None if none is written."""
        return cls(
            photo=seen.photo.path,
            frame=seen.frame,
            choices=tuple(choices),
            files=files or ((None,),) * len(choices),
            overlay=overlay,
            timing_ms=clock.parts_ms,
            preview=preview,
            warnings=tuple(warnings),
            heads=tuple(face.head for face in seen.faces),
        )

    def to_json(self, *, status: str = "cropped", has_timing: bool = False) -> dict[str, Any]:
        """Return the report as `saliency crop --json` prints it, keys always in the same order."""
        windows = [
            _window_json(choice, files) | service_values(choice.window, self.frame.size)
            for choice, files in zip(self.choices, self.files, strict=True)
        ]
        timing = {name: round(spent_ms, 3) for name, spent_ms in self.timing_ms.items()}
        return {
            "schema": SCHEMA,
            "photo": url_of(self.photo),
            "status": status,
            "width": self.frame.size[0],
            "height": self.frame.size[1],
            "content": asdict(self.frame.picture),
            "windows": windows,
            "overlay": None if self.overlay is None else str(self.overlay),
            "timing_ms": timing if has_timing else None,
            "warnings": list(self.warnings),
            "faces": [asdict(head) for head in self.heads],
        }

    def to_text(self) -> str:
        """Return one line for each ratio and each further crop of it, and one for the overlay."""
        lines = [
            _line(one, self.photo if file is None else file)
            for choice, files in zip(self.choices, self.files, strict=True)
            for one, file in zip(candidates_of(choice), files, strict=False)
        ]
        return "\n".join(lines + ([] if self.overlay is None else [printable(self.overlay)]))

    def timing_line(self) -> str:
        """Return how long each part took."""
        parts = (f"{name} {spent_ms:.1f} ms" for name, spent_ms in self.timing_ms.items())
        total_ms = sum(self.timing_ms.values())
        return f"{printable(self.photo)}: {', '.join(parts)}, together {total_ms:.1f} ms"


def brief_json(photo: Path, status: str, error: str | None = None) -> dict[str, Any]:
    """Return the JSON of a photo that was skipped, or that failed."""
    report: dict[str, Any] = {"schema": SCHEMA, "photo": url_of(photo), "status": status}
    return report if error is None else report | {"error": error}


def json_line(report: dict[str, Any]) -> str:
    r"""Return a report as one line.

    A name that is no valid Unicode has its bytes from 128 on as lone surrogates, `\udc80` to
    `\udcff`, which Python's `os.fsencode` turns back.
    """
    text = json.dumps(report, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(report)
    return text


def printable(path: Path) -> str:
    """Return a file's name, with characters that cannot be printed as escapes."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode()
        for sign in url_of(path)
    )


def _window_json(choice: Choice, files: tuple[Path | None, ...]) -> dict[str, Any]:
    """Return a choice as JSON, with its file, and the file of each alternative."""
    shown = choice.to_json()
    names = [None if file is None else str(file) for file in files]
    for one, name in zip_longest(shown["alternatives"], names[1:]):
        one["file"] = name
    return shown | {"file": names[0]}


def _line(choice: Choice, file: Path) -> str:
    """Return a line that describes a choice for people."""
    window = choice.window
    place = f"{window.width}x{window.height}+{window.x}+{window.y}"
    kept = f"keeps {choice.share:.1%} (centre {choice.centre_share:.1%})"
    why = "" if choice.outcome == "moved" else f"  {choice.outcome}: {choice.reason}"
    return f"{printable(file)}  {place}  {kept}{why}"
