"""Colours that a file states without an ICC profile.

PNG states them by gAMA and cHRM or by code points, AVIF and HEIC by code points, cameras by EXIF.
They become a profile that is built here, so that all else knows profiles only ("ICC.1:2022"; ITU-T
H.273 for code points; "PNG Specification, Third Edition"; JEITA CP-3461B, "DCF 2.0", for EXIF).
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_D65 = (0.3127, 0.3290)
_SRGB = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
_PRIMARIES = {
    1: _SRGB,
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),  # BT.2020
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),  # Display P3
}
_ADOBE_RGB = ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060))
_ADOBE_GAMMA = 563 / 256
_COLOUR_SPACE, _UNCALIBRATED, _ADOBE = 0xA001, 0xFFFF, 2
_INTEROPERABILITY_INDEX, _OPTION_FILE = 1, "R03"
_UNSPECIFIED = 2
_LIKE_SRGB = (1, 6, 13, 14, 15)  # transfers that are shown as sRGB is
_HDR = {16: "PQ", 18: "HLG"}
_SRGB_GAMMA, _GAMMA_TOLERANCE = 0.45455, 0.02
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_PLACE_TOLERANCE = 0.004
_NAME = "colours as the file states them"

_HEAD_BYTES = 1 << 18  # in which a file states that it has a gain map
_GAIN_MAPS = (
    b"ns.adobe.com/hdr-gain-map/",
    b"urn:iso:std:iso:ts:21496",
    b"ns.apple.com/HDRGainMap/",
    b"aux:hdrgainmap",
)


class CodePoints(NamedTuple):
    """Primaries and transfer of H.273."""

    primaries: int
    transfer: int


def profile_of_code_points(points: CodePoints) -> bytes | None:
    """Return a profile of code points; None where they state sRGB, or nothing.

    Raises:
        ValueError: they are of a kind that cannot be converted: high dynamic range, or unknown.
    """
    if points.transfer in _HDR:
        raise ValueError(f"its colours have a high dynamic range ({_HDR[points.transfer]})")
    primaries = 1 if points.primaries == _UNSPECIFIED else points.primaries
    if primaries not in _PRIMARIES or points.transfer not in (*_LIKE_SRGB, _UNSPECIFIED):
        raise ValueError(f"its colours are of an unknown kind {tuple(points)}")
    if primaries == 1:
        return None
    return build_profile(_PRIMARIES[primaries], _D65, gamma=None)


def code_points_of_heif(data: bytes) -> CodePoints | None:
    """Return the code points of an AVIF or HEIC file, None where it states none."""
    at = data.find(b"colrnclx")
    if at < 0 or at + 12 > len(data):
        return None
    return CodePoints(*struct.unpack_from(">HH", data, at + 8))


def profile_of_png(chunks: Sequence[tuple[bytes, bytes]]) -> bytes | None:
    """Return a profile of what a PNG's chunks state; None where that is sRGB, or nothing.

    Raises:
        ValueError: as for `profile_of_code_points`.
    """
    stated = dict(chunks)
    if len(stated.get(b"cICP", b"")) == 4:
        return profile_of_code_points(CodePoints(*stated[b"cICP"][:2]))
    if b"sRGB" in stated or not {b"gAMA", b"cHRM"} & set(stated):
        return None
    gamma = _SRGB_GAMMA
    if len(stated.get(b"gAMA", b"")) == 4:
        gamma = int.from_bytes(stated[b"gAMA"]) / 100_000
    places = np.array([_D65, *_SRGB])
    if len(stated.get(b"cHRM", b"")) == 32:
        places = np.array(struct.unpack(">8I", stated[b"cHRM"])).reshape(4, 2) / 100_000
    is_srgb_gamma = abs(gamma - _SRGB_GAMMA) <= _GAMMA_TOLERANCE
    are_srgb_places = np.abs(places - np.array([_D65, *_SRGB])).max() <= _PLACE_TOLERANCE
    if (is_srgb_gamma and are_srgb_places) or not 0.01 < gamma < 10 or not places[:, 1].all():
        return None
    white, *primaries = places.tolist()
    return build_profile(primaries, white, gamma=None if is_srgb_gamma else 1 / gamma)


def profile_of_exif(exif: Image.Exif) -> bytes | None:
    """Return a profile of Adobe RGB where EXIF states that by the rules of DCF, else None."""
    space = exif.get_ifd(ExifTags.IFD.Exif).get(_COLOUR_SPACE)
    if space not in (_UNCALIBRATED, _ADOBE):
        return None
    try:
        index = exif.get_ifd(ExifTags.IFD.Interop).get(_INTEROPERABILITY_INDEX, "")
    except Exception:  # damaged directories raise almost anything
        return None
    if space == _UNCALIBRATED and str(index).rstrip("\0") != _OPTION_FILE:
        return None
    return build_profile(_ADOBE_RGB, _D65, gamma=_ADOBE_GAMMA)


def is_built(icc_profile: bytes | None) -> bool:
    """Return whether a profile was built here, and was not in the photo's file."""
    return icc_profile is not None and _NAME.encode("utf-16-be") in icc_profile


def build_profile(
    primaries: Sequence[Sequence[float]], white: Sequence[float], *, gamma: float | None
) -> bytes:
    """Return an ICC profile of version 4 of an RGB display.

    Args:
        primaries: (x, y) of red, green and blue.
        white: (x, y) of white.
        gamma: exponent from stored values to light; None for the curve of sRGB.
    """
    columns = _colorants(primaries, white)
    curve = (
        struct.pack(">4s4xHHi", b"para", 0, 0, round(gamma * 65536))
        if gamma is not None
        else struct.pack(">4s4xHH5i", b"para", 3, 0, *(round(x * 65536) for x in _SRGB_CURVE))
    )
    text = _text(_NAME)
    tags = {b"desc": text, b"cprt": _text("none"), b"wtpt": _xyz(_D50)}
    tags |= {
        name: _xyz(column)
        for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns.T, strict=True)
    }
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, body, at = b"", b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        padded = content + bytes(-len(content) % 4)
        table += name + struct.pack(">II", at + len(body), len(content))
        body += padded
    header = struct.pack(
        ">I4sI4s4s4s12x4s4xIII8xI3i48x",
        at + len(body),
        b"\0\0\0\0",
        0x04300000,
        b"mntr",
        b"RGB ",
        b"XYZ ",
        b"acsp",
        0,
        0,
        0,
        0,
        *(round(value * 65536) for value in _D50),
    )
    return header + struct.pack(">I", len(tags)) + table + body


def _colorants(primaries: Sequence[Sequence[float]], white: Sequence[float]) -> NDArray[np.float64]:
    """Return the XYZ of full red, green and blue as columns, adapted to D50."""
    xyz = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in primaries]).T
    of_white = np.array([white[0] / white[1], 1.0, (1 - white[0] - white[1]) / white[1]])
    scaled = xyz * np.linalg.solve(xyz, of_white)
    cone = (_BRADFORD @ _D50) / (_BRADFORD @ of_white)
    return np.asarray(np.linalg.inv(_BRADFORD) @ np.diag(cone) @ _BRADFORD @ scaled)


def _xyz(values: NDArray[np.float64]) -> bytes:
    return struct.pack(">4s4x3i", b"XYZ ", *(round(float(value) * 65536) for value in values))


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return struct.pack(">4s4xII2s2sII", b"mluc", 1, 12, b"en", b"US", len(encoded), 28) + encoded


def has_gain_map(image: Image.Image, data: bytes) -> bool:
    """Return whether a file states that it has a gain map; of a JPEG, in its metadata segments."""
    segments = [content for _, content in getattr(image, "applist", ())]
    places = segments or [data[:_HEAD_BYTES]]
    return any(mark in place for place in places for mark in _GAIN_MAPS)
