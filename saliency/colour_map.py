"""How a density is drawn: OpenCV's inferno, dark to bright and even to the eye."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def density_levels(density: NDArray[Any]) -> NDArray[np.float32]:
    """Return (rows, columns) from 0 to 1: the square root of a density relative to its peak.

    The root makes the flanks of peaks visible, which would be black beside them. If the density is
    zero everywhere, all levels are 0.
    """
    peak = float(density.max())
    relative = density / peak if peak > 0 else np.zeros_like(density)
    return np.asarray(np.sqrt(np.clip(relative, 0, 1)), dtype=np.float32)


def colours_of(levels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return levels from 0 to 1 as colours, uint8 (rows, columns, 3), sRGB."""
    bgr = cv2.applyColorMap((255 * levels).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
