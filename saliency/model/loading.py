"""A model file, of either kind, as a function from a photo to its log density."""

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from saliency.errors import CheckpointError
from saliency.prediction.predictor import Predictor
from saliency.prediction.processing import predict_alike, to_density

Predict = Callable[[UInt8[ndarray, "height width 3"]], Float[ndarray, "height width"]]
"""Gives the natural log of each pixel's share of the fixations; called from several threads."""

Look = Callable[[UInt8[ndarray, "height width 3"]], Float[ndarray, "rows columns"]]
"""Gives the log density of a photo, at the size at which the model looks at it."""


def load_predict(path: Path) -> Predict:
    """Return the model of a file as `evaluate_scenes` takes it; see `load_look`.

    Raises:
        CheckpointError: the file is no model, or cannot be loaded.
    """
    return at_photo_size(load_look(path))


def load_look(path: Path) -> Look:
    """Return the model of a file.

    Both kinds see the photo at the same size, resized by the same function. An .onnx model uses
    one thread for each prediction; a .safetensors model makes one prediction at a time, with
    torch's own threads.

    Raises:
        CheckpointError: the file is no model, or cannot be loaded.
    """
    if path.suffix == ".onnx":
        predictor = Predictor(path, threads=1)
        return lambda photo: np.log(predictor.density(photo))
    if path.suffix == ".safetensors":
        from saliency.model.checkpoint import load_model  # noqa: PLC0415  torch takes seconds

        return look_of(load_model(path))
    raise CheckpointError(
        f"expected a model with the ending .onnx or .safetensors, got {path}; "
        "use a file written by `saliency train` or `saliency prune`"
    )


def at_photo_size(look: Look) -> Predict:
    """Return predictions at the size of the photo."""

    def predict(photo: UInt8[ndarray, "height width 3"]) -> Float[ndarray, "height width"]:
        height, width, _ = photo.shape
        return np.log(to_density(look(photo), (width, height)))

    return predict


def look_of(model: Any) -> Look:
    """Return a `SaliencyModel` as such a function, which makes one prediction at a time."""
    import torch  # noqa: PLC0415  takes seconds, and an .onnx model does without

    model.eval()
    one_at_a_time = Lock()  # two predictions at once would fight over torch's threads

    def run(photo: UInt8[ndarray, "height width 3"]) -> Float[ndarray, "height width"]:
        with one_at_a_time, torch.inference_mode():
            return np.asarray(model(torch.tensor(photo)[None])[0].numpy())

    def look(photo: UInt8[ndarray, "height width 3"]) -> Float[ndarray, "rows columns"]:
        return predict_alike(run, model.as_seen(photo))

    return look
