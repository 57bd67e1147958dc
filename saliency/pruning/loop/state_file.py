"""The state of a run as a file, from which it goes on after it was stopped."""

import io
from pathlib import Path
from typing import Any

from saliency.errors import CheckpointError, first_line
from saliency.files import create_folder, write_whole


def save_state(state: dict[str, Any], path: Path) -> None:
    """Replace the state, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    import torch  # noqa: PLC0415  takes seconds, which --help does not need

    buffer = io.BytesIO()
    torch.save(state, buffer)
    create_folder(path.parent)
    write_whole(buffer.getvalue(), path, overwrite=True)


def load_state(path: Path) -> dict[str, Any] | None:
    """Return the last state, on the CPU; None if the run was stopped before its first.

    Raises:
        CheckpointError: the file is damaged.
    """
    import torch  # noqa: PLC0415  as above

    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    # On a damaged file torch raises whatever the damage leads it into: RuntimeError, EOFError,
    # UnpicklingError, UnicodeDecodeError, …
    except Exception as error:
        raise CheckpointError(
            f"cannot read {path}: {first_line(error)}; start the run anew in another folder"
        ) from error
    return state
