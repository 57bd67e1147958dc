"""Cut a JPEG on the borders of its blocks without decoding its pixels, by libjpeg-turbo.

The library is the system's, or the one that comes with the extra `lossless`. Its interface
(TurboJPEG) has been the same from 1.2 to 3.
"""

import ctypes
from dataclasses import replace
from functools import lru_cache
from typing import Any

from saliency.errors import PhotoError
from saliency.geometry import Size, Window
from saliency.photo.reading import LoadedPhoto

_NAMES = (
    "libturbojpeg.so.0",
    "libturbojpeg.0.dylib",
    "/opt/homebrew/opt/jpeg-turbo/lib/libturbojpeg.dylib",
    "/usr/local/opt/jpeg-turbo/lib/libturbojpeg.dylib",
    "turbojpeg.dll",
)
_WHEEL = "jpegtran-cffi-wheels"
_TRANSFORMER = 2
_CROP, _CARRY_NOTHING = 4, 64  # TJXOPT_CROP, TJXOPT_COPYNONE
_BLOCK_PX = 8


class _Transform(ctypes.Structure):
    """`tjtransform` of turbojpeg.h."""

    _fields_ = (
        ("x", ctypes.c_int),
        ("y", ctypes.c_int),
        ("width", ctypes.c_int),
        ("height", ctypes.c_int),
        ("operation", ctypes.c_int),
        ("options", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("filter", ctypes.c_void_p),
    )


def snapped(photo: LoadedPhoto, window: Window) -> list[Window]:
    """Return the windows of the same size around a window that a lossless crop can show.

    The left and upper edge of what is stored lie on the borders of the JPEG's blocks (8 or 16
    pixels, by how it samples colours). The size stays as it is.

    Args:
        photo: a JPEG.
        window: in pixels of the whole upright photo.

    Returns:
        One to four windows inside of the photo, the nearest first.
    """
    width, height = _stored_size(photo)
    stored = _as_stored(window, photo)
    grid = _grid(photo)
    xs = _multiples(stored.x, grid[0], most=width - stored.width)
    ys = _multiples(stored.y, grid[1], most=height - stored.height)
    places = sorted(
        ((x, y) for x in xs for y in ys),
        key=lambda place: (place[0] - stored.x) ** 2 + (place[1] - stored.y) ** 2,
    )
    return [_as_shown(replace(stored, x=x, y=y), photo) for x, y in places]


def cut_lossless(jpeg: bytes, photo: LoadedPhoto, window: Window) -> tuple[bytes, Size]:
    """Return the part of a JPEG that a snapped window shows, without what it carried, and its size.

    Raises:
        PhotoError: the photo is no JPEG or of an unusual kind, or libjpeg-turbo is missing.
    """
    if photo.format != "JPEG":
        raise PhotoError(
            f"expected a JPEG to crop without loss, {photo.path} is {photo.format}; "
            "choose another format that loses nothing"
        )
    library = _library()
    if library is None:
        raise PhotoError(
            "libjpeg-turbo is not installed, without which no JPEG can be cropped without loss: "
            'pip install "saliency-crop[lossless]" (Python 3.11), or the package libturbojpeg0 '
            "(Debian), jpeg-turbo (Homebrew)"
        )
    stored = _as_stored(window, photo)
    try:
        cut = _transform(library, jpeg, stored)
    except ValueError as error:
        raise PhotoError(f"cannot crop {photo.path} without loss: {error}") from error
    return cut, (stored.width, stored.height)


def _transform(library: ctypes.CDLL, jpeg: bytes, window: Window) -> bytes:
    """Return what a window of a JPEG shows; `ValueError` with the library's message."""
    handle = library.tjInitTransform()
    target, target_bytes = ctypes.c_void_p(), ctypes.c_ulong()
    wanted = _Transform(
        window.x, window.y, window.width, window.height, 0, _CROP | _CARRY_NOTHING, None, None
    )
    try:
        failed = library.tjTransform(
            ctypes.c_void_p(handle),
            jpeg,
            ctypes.c_ulong(len(jpeg)),
            1,
            ctypes.byref(target),
            ctypes.byref(target_bytes),
            ctypes.byref(wanted),
            0,
        )
        # A warning fails too, and leaves a whole file, as decoders that bear with it would.
        if failed and not target_bytes.value:
            text = library.tjGetErrorStr2(ctypes.c_void_p(handle)).decode("ascii", "replace")
            raise ValueError(text.strip())
        return ctypes.string_at(target, target_bytes.value)
    finally:
        if target:
            library.tjFree(target)
        library.tjDestroy(ctypes.c_void_p(handle))


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    """Return TurboJPEG, or None where it is not installed."""
    for name in (*_NAMES, *_bundled()):
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.tjInitTransform.restype = ctypes.c_void_p
        library.tjGetErrorStr2.restype = ctypes.c_char_p
        return library
    return None


def _bundled() -> list[str]:
    """Return the files of TurboJPEG in the distribution that the extra brings."""
    from importlib.metadata import PackageNotFoundError, files  # noqa: PLC0415  slow

    try:
        found: Any = files(_WHEEL) or ()
    except PackageNotFoundError:
        return []
    return [str(file.locate()) for file in found if "turbojpeg" in file.name]


def _grid(photo: LoadedPhoto) -> Size:
    """Return the width and height of the blocks between which a JPEG can be cut."""
    if len(photo.sampling) < 2:
        return _BLOCK_PX, _BLOCK_PX
    across, down = (max(times) for times in zip(*photo.sampling, strict=True))
    return across * _BLOCK_PX, down * _BLOCK_PX


def _multiples(value: int, step: int, *, most: int) -> list[int]:
    """Return the multiples of a step on both sides of a value, from 0 to `most`."""
    below = min(value, most) // step * step
    return sorted({below, min(below + step if value > below else below, most // step * step)})


def _stored_size(photo: LoadedPhoto) -> Size:
    """Return the size of a photo as it is stored."""
    return photo.size[::-1] if photo.orientation > 4 else photo.size


def _as_stored(window: Window, photo: LoadedPhoto) -> Window:
    """Return where a window of the upright photo lies in what is stored."""
    mirrored = _mirrored(window, photo)
    return _transposed(mirrored) if photo.orientation > 4 else mirrored


def _as_shown(stored: Window, photo: LoadedPhoto) -> Window:
    """Return where a window of what is stored lies in the upright photo."""
    return _mirrored(_transposed(stored) if photo.orientation > 4 else stored, photo)


def _mirrored(window: Window, photo: LoadedPhoto) -> Window:
    """Return a window of the upright photo after the flips by which it became upright."""
    x, y = window.x, window.y
    if photo.orientation in (2, 3, 6, 7):  # what is shown is mirrored from left to right
        x = photo.size[0] - x - window.width
    if photo.orientation in (3, 4, 7, 8):  # and upside down
        y = photo.size[1] - y - window.height
    return Window(x, y, window.width, window.height)


def _transposed(window: Window) -> Window:
    """Return a window with rows and columns exchanged."""
    return Window(window.y, window.x, window.height, window.width)
