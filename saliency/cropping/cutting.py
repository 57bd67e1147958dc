"""Cut a window out of a photo and encode it with the photo's metadata."""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NamedTuple

from PIL import Image, ImageColor

from saliency.crop_windows.choice import Choice
from saliency.cropping.options import CropOptions, Output
from saliency.errors import PhotoError, first_line
from saliency.geometry import Padding, Size, Window
from saliency.photo.colour import eight_bits
from saliency.photo.formats import CropFormat, Encoding
from saliency.photo.jpeg import with_segments
from saliency.photo.lossless_jpeg import cut_lossless
from saliency.photo.metadata.file_metadata import Metadata, crop_metadata
from saliency.photo.pixels import Box, Pixels, as_image, cropped, pixel_size, resampled
from saliency.photo.reading import LoadedPhoto, is_lossless_webp
from saliency.photo.writing import check_opens, encode, fit_mode, losses, save

_ANIMATED: tuple[CropFormat, ...] = ("gif", "webp", "png", "avif")
_NO_PADDING = Padding(0, 0, 0, 0)
_DRAWN_MODES = ("L", "LA", "RGB", "RGBA", "CMYK")


class EncodedCrop(NamedTuple):
    """A crop as a file, and warnings that name what it does not keep of the photo's file."""

    data: bytes
    warnings: tuple[str, ...] = ()


def padded_size(choice: Choice) -> Size:
    """Return width and height of a window with its padding."""
    borders = choice.padding or _NO_PADDING
    width = choice.window.width + borders.left + borders.right
    return width, choice.window.height + borders.top + borders.bottom


def make_crop(
    photo: LoadedPhoto, choice: Choice, *, as_format: CropFormat, options: CropOptions
) -> EncodedCrop:
    """Return the crop of a photo to a chosen window, as the bytes of a file.

    An animation is cropped frame by frame where the format has animations; else its first frame.

    Args:
        photo: decoded at a size that has no fewer pixels than wanted here.
        choice: its window and padding are in pixels of the whole upright photo.
        as_format: see `encode`.
        options: the size of the crop, quality and the like, and whether metadata is left out.

    Raises:
        PhotoError: the format cannot hold the crop.
    """
    encoding = options.encoding
    if as_format == "webp" and is_lossless_webp(photo):
        encoding = replace(encoding, lossless=True)
    cut = _Cut(
        photo.size,
        choice,
        options.output,
        encoding.background,
        options.ratio_of(choice.aspect),
    )
    metadata = crop_metadata(photo.metadata, cut.size, stripped=options.is_stripped)
    frames = photo.frames if as_format in _ANIMATED else ()
    try:
        if frames:
            data = _animation(photo, cut, metadata, as_format, encoding)
        else:
            data = encode(
                cut.of(photo.pixels),
                metadata,
                as_format,
                encoding,
                has_reduced_chroma=photo.has_reduced_chroma,
            )
        check_opens(data, as_format, cut.size, max(1, len(frames)))
    except (OSError, ValueError, MemoryError, RuntimeError) as error:
        raise PhotoError(
            f"cannot write the crop of {photo.path} as {as_format}: {first_line(error)}"
        ) from error
    lost = losses(metadata, photo.pixels, as_format, depth=photo.depth)
    return EncodedCrop(data, (*_not_kept(metadata), *lost))


def make_lossless_crop(
    photo: LoadedPhoto, window: Window, *, stripped: bool = False
) -> EncodedCrop:
    """Return the crop of a JPEG to a window on its blocks (`lossless.snapped`), not re-encoded.

    The crop is stored as the photo is, with the same EXIF orientation.

    Raises:
        PhotoError: the photo is not a JPEG, or of a kind that cannot be cut without loss.
    """
    jpeg, size = cut_lossless(photo.data, photo, window)
    metadata = crop_metadata(photo.metadata, size, orientation=photo.orientation, stripped=stripped)
    data = with_segments(jpeg, metadata)
    lost = losses(metadata, photo.pixels, "jpeg", depth=photo.depth)
    return EncodedCrop(data, (*_not_kept(metadata), *lost))


def _not_kept(metadata: Metadata) -> list[str]:
    return [f"not kept: {text}" for text in metadata.warnings]


@dataclass(frozen=True)
class _Cut:
    """How a crop is cut out of pixels that show the whole photo at some size."""

    photo_size: Size
    choice: Choice
    output: Output
    background: str
    ratio: Fraction | None

    @property
    def window(self) -> Window:
        """What the crop shows, in pixels of the photo."""
        return self.choice.window

    @property
    def padding(self) -> Padding:
        """Borders to add, in pixels of the photo."""
        return self.choice.padding or _NO_PADDING

    @property
    def padded_size(self) -> Size:
        """Width and height of the window with its borders, in pixels of the photo."""
        return padded_size(self.choice)

    @property
    def size(self) -> Size:
        """Width and height of the crop."""
        return self.output.size_of(self.padded_size, self.ratio)

    def of(self, pixels: Pixels) -> Pixels:
        """Return the crop of pixels, in their own mode if possible."""
        if self.padding == _NO_PADDING:
            return self._window_of(pixels, self.size)
        x_scale, y_scale = (a / b for a, b in zip(self.size, self.padded_size, strict=True))
        left, top = round(self.padding.left * x_scale), round(self.padding.top * y_scale)
        right = max(left + 1, round((self.padding.left + self.window.width) * x_scale))
        bottom = max(top + 1, round((self.padding.top + self.window.height) * y_scale))
        inner = as_image(self._window_of(pixels, (right - left, bottom - top)))
        inner = inner if inner.mode in _DRAWN_MODES else eight_bits(inner)
        canvas = Image.new(inner.mode, self.size, _ink(self.background, inner.mode))
        canvas.paste(inner, (left, top))
        return canvas

    def _window_of(self, pixels: Pixels, size: Size) -> Pixels:
        """Return the pixels of the window, at a size."""
        window = self.window
        box = (window.x, window.y, window.x + window.width, window.y + window.height)
        if pixel_size(pixels) == self.photo_size and size == (window.width, window.height):
            return cropped(pixels, box)
        if isinstance(pixels, Image.Image) and (
            pixels.mode in ("1", "P", "PA") or "transparency" in pixels.info
        ):
            # Neither bits, palette indices nor a key colour can be averaged.
            pixels = eight_bits(pixels)
        width, height = pixel_size(pixels)
        x_scale, y_scale = width / self.photo_size[0], height / self.photo_size[1]
        scaled: Box = (box[0] * x_scale, box[1] * y_scale, box[2] * x_scale, box[3] * y_scale)
        return resampled(pixels, scaled, size)


def _ink(colour: str, mode: str) -> Any:
    """Return a colour as a value of an image's mode."""
    if mode == "CMYK":
        return Image.new("RGB", (1, 1), colour).convert("CMYK").getpixel((0, 0))
    return ImageColor.getcolor(colour, mode)


def _animation(
    photo: LoadedPhoto,
    cut: _Cut,
    metadata: Metadata,
    as_format: CropFormat,
    encoding: Encoding,
) -> bytes:
    """Return an animation cropped frame by frame."""
    images = [as_image(cut.of(frame.image)) for frame in photo.frames]
    more: dict[str, Any] = {"duration": [round(frame.duration_ms) for frame in photo.frames]}
    if photo.loop is not None and as_format != "avif":
        more["loop"] = photo.loop
    if as_format == "gif" and any(image.mode == "RGBA" for image in images):
        more["disposal"] = 2  # a transparent frame hides the one before; opaque ones need not
    fitted = [fit_mode(image, metadata.icc_profile, as_format, encoding)[0] for image in images]
    return save(fitted, metadata, as_format, encoding, **more)
