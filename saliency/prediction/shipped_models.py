"""The models that come with the package, by their names."""

from pathlib import Path

import saliency

SHIPPED_MODELS = ("fast", "default", "best")
"""From the quickest to the one that predicts best; `default` is used unless another is named."""

_FOLDER = Path(saliency.__file__).parent / "weights"


def model_path(model: Path | str | None, suffix: str = ".onnx") -> Path:
    """Return the file that a name of a shipped model, or a path, means.

    Args:
        model: `fast`, `default` or `best`; the path of a file; None for the default model.
        suffix: `.onnx` for the model to run, `.safetensors` for the one to train on from.
    """
    name = "default" if model is None else str(model)
    return _FOLDER / f"{name}{suffix}" if name in SHIPPED_MODELS else Path(name)


def fisher_path(model: Path) -> Path:
    """Return the file of the Fisher values that belong to a model: NAME.fisher.safetensors."""
    return model.with_name(f"{model.stem}.fisher.safetensors")


def is_shipped(path: Path) -> bool:
    """Return whether a file is one of the models that come with the package."""
    return path.parent == _FOLDER and path.stem in SHIPPED_MODELS


def runnable_model(text: str) -> Path:
    """Return what a command line means by the name or path of a model to run."""
    return model_path(text)


def trainable_model(text: str) -> Path:
    """Return what a command line means by the name or path of a model to train on from."""
    return model_path(text, ".safetensors")
