"""A model file, of either kind, as a function from a photo to its log density."""

from pathlib import Path
from threading import Lock

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from saliency.errors import CheckpointError
from saliency.evaluation import Predict
from saliency.predictor import Predictor, predict_alike, resize_photo, to_density, working_size


def load_predict(path: Path) -> Predict:
    """Return the model of a file as `evaluate_scenes` takes it.

    Both kinds see the photo at the same size, resized by the same function, and their densities
    are brought to the photo's size by the same function. An .onnx model uses one thread for each
    prediction; a .safetensors model makes one prediction at a time, with torch's own threads.

    Raises:
        CheckpointError: the file is no model, or cannot be loaded.
    """
    if path.suffix == ".onnx":
        return _onnx_predict(path)
    if path.suffix == ".safetensors":
        return _torch_predict(path)
    raise CheckpointError(
        f"expected a model with the ending .onnx or .safetensors, got {path}; "
        "use a file written by `saliency train` or `saliency prune`"
    )


def _onnx_predict(path: Path) -> Predict:
    predictor = Predictor(path, threads=1)

    def predict(photo: UInt8[ndarray, "height width 3"]) -> Float[ndarray, "height width"]:
        height, width, _ = photo.shape
        return np.log(predictor.density(photo, size=(width, height)))

    return predict


def _torch_predict(path: Path) -> Predict:
    import torch  # noqa: PLC0415  takes seconds, and an .onnx model does without

    from saliency.checkpoint import load_model  # noqa: PLC0415  likewise

    model = load_model(path).eval()
    one_at_a_time = Lock()  # two predictions at once would fight over torch's threads

    def run(photo: UInt8[ndarray, "height width 3"]) -> Float[ndarray, "height width"]:
        with one_at_a_time, torch.inference_mode():
            return np.asarray(model(torch.tensor(photo)[None])[0].numpy())

    def predict(photo: UInt8[ndarray, "height width 3"]) -> Float[ndarray, "height width"]:
        height, width, _ = photo.shape
        size = working_size(
            (width, height),
            input_pixels=model.config.input_pixels,
            size_multiple=model.size_multiple,
        )
        log_density = predict_alike(run, resize_photo(photo, size))
        return np.log(to_density(log_density, (width, height)))

    return predict
