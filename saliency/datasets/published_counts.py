"""The published counts of data sets, for comparison with the files."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Expected:
    """Counts of a published set; None if no source states it.

    Attributes:
        images: with published fixations.
        observers: in the whole set.
    """

    images: int | None = None
    observers: int | None = None


EXPECTED = {
    "cat2000": Expected(images=2000),
    "coco-freeview": Expected(images=3714 + 603, observers=10),
    "coco-search18": Expected(observers=10),
    "dut-omron": Expected(images=5168, observers=5),
    "eyecrowd": Expected(images=500, observers=16),
    "figrim": Expected(images=630 + 2157),
    "mit1003": Expected(images=1003, observers=15),
    "osie": Expected(images=700, observers=15),
    "pascal-s": Expected(images=850),
    "salicon": Expected(images=15_000),
    "toronto": Expected(images=120),
}
"""By layout. In CAT2000 and Toronto the fixations of all observers are published as one.

COCO-FreeView's images are those for training and validation, which pysaliency's tests count; those
for testing are kept secret. FIGRIM's are targets and fillers.
"""
