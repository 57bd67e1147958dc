"""Models as files: weights in safetensors, everything needed to rebuild the model as JSON beside.

No pickle: a file from a stranger can be loaded without running what it holds.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from saliency.errors import CheckpointError
from saliency.files import write_whole
from saliency.model.config import ModelConfig
from saliency.model.network import SaliencyModel
from saliency.prediction.model_metadata import FORMAT_VERSION, METADATA_KEY, parse_metadata
from saliency.pruning.surgery import channel_counts, resize_layers


def model_metadata(model: SaliencyModel, *, name: str, scores: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of a model's file, the same in both formats.

    Args:
        model: the model.
        name: what to call it.
        scores: its figures on validation images, by data set.
    """
    return {
        "format_version": FORMAT_VERSION,
        "name": name,
        "backbone": model.config.backbone,
        "input_pixels": model.config.input_pixels,
        "size_multiple": model.size_multiple,
        "config": dataclasses.asdict(model.config),
        "channels": channel_counts(model),
        "scores": scores,
    }


def save_model(
    model: SaliencyModel, path: Path, *, scores: dict[str, Any] | None = None, half: bool = False
) -> None:
    """Write a model to `path`, whole or not at all, replacing what is there.

    Args:
        model: what to write.
        path: of the file.
        scores: its figures on validation images, by data set.
        half: store the weights of convolutions with 16 bits, which halves the file; statistics of
            batch norm may be too small or too large for these.

    Raises:
        SaliencyError: it cannot be written.
    """
    metadata = model_metadata(model, name=path.stem, scores=scores or {})
    metadata["origins"] = model.origins
    tensors = {
        key: (value.half() if half and value.ndim > 1 else value).contiguous()
        for key, value in model.state_dict().items()
    }
    write_whole(save(tensors, {METADATA_KEY: json.dumps(metadata)}), path, overwrite=True)


def load_model(path: Path | str) -> SaliencyModel:
    """Return the model of a `.safetensors` file, on the CPU, in evaluation mode.

    Raises:
        CheckpointError: there is no such file, it is damaged, of another format, or its weights
            are not exactly those of the model that it describes.
    """
    path = Path(path)
    metadata = read_metadata(path)
    try:
        model = _build(metadata)
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        model.load_state_dict(tensors, strict=True)
    except (
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
        RuntimeError,
        SafetensorError,
    ) as error:
        first_line = str(error).splitlines()[0]
        raise CheckpointError(
            f"{path} does not hold the model that it describes: {first_line}; "
            "train it anew, or use the version of this package that wrote it"
        ) from error
    return model.eval()


def _build(metadata: dict[str, Any]) -> SaliencyModel:
    """Return the model that metadata describe, its weights yet to be loaded."""
    model = SaliencyModel(ModelConfig.from_dict(metadata["config"]))
    channels = metadata.get("channels")  # not in files from before there was pruning
    if channels is None:
        return model
    resized = resize_layers(model, channels)
    assert isinstance(resized, SaliencyModel)
    resized.origins = metadata.get("origins", {})
    return resized


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata of a `.safetensors` file.

    Raises:
        CheckpointError: there is no such file, or it is no model of this package and version.
    """
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(METADATA_KEY)
    except FileNotFoundError as error:
        raise CheckpointError(f"no model at {path}; check the path") from error
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} is no safetensors file ({error}); use one written by `saliency train`"
        ) from error
    return parse_metadata(text, path)


def parameter_count(model: torch.nn.Module) -> int:
    """Return how many weights a model learns."""
    return sum(parameter.numel() for parameter in model.parameters())
