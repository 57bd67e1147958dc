"""Standard error is ours: what libraries print is kept off it."""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keep OpenCV from writing to standard error, in all threads."""
    # its functions are in another place in OpenCV 4 than in 5
    log: Any = getattr(cv2.utils, "logging", cv2)
    level = log.getLogLevel()
    log.setLogLevel(0)
    try:
        yield
    finally:
        log.setLogLevel(level)


@contextmanager
def quiet_libraries(*, single_threaded: bool = False) -> Iterator[None]:
    """Keep libraries from printing, and from starting threads beside the workers."""
    threads = cv2.getNumThreads()
    restore = _silence_libraries()
    if single_threaded:
        cv2.setNumThreads(1)
    try:
        with warnings.catch_warnings(), quiet_opencv():
            warnings.simplefilter("ignore")
            yield
    finally:
        restore()
        cv2.setNumThreads(threads)


def _silence_libraries() -> Callable[[], None]:
    """Keep libtiff, libpng and others off standard error; return a function that undoes it.

    They write to its file descriptor, which is redirected to nowhere; Python's own stream keeps its
    destination.
    """
    try:
        descriptor = sys.stderr.fileno()
    except (OSError, ValueError):  # captured, or closed
        return lambda: None
    if descriptor != 2:
        return lambda: None
    before, stream = os.dup(2), sys.stderr
    sys.stderr.flush()
    sys.stderr = open(before, "w", buffering=1, closefd=False)  # noqa: SIM115  closed below
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)

    def restore() -> None:
        sys.stderr.flush()
        sys.stderr = stream
        os.dup2(before, 2)
        os.close(before)

    return restore
