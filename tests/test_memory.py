import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource
import numpy as np
from saliency.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        photo = [np.ones(3 << 20, dtype=np.uint8) for _ in range(4)]
        del photo
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
without = faults()
keep_freed_memory()
faults()
print(without, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="does something with glibc only")
def test_memory_of_the_last_photo_is_there_for_the_next():
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    without, kept = map(int, run.stdout.split())
    assert kept < 100 < without
