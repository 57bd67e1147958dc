"""How long the parts of a job take."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up the milliseconds of each named part.

    Attributes:
        parts_ms: milliseconds of each part, in the order in which the parts first ran.
    """

    def __init__(self) -> None:
        """Start without parts."""
        self.parts_ms: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time that the block takes to a part."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent_ms = (time.perf_counter() - start) * 1000
            self.parts_ms[name] = self.parts_ms.get(name, 0.0) + spent_ms
