"""Read photos from object stores, through pyarrow where it has the store, else through fsspec."""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from saliency.errors import PhotoError, first_line
from saliency.files import url_of

_BUCKETS = ("s3", "gs")  # whose places begin with the bucket
_CREDENTIALS = re.compile(
    r"credential|denied|forbidden|unauthori[sz]ed|anonymous|no sign|status 40[13]", re.IGNORECASE
)


def read_url(path: Path) -> bytes:
    """Return the content of a file in an object store.

    Raises:
        PhotoError: it cannot be read; where credentials are missing the message says so.
    """
    url = url_of(path)
    store, place = _opened(url)
    try:
        with store.open_input_stream(place) as file:
            data: bytes = file.read()
    except Exception as error:  # each store raises its own
        raise _failed(url, error) from error
    if not data:
        raise PhotoError(f"expected a photo, got the empty file {url}")
    return data


def list_urls(path: Path, suffixes: Sequence[str], *, is_recursive: bool) -> list[Path]:
    """Return the files of a folder in an object store, sorted by name; or the file itself.

    Args:
        path: the folder or the file.
        suffixes: how the names of files end that are returned, in lower case.
        is_recursive: files in folders inside of it too.

    Raises:
        PhotoError: the store cannot be reached or does not let us read.
    """
    from pyarrow import fs  # noqa: PLC0415  of the extra

    url = url_of(path)
    store, place = _opened(url)
    try:
        if store.get_file_info(place).type != fs.FileType.Directory:
            return [path]
        found = store.get_file_info(fs.FileSelector(place, recursive=is_recursive))
    except Exception as error:
        raise _failed(url, error) from error
    names = sorted(one.path for one in found if one.type == fs.FileType.File)
    below = [name.strip("/")[len(place.strip("/")) :].lstrip("/") for name in names]
    return [
        path / name
        for name in below
        if Path(name).suffix.lower() in suffixes and not Path(name).name.startswith(".")
    ]


def _opened(url: str) -> tuple[Any, str]:
    """Return the store of a URL as pyarrow's file system, and the place in it."""
    scheme, _, rest = url.partition("://")
    store, is_pyarrows = _store(scheme, rest.partition("/")[0])
    if is_pyarrows and scheme not in _BUCKETS:
        from pyarrow import fs  # noqa: PLC0415  of the extra

        return store, fs.FileSystem.from_uri(url)[1]
    return store, rest


@lru_cache(maxsize=8)
def _store(scheme: str, bucket: str) -> tuple[Any, bool]:
    """Return the file system of a scheme, and whether pyarrow has it itself."""
    import pyarrow as pa  # noqa: PLC0415  of the extra
    from pyarrow import fs  # noqa: PLC0415

    try:
        return fs.FileSystem.from_uri(f"{scheme}://{bucket}/")[0], True
    except pa.ArrowInvalid:  # a scheme that pyarrow does not know
        import fsspec  # noqa: PLC0415

        try:
            store = fsspec.filesystem(scheme)
        except (ImportError, ValueError) as error:
            raise PhotoError(f"cannot read {scheme}://{bucket}: {first_line(error)}") from error
        return fs.PyFileSystem(fs.FSSpecHandler(store)), False
    except Exception as error:
        raise _failed(f"{scheme}://{bucket}", error) from error


def _failed(url: str, error: Exception) -> PhotoError:
    """Return the error for a file that a store does not give."""
    reason = first_line(error)
    if _CREDENTIALS.search(f"{type(error).__name__} {reason}"):
        return PhotoError(
            f"cannot read {url}: {reason}; give every node the store's credentials (for S3 "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role of its machine)"
        )
    return PhotoError(f"cannot read {url}: {reason}")
