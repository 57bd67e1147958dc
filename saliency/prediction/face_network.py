"""YuNet in ONNX Runtime: the boxes of faces in a picture, with their scores.

ONNX Runtime takes half the time of OpenCV's `FaceDetectorYN`, which finds the same boxes. The
network predicts, for each cell of three grids of 8, 16 and 32 pixels: whether its middle lies in a
face, how well a box placed there would fit, and that box.
"""

from pathlib import Path
from string import ascii_letters

import cv2
import numpy as np
from numpy.typing import NDArray

from saliency.prediction.session import start_session

_STRIDES = (8, 16, 32)
_PARTS = ("cls", "obj", "bbox")
_OUTPUTS = [f"{part}_{stride}" for part in _PARTS for stride in _STRIDES]
_MOST_OVERLAP, _MOST_FACES = 0.3, 200
_STATED_SIDE = 640  # of the picture, in the model's file


class FaceNetwork:
    """Finds boxes of faces; several threads may use it."""

    def __init__(self, content: bytes, path: Path, *, threads: int, least_score: float) -> None:
        """Load the model.

        Args:
            content: of the model's file.
            path: of the file, for messages.
            threads: how many processor threads one picture may use.
            least_score: of the faces that are returned, above 0.

        Raises:
            CheckpointError: ONNX Runtime refuses the model.
        """
        self._session = start_session(_with_free_sides(content), path, threads=threads)
        self._least_score = least_score

    def find(self, picture: NDArray[np.uint8]) -> list[list[float]]:
        """Return x, y, width, height and score of each face, in pixels, the surest first.

        Args:
            picture: uint8 (height, width, 3), sRGB.
        """
        height, width, _ = picture.shape
        most = _STRIDES[-1]
        down, right = -height % most, -width % most
        padded = cv2.copyMakeBorder(picture, 0, down, 0, right, cv2.BORDER_CONSTANT)
        blue_first = cv2.dnn.blobFromImage(padded, swapRB=True)
        outputs = self._session.run(_OUTPUTS, {"input": blue_first})
        found = np.concatenate(
            [
                self._found(stride, padded.shape[1] // stride, *outputs[index :: len(_STRIDES)])
                for index, stride in enumerate(_STRIDES)
            ]
        )
        scores = found[:, 4]
        whole = found[:, :4].astype(np.int32)
        kept = cv2.dnn.NMSBoxes(
            whole.tolist(), scores.tolist(), self._least_score, _MOST_OVERLAP, top_k=_MOST_FACES
        )
        faces: list[list[float]] = found[np.asarray(kept, dtype=np.int64)].tolist()
        return faces

    def _found(
        self,
        stride: int,
        columns: int,
        in_face: NDArray[np.float32],
        fit: NDArray[np.float32],
        box: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Return the boxes that one grid found, of shape (faces, 5)."""
        scores = np.sqrt(np.clip(in_face, 0, 1) * np.clip(fit, 0, 1))[0, :, 0]
        cells = np.flatnonzero(scores >= self._least_score)
        row, column = np.divmod(cells, columns)
        across, down, wide, high = box[0, cells].T
        width, height = np.exp(wide) * stride, np.exp(high) * stride
        left = (column + across) * stride - width / 2
        top = (row + down) * stride - height / 2
        return np.stack([left, top, width, height, scores[cells]], axis=1, dtype=np.float32)


def _with_free_sides(model: bytes) -> bytes:
    """Return the model for pictures of any size; its file states a side of 640 pixels.

    A stated length takes as many bytes in the file as a name of one letter, so names take their
    places in the shapes of the input and of the outputs (protobuf: `dim_value`, a number of two
    bytes, or `dim_param`, a text).
    """
    names = iter(ascii_letters)
    for stated in (_STATED_SIDE, *((_STATED_SIDE // stride) ** 2 for stride in _STRIDES)):
        number = bytes([0x08, stated & 0x7F | 0x80, stated >> 7])
        while (length := b"\x0a\x03" + number) in model:
            model = model.replace(length, b"\x0a\x03\x12\x01" + next(names).encode(), 1)
    return model
