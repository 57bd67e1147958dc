"""Decisions on crops: what the model proposes for each photo, and what a person made of it.

    {"format": "saliency decisions", "version": 1, "photos": {
      SHA-256 of the photo's file: {"photo": "a/b.jpg", "width": 640, "height": 427, "faces": [...],
        "model":  {"1:1": {"x": 118, "y": 0, "width": 427, "height": 427, "confidence": 0.76, …}},
        "person": {"1:1": {"x": 90, "y": 0, "width": 427, "height": 427, "time": "…Z"}}}}}

Windows are in pixels of the upright photo; `null` in their place means that no crop is wanted. The
file is replaced whole after each decision, so it is never half written.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from saliency.crop_windows.choice import Choice
from saliency.crop_windows.summed_area_table import share
from saliency.cropping.analysis import Analysis
from saliency.errors import DecisionsError
from saliency.files import write_whole
from saliency.geometry import Size, Window, aspect_name

FORMAT, VERSION = "saliency decisions", 1
_BOX = ("x", "y", "width", "height")


class Decisions:
    """The decisions of a file, by the SHA-256 of each photo's file.

    Attributes:
        path: the file.
        photos: one entry for each photo, as in the file.
    """

    def __init__(self, path: Path, photos: dict[str, dict[str, Any]] | None = None) -> None:
        """Begin without decisions, or with some."""
        self.path, self.photos = path, photos or {}

    @classmethod
    def read(cls, path: Path) -> "Decisions":
        """Return the decisions of a file.

        Raises:
            DecisionsError: the file cannot be read, is damaged, or of another version.
        """
        try:
            stored = json.loads(path.read_bytes())
        except OSError as error:
            raise DecisionsError(f"cannot read {path}: {error.strerror}") from error
        except ValueError as error:
            raise DecisionsError(f"{path} is no file of decisions: {error}") from error
        if not isinstance(stored, dict) or stored.get("format") != FORMAT:
            raise DecisionsError(f"{path} is no file of decisions of `saliency review`")
        if stored.get("version") != VERSION:
            raise DecisionsError(
                f"expected version {VERSION} of the decisions in {path}, got "
                f"{stored.get('version')}; use the release that wrote it, or review anew"
            )
        photos = stored.get("photos")
        if not isinstance(photos, dict):
            raise DecisionsError(f"{path} is damaged: it has no photos")
        for digest, photo in photos.items():
            _check(photo, f"{path}: photo {digest[:12]}")
        return cls(path, photos)

    def save(self) -> None:
        """Replace the file, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        stored = {"format": FORMAT, "version": VERSION, "photos": self.photos}
        text = json.dumps(stored, ensure_ascii=False, indent=1)
        write_whole(text.encode("utf-8", "surrogatepass"), self.path, overwrite=True)

    def propose(
        self, digest: str, name: str, size: Size, choices: Sequence[Choice], faces: Sequence[Window]
    ) -> None:
        """Note what the model proposes for a photo; what a person decided stays."""
        photo = self.photos.setdefault(digest, {"person": {}, "model": {}})
        photo |= {"photo": name, "width": size[0], "height": size[1]}
        photo["faces"] = [_box(face) for face in faces]
        for choice in choices:
            photo["model"][choice.aspect] = {
                **({} if choice.outcome == "skipped" else _box(choice.window)),
                "confidence": choice.confidence,
                "reason": choice.reason,
                "share": choice.share,
                "centre": _box(choice.centre),
                "alternatives": [_box(one.window) for one in choice.alternatives],
            }

    def decide(self, digest: str, aspect: str, window: Window | None) -> None:
        """Note what a person decided: a window, or no crop.

        Raises:
            DecisionsError: the photo is unknown, or the window reaches out of it.
        """
        photo = self.photos.get(digest)
        if photo is None:
            raise DecisionsError("the photo is not known here; load the page again")
        size = photo["width"], photo["height"]
        if window is not None and window.common(Window(0, 0, *size)) != window:
            raise DecisionsError(f"expected a window inside the {size[0]}x{size[1]} photo")
        time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        photo["person"][aspect] = {**({} if window is None else _box(window)), "time": time}

    def undecide(self, digest: str, aspect: str) -> None:
        """Forget what a person decided."""
        self.photos.get(digest, {}).get("person", {}).pop(aspect, None)

    def apply(
        self, data: bytes, path: Path, seen: Analysis, choices: Sequence[Choice]
    ) -> list[Choice]:
        """Return the choices for a photo as they were decided; `reason` says where by a person.

        Args:
            data: the photo's file.
            path: of that file.
            seen: the photo.
            choices: of the model; they stay where nothing is decided.

        Raises:
            DecisionsError: a person decided on the photo, but its file has changed since.
        """
        photo = self.photos.get(digest_of(data))
        if not (photo and photo["person"]) and self._was_decided(path):
            raise DecisionsError(
                f"{path} has changed since its crop was decided; review it again, or crop it "
                "without --decisions"
            )
        if photo is None:
            return list(choices)
        decided = {
            aspect_name(aspect): (by, entry)
            for by in ("model", "person")
            for aspect, entry in photo[by].items()
        }
        return [
            _applied(choice, *decided[aspect_name(choice.aspect)], seen)
            if aspect_name(choice.aspect) in decided
            else choice
            for choice in choices
        ]

    @property
    def names(self) -> set[str]:
        """The names of the photos' files, without folders."""
        return {Path(photo["photo"]).name for photo in self.photos.values()}

    def _was_decided(self, path: Path) -> bool:
        """Return whether a person decided on what was in this place."""
        for name in self._decided.get(path.name, ()):
            place = self.path.parent / name
            if place.exists():  # the file of decisions lies in the folder that was reviewed
                if place.resolve() == path.resolve():
                    return True
            elif path.parts[-len(name.parts) :] == name.parts:
                return True
        return False

    @cached_property
    def _decided(self) -> dict[str, list[Path]]:
        """The photos on which a person decided, by the bare names of their files."""
        found: dict[str, list[Path]] = {}
        for photo in self.photos.values():
            if photo["person"]:
                name = Path(photo["photo"])
                found.setdefault(name.name, []).append(name)
        return found

    def persons_windows(self) -> Iterator[tuple[str, list[Window]]]:
        """Yield each photo that a person decided, by its name, with the windows chosen for it."""
        for photo in self.photos.values():
            windows = [_window(entry) for entry in photo["person"].values()]
            chosen = [window for window in windows if window is not None]
            if chosen:
                yield photo["photo"], chosen


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of a photo's file, in hex digits."""
    return hashlib.sha256(data).hexdigest()


def _applied(choice: Choice, by: Any, entry: dict[str, Any], seen: Analysis) -> Choice:
    """Return a choice with the window that was decided."""
    window = _window(entry)
    if by == "model":
        return choice if window is None else _placed(choice, window, seen)
    if window is None:
        reason = "a person wants no crop"
        return replace(choice, outcome="skipped", reason=reason, padding=None)
    decided = _placed(choice, window, seen)
    return replace(decided, reason="a person decided", padding=None)


def _placed(choice: Choice, window: Window, seen: Analysis) -> Choice:
    """Return a choice with another window."""
    if window == choice.window:
        return choice
    inside = seen.frame.on_picture(window)
    held = 0.0 if inside is None else share(seen.density, inside, seen.frame.picture.size)
    outcome: Any = "centred" if window == choice.centre else "moved"
    return replace(choice, window=window, share=held, outcome=outcome)


def _box(window: Window) -> dict[str, int]:
    """Return a window as JSON."""
    return {name: getattr(window, name) for name in _BOX}


def _window(entry: dict[str, Any]) -> Window | None:
    """Return the window of an entry; None where no crop is wanted."""
    return Window(*(entry[name] for name in _BOX)) if "x" in entry else None


def _check(photo: Any, place: str) -> None:
    """Refuse a photo of a damaged file."""
    try:
        size = photo["width"], photo["height"]
        if not (isinstance(photo["photo"], str) and min(size) > 0):
            raise ValueError
        for by in ("model", "person"):
            for entry in photo[by].values():
                window = _window(entry)
                if window is not None and window.common(Window(0, 0, *size)) != window:
                    raise ValueError
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DecisionsError(f"{place} is damaged") from error
