import time

import pytest

from saliency.cropping.stopwatch import Stopwatch


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets, in seconds."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def test_parts_are_summed_up_in_the_order_first_met(clock):
    watch = Stopwatch()
    for name, spent in (("decode", 0.5), ("network", 0.25), ("decode", 1.0)):
        with watch.part(name):
            clock[0] += spent
    assert list(watch.parts_ms.items()) == [("decode", 1500.0), ("network", 250.0)]


def test_part_that_fails_counts(clock):
    watch = Stopwatch()

    def fail():
        with watch.part("decode"):
            clock[0] += 2.0
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert watch.parts_ms == {"decode": 2000.0}
