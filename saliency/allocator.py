"""Keep between steps what a step made that the next one needs again: memory, and kernels."""

import ctypes
import os
import sys

# From glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_LARGEST_INT = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell the C library to reuse large blocks; return whether it could be told.

    glibc maps every block above 32 MB anew and unmaps it when it is freed, so each large feature
    map costs its page faults again in every step: on two cores a training step takes 1.4 to 1.6
    times as long. Where there is no glibc nothing is changed.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, _LARGEST_INT))


def keep_kernels() -> None:
    """Let oneDNN, which runs convolutions on a CPU, remember all kernels that it has compiled.

    Each convolution of a size of its own needs three. A network that is shown photos of a dozen
    sizes outgrows the thousand that are remembered by default, so that all are compiled again and
    again: steps take up to a third longer. To be called before the first convolution runs.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16384")
