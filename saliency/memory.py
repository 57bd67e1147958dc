"""Keep freed memory in the process, where every photo takes and frees the same amounts of it."""

import ctypes

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD of malloc.h
_LARGEST_BLOCK = 32 << 20  # the most that glibc allows
_KEPT_BYTES = 64 << 20


def keep_freed_memory() -> None:
    """Let the process keep up to 64 MB that it has freed, instead of handing them back at once.

    Memory that is handed back has to be mapped anew for the next photo, page by page, which takes
    several milliseconds of each. Does something with glibc only (mallopt(3)), and for the whole
    process.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or Windows
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST_BLOCK)
    mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
