"""Animated photos: all frames of a GIF, a WebP, a PNG or an AVIF."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from saliency.errors import PhotoError, first_line
from saliency.photo.pixels import upright_image

_ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")


@dataclass(frozen=True)
class Frame:
    """One picture of an animation, complete, RGB or RGBA, and how long it is shown."""

    image: Image.Image
    duration_ms: float


def read_frames(
    image: Image.Image, path: Path, *, orientation: int, most_pixels: int
) -> tuple[Frame, ...]:
    """Return all frames of an animation, upright; none for a still photo.

    Args:
        image: opened and decoded.
        path: the file, for messages.
        orientation: by which a viewer turns it.
        most_pixels: of all frames together.

    Raises:
        PhotoError: a frame is damaged, or there are too many pixels.
    """
    if image.format not in _ANIMATED:
        return ()
    frames: list[Frame] = []
    try:
        count = getattr(image, "n_frames", 1)
        if count * image.width * image.height > max(most_pixels, image.width * image.height):
            raise PhotoError(
                f"expected at most {most_pixels // 1_000_000} megapixels in all frames together, "
                f"{path} has more"
            )
        # A PNG may show another picture where animations are unknown; it is no frame.
        first = 1 if image.info.get("default_image") else 0
        for index in range(first, count if count > 1 else 0):
            image.seek(index)
            image.load()
            complete = image.convert("RGBA" if image.has_transparency_data else "RGB")
            duration_ms = float(image.info.get("duration", 0))
            frames.append(Frame(upright_image(complete, orientation), duration_ms))
    except PhotoError:
        raise
    except Exception as error:  # decoders raise almost anything on damaged bytes
        raise PhotoError(f"{path} is damaged or cut short: {first_line(error)}") from error
    return tuple(frames) if len(frames) > 1 else ()
