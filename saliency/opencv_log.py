"""OpenCV's own log, whose functions are in another place in OpenCV 4 than in 5."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keep OpenCV from writing to standard error, in all threads."""
    log: Any = getattr(cv2.utils, "logging", cv2)
    level = log.getLogLevel()
    log.setLogLevel(0)
    try:
        yield
    finally:
        log.setLogLevel(level)
