"""What keeping freed memory and compiled kernels saves: page faults, and kernels compiled again.

    python benchmarks/memory.py

Each figure is from a process of its own, without the setting and with it. They depend on the C
library, on oneDNN and on the processor, which is why no test asks for them: with AVX-512 oneDNN
needs fewer kernels, and forgets none of them.
"""

import os
import subprocess
import sys

PAGE_FAULTS = """
import resource
import numpy as np
{setup}
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def work(): {work}
work()
before = faults()
for _ in range(20): work()
print(faults() - before)
"""
PHOTO = "[np.ones(3 << 20, np.uint8) for _ in range(4)]"
FEATURES = "np.ones(48 << 20, np.uint8)"

KERNELS = """
import torch
{setup}
weight = torch.rand(8, 8, 3, 3)
for number in 2 * list(range(350)):
    torch.nn.functional.conv2d(torch.rand(16, 8, 16 + number // 20, 16 + number % 20), weight)
"""


def output_of(program: str) -> str:
    """Return what a program prints in a process of its own, which reports compiled kernels."""
    environment = {**os.environ, "ONEDNN_VERBOSE": "profile_create"}
    environment.pop("ONEDNN_PRIMITIVE_CACHE_CAPACITY", None)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout


def page_faults(setup: str, work: str) -> int:
    """Return the page faults of doing some work 20 times, after a first time."""
    return int(output_of(PAGE_FAULTS.format(setup=setup, work=work)).split()[-1])


def compiled_kernels(setup: str) -> int:
    """Return how many kernels are compiled for pictures of 350 sizes, each shown two times."""
    return output_of(KERNELS.format(setup=setup)).count("cache_miss")


def main() -> None:
    """Measure and print."""
    rows = (
        ("page faults, crops: keep_freed_memory", page_faults, PHOTO),
        ("page faults, training: reuse_large_blocks", page_faults, FEATURES),
        ("compiled kernels, training: keep_kernels", compiled_kernels, None),
    )
    print(f"{'':45}{'without':>10}{'with':>10}")
    for name, measure, work in rows:
        function = name.rpartition(" ")[2]
        setups = ("", f"from saliency.memory import {function}; {function}()")
        without, kept = (measure(setup, *([work] if work else [])) for setup in setups)
        print(f"{name:45}{without:10d}{kept:10d}")


if __name__ == "__main__":
    main()
