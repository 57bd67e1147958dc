"""An EXIF block made true of a crop in place: a few values are patched, every other byte stays.

A block is a TIFF file without pixels: directories of twelve-byte entries, whose values are in the
entry or anywhere in the block. Camera notes count their offsets from its beginning, and text may be
in any encoding, so a block is never taken apart and built anew (CIPA DC-008, "Exif 2.32", 4.6).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from saliency.geometry import Size

PREFIX = b"Exif\0\0"

_ORIENTATION, _EXIF_IFD, _GPS_IFD, _INTEROPERABILITY_IFD = 0x0112, 0x8769, 0x8825, 0xA005
_SIZE_TAGS = {0x0100: 0, 0x0101: 1, 0xA002: 0, 0xA003: 1}
_PLACE_TAGS = (0x9214, 0xA214)  # subject area, subject location
_MAKER_NOTE = 0x927C
_THUMBNAIL, _THUMBNAIL_BYTES = 0x0201, 0x0202
_ENTRY_BYTES, _MOST_ENTRIES = 12, 4096
_UNIT_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SHORT, _LONG = 3, 4


@dataclass(frozen=True)
class _Entry:
    """One entry: where it is in the block, and the type and count of its value."""

    at: int
    tag: int
    kind: int
    count: int

    @property
    def value_bytes(self) -> int:
        return _UNIT_BYTES.get(self.kind, 0) * self.count


class ExifBlock:
    """A block that is patched in place."""

    def __init__(self, data: bytes) -> None:
        """Take a block, with or without the six bytes `Exif` before it.

        Raises:
            ValueError: it does not begin as a TIFF does.
        """
        self._data = bytearray(data.removeprefix(PREFIX))
        order = bytes(self._data[:2])
        if order not in (b"II", b"MM") or len(self._data) < 8:
            raise ValueError("expected EXIF that begins with II or MM")
        self._order = "<" if order == b"II" else ">"

    def to_bytes(self) -> bytes:
        """Return the block with the six bytes before it."""
        return PREFIX + bytes(self._data)

    def crop(self, size: Size, *, orientation: int) -> list[str]:
        """Make the block true of a crop; return what was left out, in words.

        Sizes and orientation are set where the block states them. Subject areas and the thumbnail
        go, and a camera's notes if they hold a picture: those show the whole photo.

        Args:
            size: width and height of the crop as it is stored.
            orientation: how a viewer has to turn the crop, 1 to 8.

        Raises:
            ValueError: the first directory lies outside the block.
        """
        first = self._number(4, 4)
        notes = self._crop_directory(first, size, orientation)
        for entry in list(self._entries(first)):
            if entry.tag == _EXIF_IFD:
                notes += self._crop_directory(self._number(entry.at + 8, 4), size, orientation)
        self._drop_thumbnail(first)
        return notes

    def without_orientation(self) -> bytes:
        """Return the block without the photo's orientation, which AVIF states apart."""
        first = self._number(4, 4)
        for entry in reversed(list(self._entries(first))):
            if entry.tag == _ORIENTATION:
                self._remove(first, entry)
        return self.to_bytes()

    def _crop_directory(self, at: int, size: Size, orientation: int) -> list[str]:
        notes = []
        for entry in reversed(list(self._entries(at))):
            if entry.tag == _ORIENTATION:
                self._set_number(entry, orientation)
            elif entry.tag in _SIZE_TAGS:
                self._set_number(entry, size[_SIZE_TAGS[entry.tag]])
            elif entry.tag in _PLACE_TAGS:
                self._remove(at, entry)
            elif entry.tag == _MAKER_NOTE and b"\xff\xd8\xff" in self._value(entry):
                self._remove(at, entry)
                notes.append("the camera's own notes, which hold a picture of the whole photo")
        return notes

    def _entries(self, at: int) -> Iterator[_Entry]:
        """Yield the entries of the directory at an offset; none if it lies outside the block."""
        count = self._number(at, 2) if 8 <= at <= len(self._data) - 2 else 0
        for number in range(min(count, _MOST_ENTRIES)):
            place = at + 2 + _ENTRY_BYTES * number
            if place + _ENTRY_BYTES > len(self._data):
                return
            yield _Entry(
                place,
                self._number(place, 2),
                self._number(place + 2, 2),
                self._number(place + 4, 4),
            )

    def _number(self, at: int, length: int) -> int:
        if at + length > len(self._data):
            raise ValueError("expected EXIF of more bytes than there are")
        return int.from_bytes(
            self._data[at : at + length], "little" if self._order == "<" else "big"
        )

    def _set_number(self, entry: _Entry, value: int) -> None:
        if entry.count == 1 and entry.kind in (_SHORT, _LONG):
            kind = "H" if entry.kind == _SHORT else "I"
            most = 0xFFFF if entry.kind == _SHORT else 0xFFFFFFFF
            struct.pack_into(self._order + kind, self._data, entry.at + 8, min(value, most))

    def _span(self, entry: _Entry) -> slice:
        """Return where the value of an entry is."""
        if entry.value_bytes <= 4:
            return slice(entry.at + 8, entry.at + 8 + entry.value_bytes)
        start = self._number(entry.at + 8, 4)
        return slice(start, min(start + entry.value_bytes, len(self._data)))

    def _value(self, entry: _Entry) -> bytes:
        return bytes(self._data[self._span(entry)])

    def _remove(self, directory: int, entry: _Entry) -> None:
        """Remove an entry, and blank its value; nothing else moves but the entries behind it."""
        if entry.value_bytes > 4:
            span = self._span(entry)
            self._data[span] = bytes(max(0, span.stop - span.start))
        count = self._number(directory, 2)
        end = directory + 2 + _ENTRY_BYTES * count + 4  # with the offset of the next directory
        behind = bytes(self._data[entry.at + _ENTRY_BYTES : end])
        self._data[entry.at : entry.at + len(behind)] = behind
        self._data[entry.at + len(behind) : end] = bytes(end - entry.at - len(behind))
        struct.pack_into(self._order + "H", self._data, directory, count - 1)

    def _drop_thumbnail(self, first: int) -> None:
        """Unlink the directory of the thumbnail and blank its picture."""
        link = first + 2 + _ENTRY_BYTES * self._number(first, 2)
        if link + 4 > len(self._data):
            return
        second = self._number(link, 4)
        places = {entry.tag: entry for entry in self._entries(second)}
        if _THUMBNAIL in places and _THUMBNAIL_BYTES in places:
            start = self._number(places[_THUMBNAIL].at + 8, 4)
            stop = min(start + self._number(places[_THUMBNAIL_BYTES].at + 8, 4), len(self._data))
            if start < stop == len(self._data):
                del self._data[start:]
            elif start < stop:
                self._data[start:stop] = bytes(stop - start)
        struct.pack_into(self._order + "I", self._data, link, 0)
