"""Keep freed memory in the process, as every photo allocates and frees the same amounts."""

import ctypes
import os
import sys

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD of malloc.h
_LARGEST_BLOCK = 32 << 20  # the most that glibc allows
_KEPT_BYTES = 64 << 20


def keep_freed_memory() -> None:
    """Let the process keep up to 64 MB of freed memory, instead of returning it at once.

    Returned memory has to be mapped again for the next photo, page by page, which takes several
    milliseconds. This affects glibc only (mallopt(3)), and the whole process.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or Windows
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST_BLOCK)
    mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)


# From glibc's malloc.h.
_M_TRIM_THRESHOLD = -1


_M_MMAP_MAX = -4


_LARGEST_INT = 2**31 - 1


def reuse_large_blocks() -> bool:
    """Ask the C library to reuse large blocks; return whether it can.

    glibc maps every block above 32 MB anew and unmaps it when it is freed, so each large feature
    map costs its page faults again in every step: on two cores a training step takes 1.4 to 1.6
    times as long. Without glibc nothing is changed.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, _LARGEST_INT))


def keep_kernels() -> None:
    """Let oneDNN, which runs convolutions on a CPU, cache all kernels that it has compiled.

    A convolution needs three for each input size. A network that sees photos of a dozen sizes needs
    more than the thousand cached by default, so that they are compiled again and again: steps take
    up to a third longer. Call this before the first convolution runs.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16384")
