"""A stand-in for a trained model, and photos of every kind, made on the spot."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save
from PIL import Image

from saliency.crop_windows.choice import Choice
from saliency.cropping.cutting import make_crop
from saliency.cropping.options import CropOptions

METADATA = {
    "format_version": 1,
    "name": "stand-in",
    "backbone": "none",
    "input_pixels": 19_200,
    "size_multiple": 32,
    "scores": {},
}


def write_model(
    path: Path, metadata: dict[str, Any] | None = METADATA, *, gain: float = 0.05
) -> Path:
    """Write an ONNX model of the contract whose log density rises with a pixel's brightness."""
    nodes = [
        helper.make_node("Cast", ["photos"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["values", "channels"], ["brightness"], keepdims=0),
        helper.make_node("Mul", ["brightness", "gain"], ["scores"]),
        helper.make_node("ReduceLogSumExp", ["scores", "pixels"], ["total"], keepdims=1),
        helper.make_node("Sub", ["scores", "total"], ["log_density"]),
    ]
    constants = {
        "channels": np.array([3]),
        "pixels": np.array([1, 2]),
        "gain": np.array(gain, dtype=np.float32),
    }
    shape = ["batch", "height", "width"]
    graph = helper.make_graph(
        nodes,
        "stand-in",
        [helper.make_tensor_value_info("photos", TensorProto.UINT8, [*shape, 3])],
        [helper.make_tensor_value_info("log_density", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    if metadata is not None:
        helper.set_model_props(model, {"saliency": json.dumps(metadata)})
    save(model, path)
    return path


def dark_photo(width: int, height: int, *, bright: tuple[int, int, int, int]) -> Image.Image:
    """Return a nearly black RGB image with one bright rectangle: left, top, right, bottom."""
    pixels = np.full((height, width, 3), 10, dtype=np.uint8)
    left, top, right, bottom = bright
    pixels[top:bottom, left:right] = (250, 240, 230)
    return Image.fromarray(pixels)


def quarters(width: int = 48, height: int = 32) -> Image.Image:
    """Return an RGB image with a quarter each of red, green, blue and white, row by row."""
    colours = np.array([[[250, 0, 0], [0, 250, 0]], [[0, 0, 250], [250, 250, 250]]], dtype=np.uint8)
    return Image.fromarray(colours.repeat(height // 2, axis=0).repeat(width // 2, axis=1))


def opened(path: Path) -> Image.Image:
    """Return an image as it is stored, its file closed again."""
    with Image.open(path) as image:
        image.load()
        return image


def crop_bytes(photo, window, as_format, *, padding=None, stripped=False, **options):
    """Return the crop of a photo to a window, as the bytes of a file."""
    choice = Choice("any", "moved", "", window, 0.5, window, 0.5, 0.0, None, padding)
    wanted = CropOptions(aspects={}, is_stripped=stripped, **options)
    return make_crop(photo, choice, as_format=as_format, options=wanted).data
