"""Write files whole or not at all, whenever the program is stopped; name them."""

import hashlib
import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from saliency.errors import OutputError

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")


def write_whole(
    data: bytes, path: Path, *, overwrite: bool = False, is_durable: bool = True
) -> None:
    """Write a file whole or not at all.

    The bytes are written to a hidden file in the same folder, which then gets the name, and the
    permissions of the file that it replaces.

    Args:
        data: the content.
        path: the file; its folder exists.
        overwrite: replace a file of that name.
        is_durable: wait until the bytes are on the disk. If not, a power cut in the next moments
            may leave an empty file.

    Raises:
        OutputError: it cannot be written, or exists and may not be replaced.
    """
    temporary = path.with_name(f".{os.urandom(8).hex()}.tmp")
    try:
        # Not from `tempfile`, whose files nobody but the owner may read.
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            if is_durable:
                os.fsync(file.fileno())
        if overwrite:
            with suppress(OSError):  # there is none, or the file system has no such thing
                temporary.chmod(stat.S_IMODE(path.stat().st_mode))
            temporary.replace(path)
        else:
            _name_unless_taken(temporary, path)
    except FileExistsError as error:
        raise OutputError(_exists(path)) from error
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_writable(path: Path, *, overwrite: bool = False) -> None:
    """Refuse, before any work is done for it, a file that could not be written afterwards.

    Args:
        path: the file; its folder has to exist.
        overwrite: a file of that name may be replaced.

    Raises:
        OutputError: it is a folder, its folder is missing or read-only, or it exists already.
    """
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder; name a file in it")
    if not path.parent.is_dir():
        raise OutputError(f"cannot write {path}: there is no folder {path.parent}; create it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {path}: no permission to write into {path.parent}")
    if (path.exists() or path.is_symlink()) and not overwrite:
        raise OutputError(_exists(path))


def create_folder(path: Path) -> None:
    """Create a folder and those above it, where they are missing.

    Raises:
        OutputError: it cannot be created, or a file of that name exists.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"cannot create the folder {path}: {reason}") from error


def _exists(path: Path) -> str:
    return f"{path} exists already; overwrite it, or name another file"


def _name_unless_taken(temporary: Path, path: Path) -> None:
    """Give a finished file its name; raise `FileExistsError` if another file has it."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: take the name first, then fill it
        path.open("xb").close()
        try:
            temporary.replace(path)
        except BaseException:
            path.unlink()
            raise


def cache_folder() -> Path:
    """Return where pictures made from data sets are kept: `$XDG_CACHE_HOME/saliency`.

    Without that variable it is `~/.cache/saliency`.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "saliency"


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_url(name: str | Path) -> bool:
    """Return whether a name is that of a file in an object store: `s3://bucket/photo.jpg`."""
    return _URL.match(str(name)) is not None


def url_of(path: Path) -> str:
    """Return a name as it was given: a `Path` turns `s3://bucket` into `s3:/bucket`."""
    return _URL.sub(lambda match: f"{match[1]}://" + "/" * (match[1] == "file"), str(path), count=1)
