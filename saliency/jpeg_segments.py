"""Put what a photo carries into an encoded JPEG, as segments before its tables."""

import struct

from saliency.carried import Carried

_MOST_BYTES = 65_533  # what one segment can hold
_XMP_NAME = b"http://ns.adobe.com/xap/1.0/\0"
_ICC_NAME = b"ICC_PROFILE\0"
_ICC_PART = _MOST_BYTES - len(_ICC_NAME) - 2
_APP1, _APP2, _APP13 = 0xE1, 0xE2, 0xED
_JFIF = slice(2, 4), slice(6, 11)


def with_segments(jpeg: bytes, carried: Carried) -> bytes:
    """Return a JPEG that carries metadata.

    What does not fit into a segment of 64 kB (an EXIF, an XMP packet, IPTC records) is left out;
    a colour profile may take several.

    Args:
        jpeg: an encoded picture that carries none yet.
        carried: what it is to carry.
    """
    end = _jfif_end(jpeg)
    segments = [(_APP1, carried.exif), (_APP1, carried.xmp and _XMP_NAME + carried.xmp)]
    if carried.iptc:
        segments.append((_APP13, _photoshop(carried.iptc)))
    profile = carried.icc_profile or b""
    parts = [profile[at : at + _ICC_PART] for at in range(0, len(profile), _ICC_PART)]
    if len(parts) < 256:
        for number, part in enumerate(parts, start=1):
            segments.append((_APP2, _ICC_NAME + bytes([number, len(parts)]) + part))
    inserted = b"".join(
        struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content
        for marker, content in segments
        if 0 < len(content) <= _MOST_BYTES
    )
    return b"".join([_with_dpi(jpeg[:end], carried.dpi), inserted, memoryview(jpeg)[end:]])


def _jfif_end(jpeg: bytes) -> int:
    """Return where the first segment ends, which stays the first if it is JFIF's."""
    marker, name = _JFIF
    if jpeg[marker] == b"\xff\xe0" and jpeg[name] == b"JFIF\0":
        return 4 + int.from_bytes(jpeg[4:6])
    return 2


def _with_dpi(beginning: bytes, dpi: tuple[float, float] | None) -> bytes:
    """Return the beginning of a JPEG, with the resolution in its JFIF segment."""
    if dpi is None or len(beginning) < 18:
        return beginning
    across, down = (max(1, round(value)) for value in dpi)
    return beginning[:13] + struct.pack(">BHH", 1, across, down) + beginning[18:]


def _photoshop(iptc: bytes) -> bytes:
    """Return IPTC records as the only resource of a Photoshop segment."""
    padded = iptc + b"\0" * (len(iptc) % 2)
    return b"Photoshop 3.0\0" + b"8BIM" + struct.pack(">HHI", 0x0404, 0, len(iptc)) + padded
