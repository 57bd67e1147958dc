"""Where the heads of people are in a photo, so that no crop cuts through one.

YuNet (Wu, Peng, Yu 2023, "YuNet: a tiny millisecond-level face detector") finds faces of people
from the front to the side; not heads from behind, of animals or of cartoons.
Nothing but boxes is kept: no landmarks, and nothing that identifies a person.
"""

import hashlib
import importlib.resources
from math import ceil, floor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from saliency.errors import CheckpointError
from saliency.geometry import Size, Window
from saliency.prediction.face_network import FaceNetwork
from saliency.prediction.session import thread_count

FACE_MODEL = (
    Path(str(importlib.resources.files("saliency")))
    / "weights"
    / "face_detection_yunet_2023mar.onnx"
)
SEEN_SIDE = 320
"""Longest side, in pixels, of the picture in which faces are looked for."""

CLOSER_SIDE = 640
"""The same, for a closer look where a face is doubtful."""

_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
_SURE_SCORE, _LEAST_SCORE = 0.6, 0.3
_LEAST_SIDE = 0.055  # of the picture's shorter side: 6 % with the face's margin
_FACE_MARGIN = 0.05  # of a face's sides, as its box is only about right


class Face(NamedTuple):
    """A person's face in a photo, in its pixels.

    Attributes:
        face: from the forehead to the chin, and a little more.
        head: the same with hair and some room.
        score: how sure the detector is, 0 to 1.
    """

    face: Window
    head: Window
    score: float = 1.0

    @property
    def is_sure(self) -> bool:
        """Whether it counts as a face."""
        return self.score >= _SURE_SCORE

    def moved(self, x: int, y: int) -> "Face":
        """Return the face further to the right and down."""
        return Face(self.face.moved(x, y), self.head.moved(x, y), self.score)


class _Margin(NamedTuple):
    """What a head has around its face, in shares of the face's width and height.

    Of 83 crops that ten people made of nine photos of FLMS with faces, 98 in 100 leave at least
    0.39 above, 1.6 below and 0.25 on either side.
    """

    side: float = 0.2
    above: float = 0.3
    below: float = 0.2


_MARGIN = _Margin()


class FaceDetector:
    """Finds faces; several threads may use it."""

    def __init__(self, model: Path = FACE_MODEL, *, threads: int | None = None) -> None:
        """Check and load the model that comes with the package.

        Args:
            model: its file.
            threads: how many processor threads one picture may use; None as for a `Predictor`.

        Raises:
            CheckpointError: its file is missing or damaged.
        """
        try:
            content = model.read_bytes()
        except OSError as error:
            raise CheckpointError(f"cannot read {model}; install the package anew") from error
        if hashlib.sha256(content).hexdigest() != _SHA256:
            raise CheckpointError(f"the model {model} is damaged; install the package anew")
        count = thread_count(threads)
        self._network = FaceNetwork(content, model, threads=count, least_score=_LEAST_SCORE)

    def find(self, picture: NDArray[np.uint8], size: Size) -> tuple[Face, ...]:
        """Return the faces in a picture, doubtful ones too, the surest first.

        Faces that are below 6 % of the picture's shorter side, with their margin, are left out.

        Args:
            picture: uint8 (height, width, 3), sRGB, with a longest side of about `SEEN_SIDE`.
            size: width and height in whose pixels the boxes are wanted.
        """
        height, width, _ = picture.shape
        scale = size[0] / width, size[1] / height
        found = (
            _face((x * scale[0], y * scale[1], wide * scale[0], high * scale[1]), size, score)
            for x, y, wide, high, score in self._network.find(picture)
            if min(wide, high) >= _LEAST_SIDE * min(width, height)
        )
        return tuple(face for face in found if face is not None)


def _face(box: tuple[float, float, float, float], size: Size, score: float) -> Face | None:
    """Return a face and its head, inside a photo; None for a face outside of it."""
    x, y, width, height = box
    margin = _MARGIN
    around = _FACE_MARGIN
    face = _inside(
        (
            x - around * width,
            y - around * height,
            x + (1 + around) * width,
            y + (1 + around) * height,
        ),
        size,
    )
    head = _inside(
        (
            x - margin.side * width,
            y - margin.above * height,
            x + (1 + margin.side) * width,
            y + (1 + margin.below) * height,
        ),
        size,
    )
    return None if face is None or head is None else Face(face, head, score)


def _inside(edges: tuple[float, float, float, float], size: Size) -> Window | None:
    """Return left, top, right and bottom in whole pixels, inside a photo; None if it is outside."""
    left, top = max(floor(edges[0]), 0), max(floor(edges[1]), 0)
    right, bottom = min(ceil(edges[2]), size[0]), min(ceil(edges[3]), size[1])
    return Window.between(left, top, right, bottom) if left < right and top < bottom else None
