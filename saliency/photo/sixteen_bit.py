"""Photos of more than 8 bits per channel, of which Pillow keeps 8 or misreads some.

PNGs and TIFFs of 16 bits: OpenCV decodes colour and Pillow grey; OpenCV encodes PNG, and the
metadata is put in here. HEICs of 10 and 12 bits: pillow-heif decodes them to 16, and encodes 10.
The pixels are an array of uint16 (height, width, channels): grey, grey and alpha, RGB, or RGBA.
"""

import struct
import zlib
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from saliency.photo.metadata.file_metadata import Metadata
from saliency.photo.stated_colour import is_built

_PNG = b"\x89PNG\r\n\x1a\n"
_PIXEL_CHUNKS = {b"IHDR", b"tRNS", b"IDAT", b"IEND"}
_IHDR_END = 33
_BITS, _COLOURS, _EXTRA = 0x0102, 0x0106, 0x0152
_RGB, _CMYK, _ASSOCIATED = 2, 5, 1
_GREY_MODES = ("I;16", "I;16B", "I;16L", "I;16N")


def bits_per_channel(data: bytes, image: Image.Image) -> int:
    """Return how many bits a file stores for each channel of a pixel, at least 8.

    Args:
        data: content of the file.
        image: the same, opened.
    """
    if image.format == "PNG":
        return max(8, data[24])
    if image.format == "HEIF":
        return int(image.info.get("bit_depth", 8))
    if image.format == "AVIF":
        # AV1CodecConfigurationBox: the third byte has a bit for more than 8 and one for 12.
        at = data.find(b"av1C")
        flags = data[at + 6] if 0 <= at < len(data) - 6 else 0
        return 8 if not flags & 0x40 else 12 if flags & 0x20 else 10
    tags: Any = getattr(image, "tag_v2", {})
    return int(max(8, *tags.get(_BITS, (8,))))


def is_sixteen_bit(data: bytes, image: Image.Image) -> bool:
    """Return whether a file is a PNG, TIFF or HEIC of more than 8 bits that can be kept.

    Args:
        data: content of the file.
        image: the same, opened.
    """
    if image.format == "HEIF":
        return bits_per_channel(data, image) > 8
    if image.mode in _GREY_MODES and image.format in ("PNG", "TIFF"):
        return True
    if image.format == "PNG":
        return data[24:25] == b"\x10" and data[25:26] in (b"\x02", b"\x04", b"\x06")
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(_BITS, ())
    return len(bits) in (3, 4) and set(bits) == {16} and tags.get(_COLOURS) == _RGB


def loses_depth(image: Image.Image) -> bool:
    """Return whether a file has 16 bits in a form of which Pillow keeps 8: CMYK, grey and alpha."""
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(_BITS, ())
    return set(bits) == {16} and (tags.get(_COLOURS) == _CMYK or len(bits) in (2, 5))


def read_sixteen_bit(data: bytes, image: Image.Image) -> NDArray[np.uint16] | None:
    """Return the pixels of such a file as they are stored; a TIFF upright, as Pillow turns it.

    Args:
        data: content of the file.
        image: the same, decoded, but for HEIC.

    Returns:
        uint16 (height, width, 1 to 4); colours of associated alpha are divided by it. Fewer bits
        are the upper ones. None where it cannot be decoded.
    """
    if image.format == "HEIF":
        return _heif(data)
    if image.mode in _GREY_MODES:
        return _grey(image)
    plain = _only_pixels(data) if data.startswith(_PNG) else data
    try:
        stored = cv2.imdecode(np.frombuffer(plain, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if stored is None or stored.dtype != np.uint16 or stored.ndim != 3:
        return None
    pixels = _red_first(stored.astype(np.uint16, copy=False))
    if data[25:26] == b"\x04" and data.startswith(_PNG):
        return np.ascontiguousarray(pixels[..., [0, 3]])
    tags = getattr(image, "tag_v2", {})
    return _unassociated(pixels) if tags.get(_EXTRA, (0,))[0] == _ASSOCIATED else pixels


def encode_ten_bit_heic(pixels: NDArray[np.uint16], metadata: Metadata, quality: int) -> bytes:
    """Return RGB or RGBA as a HEIC of 10 bits, the upper ones of 16.

    Args:
        pixels: uint16 (height, width, 3 or 4).
        metadata: what the file is to carry.
        quality: 1 to 100.
    """
    from pillow_heif import encode  # noqa: PLC0415  an extra

    height, width, channels = pixels.shape
    held = {"exif": metadata.exif, "xmp": metadata.xmp, "icc_profile": metadata.icc_profile}
    buffer = BytesIO()
    encode(
        "RGBA;16" if channels == 4 else "RGB;16",
        (width, height),
        np.ascontiguousarray(pixels).tobytes(),
        buffer,
        quality=quality,
        **{name: value for name, value in held.items() if value},
    )
    return buffer.getvalue()


def encode_sixteen_bit_png(pixels: NDArray[np.uint16], metadata: Metadata) -> bytes:
    """Return pixels as a PNG of 16 bits, with what else it is to hold."""
    if pixels.shape[2] == 2:
        data = _encode_plainly(pixels)
    else:
        _, encoded = cv2.imencode(".png", _red_first(pixels))
        data = encoded.tobytes()
    chunks = b"".join(png_chunk(name, content) for name, content in metadata.colour_chunks)
    is_stated = is_built(metadata.icc_profile) and metadata.colour_chunks
    if metadata.icc_profile is not None and not is_stated:
        profile = b"ICC Profile\0\0" + zlib.compress(metadata.icc_profile)
        chunks = png_chunk(b"iCCP", profile)
    if metadata.dpi is not None:
        per_metre = (round(value / 0.0254) for value in metadata.dpi)
        chunks += png_chunk(b"pHYs", struct.pack(">IIB", *per_metre, 1))
    if metadata.exif:
        chunks += png_chunk(b"eXIf", metadata.exif.removeprefix(b"Exif\0\0"))
    if metadata.xmp:
        chunks += png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp)
    for name, text in metadata.texts:
        keyword = name.encode("latin-1", "replace")
        chunks += png_chunk(b"iTXt", keyword + b"\0\0\0\0\0" + text.encode("utf-8", "replace"))
    return data[:_IHDR_END] + chunks + data[_IHDR_END:]


def png_chunk(name: bytes, content: bytes) -> bytes:
    """Return one chunk of a PNG."""
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def _heif(data: bytes) -> NDArray[np.uint16] | None:
    """Return the pixels of the first picture of a HEIC; None where they are not RGB or RGBA."""
    from pillow_heif import open_heif  # noqa: PLC0415  an extra

    try:
        picture = open_heif(BytesIO(data), convert_hdr_to_8bit=False)
        mode, values = picture.mode, np.asarray(picture)
    except Exception:  # decoders raise almost anything on damaged bytes
        return None
    if values.dtype != np.uint16 or values.ndim != 3:
        return None
    return _unassociated(values) if mode.startswith("RGBa") else values


def _grey(image: Image.Image) -> NDArray[np.uint16]:
    """Return grey of 16 bits in either byte order."""
    values: Any = np.asarray(image)
    return np.ascontiguousarray(values.astype(np.uint16)[..., np.newaxis])


def _unassociated(pixels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return RGBA whose colours are no longer multiplied by alpha."""
    alpha = pixels[..., 3:].astype(np.float64)
    colours = pixels[..., :3] * np.divide(65535, alpha, out=np.zeros_like(alpha), where=alpha > 0)
    plain = np.clip(np.rint(colours), 0, 65535).astype(np.uint16)
    return np.concatenate([plain, pixels[..., 3:]], axis=2)


def _encode_plainly(pixels: NDArray[np.uint16]) -> bytes:
    """Return grey with alpha as a PNG, each row as the difference to the one above."""
    height, width, _ = pixels.shape
    rows = pixels.astype(">u2").reshape(height, -1).view(np.uint8)
    filtered = rows.copy()
    filtered[1:] -= rows[:-1]  # wraps around, as reading it does
    lines = np.concatenate([np.full((height, 1), 2, np.uint8), filtered], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 16, 4, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b"")]
    return _PNG + b"".join(png_chunk(name, content) for name, content in parts)


def _only_pixels(png: bytes) -> bytes:
    """Return a PNG without its metadata, of which its reader would complain on its own."""
    kept, at = [_PNG], len(_PNG)
    while at + 12 <= len(png):
        end = at + 12 + int.from_bytes(png[at : at + 4])
        if png[at + 4 : at + 8] in _PIXEL_CHUNKS:
            kept.append(png[at:end])
        at = end
    return b"".join(kept)


def _red_first(pixels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return pixels with red and blue exchanged: between OpenCV's order and everybody's."""
    if pixels.shape[2] < 3:
        return pixels
    order = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(pixels, order), dtype=np.uint16)
