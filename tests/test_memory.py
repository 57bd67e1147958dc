"""What `saliency.memory` asks of the C library and of oneDNN; a benchmark measures the effect."""

import os

import pytest

from saliency import memory


@pytest.fixture
def mallopt_calls(monkeypatch):
    calls = []

    class Library:
        @staticmethod
        def mallopt(parameter, value):
            calls.append((parameter, value))
            return 1

    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: Library)
    return calls


def test_crops_keep_up_to_64_mb_in_blocks_of_up_to_32(mallopt_calls):
    memory.keep_freed_memory()
    assert sorted(mallopt_calls) == [(-3, 32 << 20), (-1, 64 << 20)]


def test_training_maps_no_block_and_trims_nothing(mallopt_calls, monkeypatch):
    monkeypatch.setattr(memory.sys, "platform", "linux")
    assert memory.reuse_large_blocks() is True
    assert sorted(mallopt_calls) == [(-4, 0), (-1, 2**31 - 1)]


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: pytest.fail("was loaded"))
    assert memory.reuse_large_blocks() is False


def test_c_library_without_mallopt_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory.sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: object())
    memory.keep_freed_memory()
    assert memory.reuse_large_blocks() is False


def test_kernels_are_kept_unless_the_environment_says_otherwise(monkeypatch):
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    memory.keep_kernels()
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "16384"
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "7")
    memory.keep_kernels()
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "7"
