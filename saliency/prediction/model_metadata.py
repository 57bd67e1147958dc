"""The metadata of a model file, the same JSON in `.safetensors` and `.onnx` files."""

import json
from pathlib import Path
from typing import Any

from saliency.errors import CheckpointError

FORMAT_VERSION = 1
METADATA_KEY = "saliency"


def parse_metadata(text: str | None, path: Path) -> dict[str, Any]:
    """Return the metadata of a model file.

    Args:
        text: what the file holds under `METADATA_KEY`, None for nothing.
        path: the file, for messages.

    Raises:
        CheckpointError: it is no model of this package, or of another format.
    """
    remedy = "use a file written by `saliency train` or `saliency export`"
    try:
        metadata = json.loads(text or "")
    except ValueError:
        metadata = None
    if not isinstance(metadata, dict):
        raise CheckpointError(f"{path} carries no saliency metadata; {remedy}")
    if metadata.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"expected format_version {FORMAT_VERSION} in {path}, "
            f"got {metadata.get('format_version')}; use the version of this package that wrote it"
        )
    for key in ("input_pixels", "size_multiple"):
        value = metadata.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise CheckpointError(
                f"expected a whole number above 0 for {key} in {path}, got {value!r}; {remedy}"
            )
    return metadata
