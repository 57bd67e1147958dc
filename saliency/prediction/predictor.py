"""From a photo to the density of the fixations people would make on it, with ONNX Runtime."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saliency.crop_windows.confidence import read_calibration
from saliency.errors import CheckpointError
from saliency.geometry import Size
from saliency.prediction.model_metadata import METADATA_KEY, parse_metadata
from saliency.prediction.processing import predict_alike, resize_photo, to_density, working_size
from saliency.prediction.session import start_session, thread_count
from saliency.prediction.shipped_models import is_shipped, model_path


class Predictor:
    """A model that is loaded and checked, ready for any number of photos.

    Attributes:
        metadata: of the model's file: name, backbone, input size, scores.
        calibration: how sure its windows are (`saliency calibrate`), None where it has no
            calibration.
        threads: how many processor threads one prediction may use.
    """

    def __init__(self, model: Path | str | None = None, threads: int | None = None) -> None:
        """Load a model.

        Args:
            model: `fast`, `default` or `best`, which come with the package and are checked against
                their SHA-256 first; or an .onnx file of `saliency train`, `prune` or `export`;
                None for `default`.
            threads: how many processor threads one prediction may use; None for one per core, at
                most 4, as the layers are too short to be shared among more.

        Raises:
            CheckpointError: there is no such file, it is damaged, or it is no model of this format.
            ValueError: `threads` is below 1.
        """
        self.threads = thread_count(threads)
        path = model_path(model)
        content = _read_model(path)
        if is_shipped(path) and not isinstance(model, Path):
            _check_sha256(content, path)
        self._session = start_session(content, path, threads=self.threads)
        stored = self._session.get_modelmeta().custom_metadata_map
        self.metadata = parse_metadata(stored.get(METADATA_KEY), path)
        try:
            self.calibration = read_calibration(self.metadata)
        except ValueError as error:
            raise CheckpointError(
                f"{path} carries a damaged calibration; run `saliency calibrate` on it: {error}"
            ) from error

    def input_size(self, photo_size: Size) -> Size:
        """Return the width and height at which the model looks at a photo (`working_size`)."""
        return working_size(
            photo_size,
            input_pixels=self.metadata["input_pixels"],
            size_multiple=self.metadata["size_multiple"],
        )

    def density(self, photo: NDArray[np.uint8], size: Size | None = None) -> NDArray[np.float32]:
        """Return the share of fixations expected in each cell of a grid over the whole photo.

        A mirrored photo gets the mirrored density (`predict_alike`).

        Args:
            photo: uint8 (height, width, 3), sRGB, upright.
            size: width and height of the grid; None for the size at which the model looks at the
                photo, about `metadata["input_pixels"]` cells of the photo's proportions.

        Returns:
            float32 (rows, columns), above 0, sums to 1. At another size the mass is shared out by
            area where cells are merged, interpolated linearly where they are split.

        Raises:
            ValueError: the photo is not such an array, or a side of `size` is below 1.
        """
        _check_photo(photo)
        height, width, _ = photo.shape
        seen = resize_photo(photo, self.input_size((width, height)))
        return to_density(predict_alike(self._run, seen), size)

    def _run(self, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the log density of a photo of the input size."""
        (log_density,) = self._session.run(["log_density"], {"photos": photo[np.newaxis]})
        return np.asarray(log_density[0])


def _check_photo(photo: NDArray[np.uint8]) -> None:
    """Refuse what is no uint8 photo of three channels."""
    if not isinstance(photo, np.ndarray) or photo.dtype != np.uint8:
        kind = getattr(photo, "dtype", type(photo).__name__)
        raise ValueError(f"expected a photo of uint8 values, 0 to 255, got {kind}")
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.size == 0:
        raise ValueError(f"expected a photo of shape (height, width, 3), got {photo.shape}")


def _read_model(path: Path) -> bytes:
    """Return the content of a model file."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        remedy = "check the path, or name one that ships: fast, default or best"
        if is_shipped(path):
            remedy = "install the package anew"
        raise CheckpointError(f"no model at {path}; {remedy}") from error
    except OSError as error:
        raise CheckpointError(f"cannot read the model {path}: {error.strerror or error}") from error


def _check_sha256(content: bytes, path: Path) -> None:
    """Compare the model with the checksum beside it (the format of `sha256sum`)."""
    beside = path.with_name(path.name + ".sha256")
    expected = _read_model(beside).decode("ascii", errors="replace").split()
    actual = hashlib.sha256(content).hexdigest()
    if not expected or expected[0].lower() != actual:
        raise CheckpointError(
            f"the model {path} is damaged: its SHA-256 {actual} is not the one in {beside.name}; "
            "install the package anew"
        )
