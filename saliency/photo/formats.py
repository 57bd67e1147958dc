"""Formats of photos and of crops: how files begin and end, are called, and are encoded."""

from dataclasses import dataclass
from typing import Literal

from saliency.errors import PhotoError

CropFormat = Literal["jpeg", "png", "webp", "avif", "tiff", "gif", "heic"]
Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]

SUFFIXES: dict[CropFormat, tuple[str, ...]] = {
    "jpeg": (".jpg", ".jpeg"),
    "png": (".png",),
    "webp": (".webp",),
    "avif": (".avif",),
    "tiff": (".tif", ".tiff"),
    "gif": (".gif",),
    "heic": (".heic", ".heif"),
}
"""How files of a format end, in lower case; the first is what a crop gets."""

PHOTO_SUFFIXES = frozenset({".bmp", ".apng"}.union(*SUFFIXES.values()))
"""Endings of the files that count as photos when a folder is given, in lower case."""

HEAD_BYTES = 64
"""Bytes at the beginning of a file from which its format is known."""

_OWN: dict[str, CropFormat] = {
    "JPEG": "jpeg",
    "PNG": "png",
    "WEBP": "webp",
    "AVIF": "avif",
    "TIFF": "tiff",
    "GIF": "gif",
    "HEIF": "heic",
}
_BEGINNINGS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"BM": "BMP",
}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How crops are encoded.

    Attributes:
        quality: of JPEG, WebP, AVIF and HEIC, 1 to 100.
        subsampling: how JPEG samples colours; None for as the photo does, if it is a JPEG, else in
            full.
        progressive: write JPEGs that load as a whole at first, then sharpen.
        lossless: of WebP.
        background: colour, as CSS writes it, of transparent parts where the format has none, and
            of borders.
    """

    quality: int = 92
    subsampling: Subsampling | None = None
    progressive: bool = False
    lossless: bool = False
    background: str = "white"


def photo_format(head: bytes) -> str | None:
    """Return what Pillow calls the format of a file that begins so, or None for no photo."""
    for beginning, name in _BEGINNINGS.items():
        if head.startswith(beginning):
            return name
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] != b"ftyp":
        return None
    brands = {head[8:12]} | {head[at : at + 4] for at in range(16, HEAD_BYTES - 3, 4)}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    return "HEIF" if brands & _HEIF_BRANDS else None


def crop_format(name: str | None) -> CropFormat:
    """Return the format of the crops of a photo by default: its own, or PNG, which loses nothing.

    Args:
        name: from `photo_format`.
    """
    return _OWN.get(name or "", "png")


def register_heif() -> None:
    """Let Pillow read and write HEIC, for which it has no code of its own.

    Raises:
        PhotoError: the library for it is not installed.
    """
    try:
        from pillow_heif import register_heif_opener  # noqa: PLC0415  an extra
    except ImportError as error:
        raise PhotoError('HEIC needs pillow-heif: pip install "saliency-crop[heic]"') from error
    register_heif_opener()
