"""Measure how long a decoded photo takes from the cache, and how long decoding it takes.

Photos are as large as training with the default input wants them; files and entries are in the
system's own cache of files, as from the second epoch on. One thread.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from saliency.datasets.layouts.registry import read_dataset
from saliency.training.inputs.photo_cache import PhotoCache, decode
from saliency.training.inputs.sampling import cache_side
from saliency.training.options import TrainingOptions


def main() -> None:
    """Print the median milliseconds for a photo, decoded and from the cache."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", metavar="LAYOUT:PATH", required=True, help="such as osie:PATH")
    parser.add_argument("--limit", metavar="COUNT", type=int, default=100, help="photos")
    arguments = parser.parse_args()
    paths = [scene.path for scene in read_dataset(arguments.data).scenes[: arguments.limit]]
    side = cache_side(TrainingOptions().pixels)
    with tempfile.TemporaryDirectory() as folder:
        cache = PhotoCache(Path(folder), side=side)
        for path in paths:
            cache.read(path)
        cached_ms = median_ms(cache.read, paths)
    decoded_ms = median_ms(lambda path: decode(path, side), paths)
    print(
        f"{len(paths)} photos, longer side at least {side} px: decoded {decoded_ms:.1f} ms each, "
        f"from the cache {cached_ms:.1f} ms"
    )


def median_ms(read: Callable[[Path], object], paths: list[Path]) -> float:
    """Return the median time that reading a photo takes."""
    times = []
    for path in paths:
        start = time.perf_counter()
        read(path)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


if __name__ == "__main__":
    main()
