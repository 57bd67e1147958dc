"""Write a file so that it is there whole or not at all, whenever the program is stopped."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from saliency.errors import PhotoError


def write_whole(
    data: bytes, path: Path, *, overwrite: bool = False, is_durable: bool = True
) -> None:
    """Write a file whole or not at all.

    The bytes go into a hidden file in the same folder, onto the disk, and only then under the name.

    Args:
        data: the content.
        path: the file; its folder exists.
        overwrite: replace a file of that name.
        is_durable: wait until the bytes are on the disk. If not, a power cut in the next moments
            may leave an empty file.

    Raises:
        PhotoError: it cannot be written, or is there already and is not to be replaced.
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
            temporary.replace(path)
        else:
            _name_unless_taken(temporary, path)
    except FileExistsError as error:
        raise PhotoError(f"{path} exists already; --overwrite replaces it") from error
    except OSError as error:
        raise PhotoError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _name_unless_taken(temporary: Path, path: Path) -> None:
    """Give a finished file its name; `FileExistsError` if that is taken, even a moment ago."""
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
