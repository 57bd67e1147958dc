"""Photos to learn from, with what is known of each."""

from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float32, Float64
from numpy import ndarray

from saliency.fixations.scene import Scene


@dataclass(frozen=True, eq=False)
class Source:
    """A photo to learn from.

    Attributes:
        path: the image file.
        width: of the upright photo, in pixels; fixations are in this frame.
        height: of the upright photo, in pixels.
        fixations: (x, y) in pixels; none for a photo that only a teacher has seen.
        teacher: the teacher's density over the photo, or None.
    """

    path: Path
    width: int
    height: int
    fixations: Float64[ndarray, "fixations xy=2"]
    teacher: Float32[ndarray, "rows columns"] | None = None

    @classmethod
    def of_scene(cls, scene: Scene, teacher: ndarray | None = None) -> "Source":
        """Return a scene as a source."""
        return cls(scene.path, scene.width, scene.height, scene.fixations, teacher)
