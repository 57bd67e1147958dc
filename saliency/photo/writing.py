"""Encode the pixels of a crop as a file of any format, with what it is to carry."""

from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from saliency.errors import first_line
from saliency.geometry import Size
from saliency.photo.colour import convert_to_srgb, eight_bits, over_colour
from saliency.photo.formats import CropFormat, Encoding, register_heif
from saliency.photo.jpeg import encode_jpeg, segments_too_long, with_segments
from saliency.photo.metadata.exif_block import ExifBlock
from saliency.photo.metadata.file_metadata import Metadata
from saliency.photo.pixels import Pixels, as_image
from saliency.photo.sixteen_bit import encode_sixteen_bit_png, encode_ten_bit_heic
from saliency.photo.stated_colour import is_built
from saliency.photo.tiff import encode_tiff, unwritable_tags

_MODES: dict[CropFormat, tuple[str, ...]] = {
    "jpeg": ("L", "RGB", "CMYK"),
    "png": ("1", "L", "LA", "P", "RGB", "RGBA"),
    "webp": ("RGB", "RGBA"),
    "avif": ("RGB", "RGBA"),
    "tiff": ("1", "L", "LA", "I", "P", "RGB", "RGBA", "CMYK"),
    "gif": ("1", "L", "P", "RGB", "RGBA"),
    "heic": ("L", "RGB", "RGBA"),
}
_WITH_KEY: tuple[CropFormat, ...] = ("png", "gif")  # one colour may mean transparent
_WITHOUT_PROFILE: tuple[CropFormat, ...] = ("gif",)
_WITH_QUALITY: tuple[CropFormat, ...] = ("jpeg", "webp", "avif", "heic")
PILLOW_NAMES: dict[CropFormat, str] = {"heic": "heif"}
"""What Pillow calls a format, where that is something else."""


def encode(
    pixels: Pixels,
    metadata: Metadata,
    as_format: CropFormat,
    encoding: Encoding,
    *,
    has_reduced_chroma: bool = False,
) -> bytes:
    """Return pixels as the bytes of a file.

    Args:
        pixels: of the crop.
        metadata: what the file is to carry. JPEG has no room for an EXIF above 64 kB, GIF for
            anything; both are left out.
        as_format: JPEG has no alpha; only PNG and TIFF have 16 bits, and HEIC 10 of them in
            colour; only JPEG and TIFF have CMYK; WebP and AVIF have no grey and GIF no profile
            (they become sRGB).
        encoding: quality and the like.
        has_reduced_chroma: the photo is a JPEG whose colours have half the resolution.

    Raises:
        OSError, ValueError: the format cannot hold the crop (a WebP side has at most 16383 pixels).
    """
    if isinstance(pixels, np.ndarray) and pixels.dtype == np.uint16:
        if as_format == "tiff":
            return encode_tiff(pixels, metadata)
        if as_format == "png":
            return encode_sixteen_bit_png(np.asarray(pixels, dtype=np.uint16), metadata)
        if as_format == "heic" and pixels.shape[2] > 2:
            register_heif()
            deep = np.asarray(pixels, dtype=np.uint16)
            return encode_ten_bit_heic(deep, metadata, encoding.quality)
    subsampling = encoding.subsampling or ("4:2:0" if has_reduced_chroma else "4:4:4")
    is_array = isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8
    if as_format == "jpeg" and is_array and not encoding.progressive:
        plain = np.asarray(pixels, dtype=np.uint8)
        jpeg = encode_jpeg(plain, quality=encoding.quality, subsampling=subsampling)
        return with_segments(jpeg, metadata)
    image, profile = fit_mode(as_image(pixels), metadata.icc_profile, as_format, encoding)
    metadata = _for_pixels(metadata, profile, as_format)
    if as_format == "jpeg":
        image.info = {}
        buffer = BytesIO()
        options = {"quality": encoding.quality, "progressive": encoding.progressive}
        image.save(buffer, "jpeg", subsampling=subsampling, **options)
        return with_segments(buffer.getvalue(), metadata)
    return save([image], metadata, as_format, encoding)


def save(
    images: list[Image.Image],
    metadata: Metadata,
    as_format: CropFormat,
    encoding: Encoding,
    **more: Any,
) -> bytes:
    """Return one image, or the frames of an animation, as a file that Pillow writes.

    Args:
        images: in a mode that the format has.
        metadata: what the file is to carry.
        as_format: any but JPEG.
        encoding: quality and the like.
        **more: options of Pillow's, such as the durations of frames.
    """
    if as_format == "heic":
        register_heif()
    first, *others = images
    if as_format == "tiff":
        return encode_tiff(first, metadata)
    options: dict[str, Any] = more | metadata_options(metadata, as_format)
    if as_format in _WITH_QUALITY:
        options["quality"] = encoding.quality
    if as_format == "webp":
        options |= {"lossless": encoding.lossless, "exact": encoding.lossless}
    if others:
        options |= {"save_all": True, "append_images": others}
    # Pillow would write on its own what the image came with; palettes need their transparency.
    kept = {"transparency", "duration"} if as_format in ("gif", "png") else set()
    first.info = {name: value for name, value in first.info.items() if name in kept}
    first, *others = (_with_plain_palette(image) for image in (first, *others))
    if others:
        options["append_images"] = others
    buffer = BytesIO()
    first.save(buffer, PILLOW_NAMES.get(as_format, as_format), **options)
    return buffer.getvalue()


def losses(
    metadata: Metadata, pixels: Pixels, as_format: CropFormat, *, depth: int = 8
) -> list[str]:
    """Return what a photo's file holds and a crop in a format cannot, each in a few words.

    Args:
        metadata: what the crop is to carry.
        pixels: of the photo, as they were decoded.
        as_format: of the crop.
        depth: bits per channel of the photo's file.
    """
    has_exif = as_format != "gif"
    parts = (
        ("EXIF", metadata.exif, has_exif),
        ("XMP", metadata.xmp, has_exif),
        ("IPTC records", metadata.iptc, as_format in ("jpeg", "tiff")),
        ("texts", metadata.texts, as_format == "png"),
        ("comment", metadata.comment, as_format in ("jpeg", "gif")),
    )
    lost = [
        f"its {name}, which {as_format} cannot hold"
        for name, had, held in parts
        if had and not held
    ]
    if as_format == "jpeg":
        lost += [f"its {name}, too long for a JPEG" for name in segments_too_long(metadata)]
    if as_format == "tiff":
        lost += [f"its damaged EXIF entry {name}" for name in unwritable_tags(metadata)]
    held = _bits_held(pixels, as_format)
    if held < depth:
        lost.append(f"{depth - held} of its {depth} bits per channel")
    return [f"not kept: {text}" for text in lost]


def _bits_held(pixels: Pixels, as_format: CropFormat) -> int:
    """Return how many bits per channel a format holds of pixels as they were decoded."""
    if isinstance(pixels, Image.Image):
        return 32 if pixels.mode == "I" and as_format == "tiff" else 8
    if pixels.dtype == np.uint8:
        return 8
    in_colour = 10 if pixels.shape[2] > 2 else 8
    return {"png": 16, "tiff": 16, "heic": in_colour}.get(as_format, 8)


def check_opens(data: bytes, as_format: CropFormat, size: Size, frame_count: int = 1) -> None:
    """Open an encoded crop again, as its user will.

    Args:
        data: content of the file.
        as_format: that it is to have.
        size: width and height that it is to have.
        frame_count: of an animation, at most; writers join frames that are alike.

    Raises:
        ValueError: it does not open, or is something else.
    """
    name = PILLOW_NAMES.get(as_format, as_format).upper()
    try:
        with Image.open(BytesIO(data), formats=(name,)) as image:
            found, frames = image.size, getattr(image, "n_frames", 1)
            if as_format in ("gif", "png"):
                image.load()  # their palettes are read with the pixels
    except Exception as error:  # readers raise almost anything on damaged files
        raise ValueError(f"it cannot be opened again ({first_line(error)})") from error
    if found != size or frames > frame_count:
        raise ValueError(f"it opens with {found[0]}x{found[1]} pixels and {frames} frames")


def _with_plain_palette(image: Image.Image) -> Image.Image:
    """Return an image whose palette, if it has one, is RGB.

    Pillow adds alpha to the palette of an image that it has once converted, and then writes a GIF
    with four bytes for each colour.
    """
    if image.mode != "P":
        return image
    plain = image.copy()
    plain.putpalette(image.getpalette("RGB") or [], "RGB")
    plain.info = dict(image.info)
    return plain


def metadata_options(metadata: Metadata, as_format: CropFormat) -> dict[str, Any]:
    """Return what is carried as options of Pillow's writer of a format."""
    options: dict[str, Any] = {}
    if as_format == "gif":
        return {"comment": metadata.comment} if metadata.comment else {}
    has_chunks = as_format == "png" and is_built(metadata.icc_profile) and metadata.colour_chunks
    if metadata.icc_profile is not None and not has_chunks:
        options["icc_profile"] = metadata.icc_profile
    if metadata.exif:
        options["exif"] = metadata.exif
    if metadata.exif and as_format == "avif":  # Pillow would write it anew for its orientation
        options["exif"] = ExifBlock(metadata.exif).without_orientation()
    if as_format == "png":
        return options | _png_options(metadata)
    if metadata.xmp:
        options["xmp"] = metadata.xmp
    return options


def _png_options(metadata: Metadata) -> dict[str, Any]:
    """Return the options of Pillow's PNG writer: resolution, colours, XMP and texts."""
    chunks = PngInfo()
    if metadata.icc_profile is None or is_built(metadata.icc_profile):
        for name, content in metadata.colour_chunks:
            chunks.add(name, content)
    if metadata.xmp:
        chunks.add_itxt("XML:com.adobe.xmp", metadata.xmp.decode("utf-8", "replace"))
    for keyword, text in metadata.texts:
        chunks.add_itxt(keyword, text)
    return {"pnginfo": chunks} | ({} if metadata.dpi is None else {"dpi": metadata.dpi})


def _for_pixels(metadata: Metadata, icc_profile: bytes | None, as_format: CropFormat) -> Metadata:
    """Return metadata with the profile that describes the pixels now."""
    has_changed = icc_profile != metadata.icc_profile
    return replace(
        metadata,
        icc_profile=icc_profile,
        colour_chunks=() if has_changed or as_format != "png" else metadata.colour_chunks,
    )


def fit_mode(
    image: Image.Image, icc_profile: bytes | None, as_format: CropFormat, encoding: Encoding
) -> tuple[Image.Image, bytes | None]:
    """Return the image in a mode that the format has, and the profile that describes it then."""
    modes = _MODES[as_format]
    is_grey = image.mode in ("1", "L", "LA") and as_format != "png"
    if is_built(icc_profile) and is_grey and not image.has_transparency_data:
        return fit_mode(convert_to_srgb(eight_bits(image), icc_profile), None, as_format, encoding)
    if as_format in _WITHOUT_PROFILE and icc_profile is not None:
        return convert_to_srgb(eight_bits(image), icc_profile), None
    has_lost_alpha = image.has_transparency_data and (
        as_format == "jpeg" or (image.mode not in ("LA", "RGBA") and as_format not in _WITH_KEY)
    )
    if image.mode not in modes or has_lost_alpha:
        image = eight_bits(image)
        if image.mode not in modes:
            return _converted(image, icc_profile, as_format, encoding)
    return image, icc_profile


def _converted(
    image: Image.Image, icc_profile: bytes | None, as_format: CropFormat, encoding: Encoding
) -> tuple[Image.Image, bytes | None]:
    """Return an image of 8 bits in a mode that the format has, and its profile then."""
    if as_format == "jpeg" and image.mode == "RGBA":
        return over_colour(image, encoding.background), icc_profile
    if image.mode == "LA" and "RGBA" in _MODES[as_format] and icc_profile is None:
        return image.convert("RGBA"), None
    converted = convert_to_srgb(image, icc_profile)
    return (over_colour(converted, encoding.background) if as_format == "jpeg" else converted), None
