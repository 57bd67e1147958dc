"""The review of a folder: what the model proposes, computed in the background, and decisions."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from saliency.batch.decisions import Decisions, digest_of
from saliency.batch.listing import find_photos
from saliency.colour_map import density_levels
from saliency.cropping.analysis import Analysis
from saliency.cropping.options import CropOptions
from saliency.cropping.photo_cropper import PhotoCropper
from saliency.errors import DecisionsError, PhotoError, SaliencyError
from saliency.geometry import Aspect, Size, Window, aspect_name, fitting_size
from saliency.photo.reading import decode_photo, quietly, read_bytes, to_srgb
from saliency.prediction.predictor import Predictor

_PREVIEW_PX = 1280
_SAVE_EVERY = 20  # photos that the model has looked at


@dataclass
class ReviewedPhoto:
    """A photo of the folder.

    Attributes:
        path: the file.
        name: relative to the folder.
        digest: SHA-256 of the file; None until it was looked at.
        error: why it cannot be cropped.
    """

    path: Path
    name: str
    digest: str | None = None
    error: str | None = None


class ReviewSession:
    """The photos of a folder with their decisions; several threads may use it."""

    def __init__(
        self,
        folder: Path,
        decisions: Path,
        aspects: Mapping[str, Aspect],
        *,
        model: str | None = None,
        is_recursive: bool = False,
    ) -> None:
        """List the photos and read the decisions.

        Raises:
            PhotoError: the folder holds no photos.
            DecisionsError: the file of decisions cannot be used, or is about other photos.
            CheckpointError: the model cannot be loaded.
        """
        if not folder.is_dir():
            raise PhotoError(f"expected a folder of photos, {folder} is none")
        found = find_photos([folder], list(aspects), is_recursive=is_recursive)
        photos = [photo.path for photo in found if photo.path != folder]
        if not photos:
            raise PhotoError(f"{folder} holds no photos; --recursive looks into its folders too")
        self.aspects = list(aspects)
        self.photos = [ReviewedPhoto(path, str(path.relative_to(folder))) for path in photos]
        self.decisions = Decisions.read(decisions) if decisions.exists() else Decisions(decisions)
        if self.decisions.photos and not self.decisions.names & {path.name for path in photos}:
            raise DecisionsError(
                f"{decisions} is about other photos; name another file with --decisions"
            )
        self._cropper = PhotoCropper(
            Predictor(model, threads=1), CropOptions(aspects=dict(aspects))
        )
        self._lock = threading.Lock()
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._look_at_all, name="review", daemon=True)

    def start(self) -> None:
        """Begin to look at the photos, in the background."""
        self._thread.start()

    def close(self) -> None:
        """Stop looking, and save."""
        self._is_closed.set()
        if self._thread.is_alive():
            self._thread.join()
        self._save()

    def listed(self) -> list[dict[str, Any]]:
        """Return all photos as the page shows them, in the order of the folder."""
        with self._lock:
            return [self._shown(number) for number in range(len(self.photos))]

    def shown(self, number: int) -> dict[str, Any]:
        """Return one photo as the page shows it.

        Raises:
            DecisionsError: there is no such photo.
        """
        self._photo(number)
        with self._lock:
            return self._shown(number)

    def decide(self, number: int, aspect: str, window: Window | None) -> dict[str, Any]:
        """Keep what a person decided for a photo, on the disk too; return the photo.

        Raises:
            DecisionsError: there is no such photo or ratio, or the window reaches out of the photo.
            OutputError: the file of decisions cannot be written.
        """
        return self._changed(
            number, aspect, lambda digest: self.decisions.decide(digest, aspect, window)
        )

    def undecide(self, number: int, aspect: str) -> dict[str, Any]:
        """Forget what a person decided; see `decide`."""
        return self._changed(number, aspect, lambda digest: self.decisions.undecide(digest, aspect))

    def preview(self, number: int) -> bytes:
        """Return a photo as a JPEG of at most 1280 pixels a side.

        Raises:
            DecisionsError: there is no such photo.
            PhotoError: it cannot be read.
        """
        path = self._photo(number).path
        with quietly():
            photo = decode_photo(read_bytes(path), path, _fitted)
        return _encoded(Image.fromarray(to_srgb(photo, _fitted(photo.size))), "jpeg")

    def density(self, number: int) -> bytes:
        """Return the density over the whole photo as a PNG: orange, opaque at its peak.

        Raises:
            DecisionsError: there is no such photo.
            PhotoError: it cannot be read.
        """
        path = self._photo(number).path
        with quietly():
            seen = self._cropper.look(read_bytes(path), path)
        return _encoded(density_layer(seen), "png")

    def _photo(self, number: int) -> ReviewedPhoto:
        """Return a photo by its number."""
        if not 0 <= number < len(self.photos):
            raise DecisionsError(f"there is no photo {number}")
        return self.photos[number]

    def _changed(self, number: int, aspect: str, change: Any) -> dict[str, Any]:
        """Change the decisions on a photo, and save them."""
        photo = self._photo(number)
        if aspect not in self.aspects:
            raise DecisionsError(f"expected one of {', '.join(self.aspects)}, got '{aspect[:20]}'")
        with self._lock:
            if photo.digest is None:
                raise DecisionsError(f"{photo.name} has not been looked at yet; try again")
            change(photo.digest)
            self.decisions.save()
            return self._shown(number)

    def _shown(self, number: int) -> dict[str, Any]:
        """Return a photo as JSON: its windows by ratio, each with the model's and the person's."""
        photo = self.photos[number]
        entry = self.decisions.photos.get(photo.digest or "", {})
        model, person = (
            {aspect_name(aspect): one for aspect, one in entry.get(by, {}).items()}
            for by in ("model", "person")
        )
        windows = [
            {
                "aspect": aspect,
                "model": model.get(aspect_name(aspect)),
                "person": person.get(aspect_name(aspect)),
            }
            for aspect in self.aspects
        ]
        return {
            "id": number,
            "name": photo.name,
            "error": photo.error,
            "is_ready": photo.digest is not None,
            "has_changed": photo.digest is not None and self._has_changed(photo),
            "width": entry.get("width"),
            "height": entry.get("height"),
            "faces": entry.get("faces", []),
            "windows": windows,
        }

    def _has_changed(self, photo: ReviewedPhoto) -> bool:
        """Return whether a person decided on an earlier state of a photo's file alone."""
        if self.decisions.photos[photo.digest or ""]["person"]:
            return False
        return any(
            entry["photo"] == photo.name and entry["person"]
            for entry in self.decisions.photos.values()
        )

    def _look_at_all(self) -> None:
        """Look at every photo that the decisions do not have yet."""
        for count, photo in enumerate(self.photos, start=1):
            if self._is_closed.is_set():
                return
            try:
                self._look_at(photo)
            except (SaliencyError, OSError, MemoryError) as error:
                photo.error = str(error)
            if count % _SAVE_EVERY == 0:
                self._save()
        self._save()

    def _look_at(self, photo: ReviewedPhoto) -> None:
        """Note what the model proposes for a photo, unless it did before."""
        data = read_bytes(photo.path)
        digest = digest_of(data)
        known = self.decisions.photos.get(digest, {}).get("model", {})
        if not {aspect_name(one) for one in self.aspects} <= {aspect_name(one) for one in known}:
            with quietly():
                seen = self._cropper.look(data, photo.path)
                choices = self._cropper.choose(seen)
            heads = [face.head for face in seen.faces]
            with self._lock:
                self.decisions.propose(digest, photo.name, seen.photo.size, choices, heads)
        photo.digest = digest

    def _save(self) -> None:
        """Save the decisions; a disk that is full stops nobody from deciding."""
        with self._lock:
            try:
                self.decisions.save()
            except SaliencyError as error:
                for photo in self.photos:
                    photo.error = photo.error or str(error)


def _fitted(size: Size) -> Size:
    """Return a size brought to at most the preview's."""
    if max(size) <= _PREVIEW_PX:
        return size
    return fitting_size((_PREVIEW_PX, _PREVIEW_PX), Fraction(*size))


def density_layer(seen: Analysis) -> Image.Image:
    """Return the density over a photo as an RGBA image, clear in its border."""
    width, height = _fitted(seen.frame.size)
    alpha = Image.fromarray(np.asarray(density_levels(seen.density) * 200, dtype=np.uint8))
    left, top, right, bottom = (
        round(edge * scale)
        for edge, scale in zip(
            seen.frame.picture.box,
            (width / seen.frame.size[0], height / seen.frame.size[1]) * 2,
            strict=True,
        )
    )
    layer = Image.new("L", (width, height), 0)
    layer.paste(alpha.resize((max(1, right - left), max(1, bottom - top))), (left, top))
    colour = Image.new("RGBA", (width, height), (255, 120, 0, 0))
    colour.putalpha(layer)
    return colour


def _encoded(image: Image.Image, as_format: str) -> bytes:
    """Return an image as the bytes of a file."""
    buffer = BytesIO()
    image.save(buffer, as_format)
    return buffer.getvalue()
