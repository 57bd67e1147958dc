"""Faults of a photo's file that leave something to decode, and which of them are to be refused."""

from typing import Literal, NamedTuple, get_args

FailOn = Literal["none", "truncated", "error", "warning"]
"""Which faults are refused, from none that leaves a picture to all; each level has those before."""

DEFAULT_FAIL_ON: FailOn = "none"

_CUT = "its end is missing; what was there is kept"
_DAMAGED = "part of its data is damaged, and of its picture wrong"
_END = b"\xff\xd9"
_SCAN, _TABLES, _BASELINE = 0xDA, 0xC4, (0xC0, 0xC1)
_END_OF_BLOCK = 0x00
_HOLE_BYTES = 24  # as zeros, in a scan whose code for zeros is no flat picture


class Fault(NamedTuple):
    """Something wrong with a file.

    Attributes:
        kind: `truncated` where its end is missing, `error` where part of the picture is wrong,
            `warning` where the picture is whole.
        text: what, in a few words.
    """

    kind: Literal["truncated", "error", "warning"]
    text: str


def is_refused(fault: Fault, fail_on: FailOn) -> bool:
    """Return whether a fault is to be refused."""
    levels = get_args(FailOn)
    return levels.index(fault.kind) <= levels.index(fail_on)


def jpeg_faults(data: bytes, *, is_multi_picture: bool = False) -> list[Fault]:
    """Return what is wrong with a JPEG file, by its bytes alone; decoders bear with all of it.

    Args:
        data: content of the file.
        is_multi_picture: further pictures follow the first (MPO), so that bytes behind it are
            no fault.
    """
    scan = _scan_of(data)
    if scan is None:
        return []
    start, is_zero_flat = scan
    faults = []
    end = data.rfind(_END)
    if end < start:
        faults.append(Fault("truncated", _CUT))
    elif not is_multi_picture and data[end + 2 :].strip(b"\0\r\n\t "):
        count = len(data) - end - 2
        faults.append(Fault("warning", f"{count} bytes behind the picture are left out"))
    if not is_zero_flat and data.find(bytes(_HOLE_BYTES), start) >= 0:
        faults.append(Fault("error", "part of its data is blank, and of its picture wrong"))
    return faults


def _scan_of(data: bytes) -> tuple[int, bool] | None:
    """Return where the pixels of a baseline JPEG begin, and whether zeros may be flat picture.

    Bits of zero are the first code of each Huffman table. Where that ends a block in some table,
    an even surface may be stored as zeros; where it does not, a long run of them is a hole. None
    for other JPEGs, whose scans mean other things.
    """
    at, is_baseline, is_zero_flat = 2, False, False
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        is_baseline = is_baseline or marker in _BASELINE
        if marker == _TABLES:
            is_zero_flat = is_zero_flat or _ends_blocks_with_zeros(data[at + 4 : at + 2 + length])
        if marker == _SCAN:
            return (at + 2 + length, is_zero_flat) if is_baseline else None
        at += 2 + length
    return None


def _ends_blocks_with_zeros(tables: bytes) -> bool:
    """Return whether the first code of a Huffman table for details is the end of a block."""
    at = 0
    while at + 17 <= len(tables):
        count = sum(tables[at + 1 : at + 17])
        is_of_details = tables[at] >> 4 == 1
        if is_of_details and tables[at + 17 : at + 18] == bytes([_END_OF_BLOCK]):
            return True
        at += 17 + count
    return False


def undecodable(error: Exception) -> Fault:
    """Return the fault of a file of which a decoder gave only a part, by what it said."""
    is_short = isinstance(error, EOFError) or "truncated" in str(error)
    if is_short:
        return Fault("truncated", _CUT)
    return Fault("error", _DAMAGED)


def doubtful_jpeg(error: Exception) -> Fault:
    """Return the fault of a JPEG that libjpeg decodes and complains of, by its complaint."""
    complaint = str(error).lower()
    if "premature end of jpeg file" in complaint:  # of a progressive one, which bytes do not show
        return Fault("truncated", _CUT)
    if "corrupt" in complaint or "premature" in complaint:
        return Fault("error", _DAMAGED)
    return Fault("warning", f"its data is odd: {error}")
