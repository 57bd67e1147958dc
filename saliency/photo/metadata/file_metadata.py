"""What a photo's file holds beside its pixels, and what of it is true of a crop.

EXIF, XMP, IPTC, the colour profile, the resolution, text and comments are kept. What would be
untrue of the crop is set right or left out: sizes, orientation, embedded pictures of the whole
photo, places given in its pixels, a panorama's angles, face regions, the settings of another
program's crop. What is left out is said.
"""

import math
import struct
from dataclasses import dataclass, field
from typing import Any

from PIL import ExifTags, Image

from saliency.geometry import Size
from saliency.photo.metadata.exif_block import PREFIX, ExifBlock

ORIENTATION = 0x0112

_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_MAKER_NOTE = 0x927C
_IPTC_TAG = 33723
_IPTC_RESOURCE = 0x0404
TIFF_LAYOUT_TAGS = (
    *(0x00FE, 0x00FF, 0x0100, 0x0101, 0x0102, 0x0103, 0x0106, 0x010A, 0x0111, 0x0115),
    *(0x0116, 0x0117, 0x011C, 0x013D, 0x0140, 0x0142, 0x0143, 0x0144, 0x0145, 0x014A, 0x0152),
    *(0x0153, 0x015B, 0x0201, 0x0202, 0x0212, 0x02BC, 0x83BB, 0x8649, 0x8773),
)
"""How a TIFF lays out its own pixels, and the blocks it embeds: wrong in any other file."""

_MOST_DPI = 65_535  # the most that a JPEG can state
_COLOUR_CHUNKS = (b"gAMA", b"cHRM", b"sRGB", b"cICP")


@dataclass(frozen=True)
class Metadata:
    """What the file of a photo, or of a crop, holds beside its pixels.

    Attributes:
        exif: EXIF, with the six bytes before its header; empty for none.
        xmp: XMP packet; empty for none.
        iptc: IPTC records; empty for none.
        icc_profile: colour profile, or None.
        dpi: pixels per inch across and down, or None.
        texts: keywords and texts of a PNG.
        comment: of a JPEG or a GIF; empty for none.
        colour_chunks: names and contents of a PNG's chunks that define its colours.
        warnings: what is not kept, each in a few words.
    """

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    texts: tuple[tuple[str, str], ...] = ()
    comment: bytes = b""
    colour_chunks: tuple[tuple[bytes, bytes], ...] = ()
    warnings: tuple[str, ...] = field(default=(), compare=False)


def read_exif(image: Image.Image) -> Image.Exif:
    """Return the EXIF; empty if it is damaged."""
    try:
        exif = image.getexif()
        for block in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            if block in exif:
                exif.get_ifd(block)  # now, as a TIFF can no longer be asked once it is decoded
        return exif
    except Exception:  # damaged EXIF raises almost anything, and the photo is good without it
        return Image.Exif()


def read_metadata(image: Image.Image, exif: Image.Exif, data: bytes) -> Metadata:
    """Return what the file of a decoded photo holds, as it is there.

    Args:
        image: decoded, as a PNG may have some of it behind the pixels.
        exif: from `read_exif`, before the photo was decoded.
        data: content of the file.
    """
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    comment = image.info.get("comment", b"") if image.format in ("JPEG", "MPO", "GIF") else b""
    block, warnings = _exif_block(image, exif)
    return Metadata(
        exif=block,
        xmp=xmp.encode("utf-8", "replace") if isinstance(xmp, str) else bytes(xmp),
        iptc=_read_iptc(image, exif),
        icc_profile=image.info.get("icc_profile") or None,
        dpi=_read_dpi(image),
        texts=tuple(
            (name, str(text))
            for name, text in getattr(image, "text", {}).items()
            if not name.startswith("XML:")
        )
        if image.format == "PNG"
        else (),
        comment=comment if isinstance(comment, bytes) else str(comment).encode(),
        colour_chunks=_colour_chunks(data) if image.format == "PNG" else (),
        warnings=warnings,
    )


def crop_metadata(
    metadata: Metadata, size: Size, *, orientation: int = 1, stripped: bool = False
) -> Metadata:
    """Return what the file of a crop is to hold.

    Args:
        metadata: of the photo, from `read_metadata`.
        size: width and height of the crop as it is stored.
        orientation: how a viewer has to turn the crop.
        stripped: only what defines the colours of the pixels; and the orientation, where it is
            not 1.
    """
    if stripped:
        only = Image.Exif()
        only[ORIENTATION] = orientation
        turned = only.tobytes() if orientation != 1 else b""
        return Metadata(
            exif=turned, icc_profile=metadata.icc_profile, colour_chunks=metadata.colour_chunks
        )
    warnings = list(metadata.warnings)
    xmp = metadata.xmp
    if xmp:
        from saliency.photo.metadata.xmp import crop_xmp  # noqa: PLC0415  few photos have any

        xmp = crop_xmp(xmp, size, orientation=orientation)
        if not xmp:
            warnings.append("its XMP, which cannot be read")
    return Metadata(
        exif=_crop_exif(metadata.exif, size, orientation, warnings),
        xmp=xmp,
        iptc=metadata.iptc,
        icc_profile=metadata.icc_profile,
        dpi=metadata.dpi,
        texts=metadata.texts,
        comment=metadata.comment,
        colour_chunks=metadata.colour_chunks,
        warnings=tuple(warnings),
    )


def exif_of_tags(exif: Image.Exif) -> bytes:
    """Return EXIF that Pillow read from a TIFF's own directories as a block for other files.

    Text keeps its bytes, whatever its encoding.

    Raises:
        Exception: a value cannot be packed; Pillow raises almost anything.
    """
    kept = Image.Exif()
    for tag, value in exif.items():
        if tag not in (*TIFF_LAYOUT_TAGS, _IPTC_TAG, _EXIF_IFD, _GPS_IFD):
            kept[tag] = as_bytes(value)
    if exif:
        kept[ORIENTATION] = 1  # Pillow turns a TIFF upright as it decodes it
    for ifd in (_EXIF_IFD, _GPS_IFD):
        if ifd in exif:
            kept[ifd] = {tag: as_bytes(value) for tag, value in exif.get_ifd(ifd).items()}
    return kept.tobytes() if set(kept) - {ORIENTATION} else b""


def as_bytes(value: Any) -> Any:
    """Return text as the bytes that Pillow read it from; it would write all but ASCII as `?`."""
    return value.encode("latin-1", "replace") if isinstance(value, str) else value


def _exif_block(image: Image.Image, exif: Image.Exif) -> tuple[bytes, tuple[str, ...]]:
    """Return a photo's EXIF as a block, and what of it had to be left out."""
    block = image.info.get("exif")
    if image.format == "AVIF":  # of which Pillow writes EXIF anew, and text but ASCII as `?`
        block = image._decoder.get_info()[4] or block  # type: ignore[attr-defined]
    if image.format != "TIFF":
        if isinstance(block, bytes) and block.startswith((PREFIX, b"II", b"MM")):
            return block if block.startswith(PREFIX) else PREFIX + block, ()
        return (b"", ("its EXIF, which cannot be read",)) if block else (b"", ())
    warnings: tuple[str, ...] = ()
    inner = exif.get_ifd(_EXIF_IFD) if _EXIF_IFD in exif else {}
    if inner.pop(_MAKER_NOTE, None) is not None:
        warnings = ("the camera's own notes, which are readable in their own place only",)
    try:
        return exif_of_tags(exif), warnings
    except Exception:  # values that cannot be packed again raise almost anything
        return b"", ("its EXIF, which cannot be written again",)


def _crop_exif(block: bytes, size: Size, orientation: int, warnings: list[str]) -> bytes:
    """Return a photo's EXIF as it is true of a crop; add to the warnings what is left out."""
    if not block:
        return b""
    try:
        patched = ExifBlock(block)
        warnings += patched.crop(size, orientation=orientation)
        return patched.to_bytes()
    except ValueError:
        warnings.append("its EXIF, which is damaged")
        return b""


def _colour_chunks(png: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Return a PNG's chunks before its pixels that define their colours."""
    found, at = [], 8
    while at + 12 <= len(png) and png[at + 4 : at + 8] != b"IDAT":
        length = int.from_bytes(png[at : at + 4])
        if png[at + 4 : at + 8] in _COLOUR_CHUNKS:
            found.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + length]))
        at += 12 + length
    return tuple(found)


def _read_iptc(image: Image.Image, exif: Image.Exif) -> bytes:
    """Return the IPTC records of a JPEG or a TIFF."""
    resources = image.info.get("photoshop")
    records = resources.get(_IPTC_RESOURCE) if isinstance(resources, dict) else exif.get(_IPTC_TAG)
    if isinstance(records, tuple) and all(isinstance(value, int) for value in records):
        return struct.pack(f"<{len(records)}I", *(value & 0xFFFFFFFF for value in records))
    return records if isinstance(records, bytes) else b""


def _read_dpi(image: Image.Image) -> tuple[float, float] | None:
    """Return the resolution that a file states, None if it is unusable."""
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    possible = all(math.isfinite(value) and 1 <= value <= _MOST_DPI for value in (across, down))
    return (across, down) if possible else None
