"""What a photo's file carries beside its pixels, and what of it is true of a crop.

EXIF, XMP, IPTC, the colour profile and the resolution are kept. What would be untrue of the crop is
set right or left out: sizes, orientation, embedded pictures of the whole photo, places given in
its pixels, a panorama's angles, face regions, the settings of another program's crop.
"""

import math
import struct
from dataclasses import dataclass
from typing import Any

from PIL import ExifTags, Image

from saliency.geometry import Size

ORIENTATION = 0x0112

_EXIF_IFD = 0x8769
_SIZE_TAGS = (0x0100, 0x0101)
_EXIF_SIZE_TAGS = (0xA002, 0xA003)
_PLACE_TAGS = (0x9214, 0xA214)  # subject area, subject location
_MAKER_NOTE = 0x927C
_IPTC_TAG = 33723
_IPTC_RESOURCE = 0x0404
# How a TIFF lays out its own pixels, and the blocks it embeds: wrong or useless in another file.
_TIFF_TAGS = (
    *(0x00FE, 0x00FF, 0x0102, 0x0103, 0x0106, 0x0111, 0x0115, 0x0116, 0x0117, 0x011C, 0x013D),
    *(0x0140, 0x0142, 0x0143, 0x0144, 0x0145, 0x014A, 0x0152, 0x0153, 0x015B, 0x0201, 0x0202),
    *(0x02BC, 0x83BB, 0x8649, 0x8773),
)
_MOST_DPI = 65_535  # what a JPEG can say


@dataclass(frozen=True)
class Carried:
    """What the file of a photo, or of a crop, carries beside its pixels.

    Attributes:
        exif: EXIF, with the six bytes before its header; empty for none.
        xmp: XMP packet; empty for none.
        iptc: IPTC records; empty for none.
        icc_profile: colour profile, or None.
        dpi: pixels per inch across and down, or None.
    """

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None


def read_exif(image: Image.Image) -> Image.Exif:
    """Return the EXIF, with the orientation in it when only the XMP tells it; empty if damaged."""
    try:
        exif = image.getexif()
        for block in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            if block in exif:
                exif.get_ifd(block)  # now, as a TIFF can no longer be asked once it is decoded
        return exif
    except Exception:  # damaged EXIF raises almost anything, and the photo is good without it
        return Image.Exif()


def read_carried(image: Image.Image, exif: Image.Exif) -> Carried:
    """Return what the file of a decoded photo carries, as it stands there, except for its EXIF.

    Args:
        image: decoded, as a PNG may carry some of it behind the pixels.
        exif: from `read_exif`, before the photo was decoded.
    """
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    return Carried(
        xmp=xmp.encode("utf-8", "replace") if isinstance(xmp, str) else bytes(xmp),
        iptc=_read_iptc(image, exif),
        icc_profile=image.info.get("icc_profile") or None,
        dpi=_read_dpi(image),
    )


def carried_by_crop(
    carried: Carried, exif: Image.Exif, size: Size, *, orientation: int = 1, stripped: bool = False
) -> Carried:
    """Return what a crop is to carry.

    Args:
        carried: from `read_carried`.
        exif: from `read_exif`.
        size: width and height of the crop as it is stored.
        orientation: how a viewer has to turn the crop.
        stripped: only the colour profile, without which the colours would be others; and the
            orientation, where it is not 1.
    """
    if stripped:
        only = Image.Exif()
        only[ORIENTATION] = orientation
        turned = only.tobytes() if orientation != 1 else b""
        return Carried(exif=turned, icc_profile=carried.icc_profile)
    xmp = carried.xmp
    if xmp:
        from saliency.photo.xmp import crop_xmp  # noqa: PLC0415  few photos have any

        xmp = crop_xmp(xmp, size, orientation=orientation)
    return Carried(
        exif=_crop_exif(exif, size, orientation),
        xmp=xmp,
        iptc=carried.iptc,
        icc_profile=carried.icc_profile,
        dpi=carried.dpi,
    )


def _crop_exif(exif: Image.Exif, size: Size, orientation: int) -> bytes:
    """Return a photo's EXIF as it is true of a crop; without the embedded thumbnail."""
    if not exif:
        return b""
    kept = Image.Exif()
    try:
        kept.load(exif.tobytes())
        for tag in (*_TIFF_TAGS, _IPTC_TAG):
            kept.pop(tag, None)
        if not kept:
            return b""
        kept[ORIENTATION] = orientation
        details = kept.get_ifd(_EXIF_IFD) if _EXIF_IFD in kept else {}
        for values, tags in ((kept, _SIZE_TAGS), (details, _EXIF_SIZE_TAGS)):
            for tag, side in zip(tags, size, strict=True):
                if tag in values:
                    values[tag] = side
        for tag in _PLACE_TAGS:
            details.pop(tag, None)
        if _holds_picture(details.get(_MAKER_NOTE)):
            del details[_MAKER_NOTE]
        return kept.tobytes()
    except Exception:  # values that cannot be packed again raise almost anything
        return b""


def _holds_picture(note: Any) -> bool:
    """Return whether a camera's own notes hold a JPEG: it would show the whole photo."""
    return isinstance(note, bytes) and b"\xff\xd8\xff" in note


def _read_iptc(image: Image.Image, exif: Image.Exif) -> bytes:
    """Return the IPTC records of a JPEG or a TIFF."""
    resources = image.info.get("photoshop")
    records = resources.get(_IPTC_RESOURCE) if isinstance(resources, dict) else exif.get(_IPTC_TAG)
    if isinstance(records, tuple) and all(isinstance(value, int) for value in records):
        return struct.pack(f"<{len(records)}I", *(value & 0xFFFFFFFF for value in records))
    return records if isinstance(records, bytes) else b""


def _read_dpi(image: Image.Image) -> tuple[float, float] | None:
    """Return the resolution that a file states, if it is one."""
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    possible = all(math.isfinite(value) and 1 <= value <= _MOST_DPI for value in (across, down))
    return (across, down) if possible else None
