import ctypes
import os
import subprocess
import sys

import pytest

from saliency import memory

PROGRAM = """
import resource
import numpy as np
{setup}
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(48 << 20, np.uint8)
before = faults()
for _ in range(4): np.ones(48 << 20, np.uint8)
print(faults() - before)
"""
"""Count the page faults of four blocks of 48 MB, each freed before the next is asked for."""


def page_faults(setup):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(setup=setup)],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


SIZES = """
import torch
{setup}
weight = torch.rand(8, 8, 3, 3)
for number in 2 * list(range(350)):
    torch.nn.functional.conv2d(torch.rand(16, 8, 16 + number // 20, 16 + number % 20), weight)
"""
"""Convolve pictures of 350 sizes, two times, which takes three kernels for each."""


def compiled_kernels(setup):
    environment = {**os.environ, "ONEDNN_VERBOSE": "profile_create"}
    environment.pop("ONEDNN_PRIMITIVE_CACHE_CAPACITY", None)
    done = subprocess.run(
        [sys.executable, "-c", SIZES.format(setup=setup)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return done.stdout.count("cache_miss")


has_glibc = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "gnu_get_libc_version")


@pytest.mark.skipif(not has_glibc, reason="needs glibc")
def test_freed_memory_is_used_again_without_page_faults():
    setup = "from saliency.allocator import reuse_large_blocks; assert reuse_large_blocks()"
    assert page_faults(setup) < page_faults("") / 10


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: pytest.fail("was loaded"))
    assert memory.reuse_large_blocks() is False


def test_c_library_without_mallopt_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory.sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: object())
    assert memory.reuse_large_blocks() is False


def test_kernels_are_compiled_once():
    forgetful = compiled_kernels("")
    if forgetful == 0:
        pytest.skip("this build of torch has no oneDNN, or it does not tell")
    setup = "from saliency.allocator import keep_kernels; keep_kernels()"
    assert compiled_kernels(setup) <= forgetful / 2 + 2


def test_wish_of_the_environment_is_left_alone(monkeypatch):
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "7")
    memory.keep_kernels()
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "7"
