"""The form into which every layout is read."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from saliency.fixations.scene import Scene


class Fault(NamedTuple):
    """Something wrong in the files of a data set.

    Attributes:
        kind: by which faults are counted, such as `fixations that are no numbers`.
        message: what was expected, what was found, where, and what to do.
    """

    kind: str
    message: str


MOST_OUTSIDE = 0.05
"""Share of a set's fixations outside of their photos above which something is wrong with them."""


@dataclass(frozen=True)
class MappedPhoto:
    """A photo whose density of fixations is published, but not the fixations.

    Attributes:
        name: unique among all data sets in use: `<dataset>/<file name>`.
        path: the image file.
        density: a grey picture of the photo's size, brighter where people looked more.
        published_part: `train` or `validation`, as the data set's authors split it; None where
            they do not.
    """

    name: str
    path: Path
    density: Path
    published_part: str | None = None


@dataclass(frozen=True)
class Dataset:
    """The scenes of one data set, in the order of its files.

    Attributes:
        name: of the data set; every scene's name starts with it.
        scenes: photos with at least one fixation each.
        clipped_count: fixations that lay just outside their photo and were moved to its border.
        unseen: file names of the photos that no observer fixated; they are not among the scenes.
        mapped: photos with a density only: they can be learned from, but neither validated nor
            scored on, as every score needs fixations.
        excluded_count: fixations left out: blinks, NaN, outside the photo, on a filled-up border.
        faults: what is wrong with the files; everything else was read.
    """

    name: str
    scenes: tuple[Scene, ...]
    clipped_count: int
    unseen: tuple[str, ...] = ()
    excluded_count: int = 0
    mapped: tuple[MappedPhoto, ...] = ()
    faults: tuple[Fault, ...] = ()

    def describe(self) -> str:
        """Return one line for the log: counts, and fixations moved or left out."""
        fixations = sum(len(scene.fixations) for scene in self.scenes)
        observers = {int(number) for scene in self.scenes for number in set(scene.observers)}
        line = (
            f"{self.name}: {len(self.scenes)} images, {fixations} fixations, "
            f"{len(observers)} observers"
        )
        if self.mapped:
            line += f"; {len(self.mapped)} images with density maps only, to learn from"
        published = Counter(scene.published_part for scene in self.scenes)
        published.update(photo.published_part for photo in self.mapped)
        if published["train"] + published["validation"]:
            line += f"; published parts: {published['train']} to train on, "
            line += f"{published['validation']} for validation"
        if self.clipped_count:
            line += f"; {self.clipped_count} fixations just outside moved to the border"
        if self.excluded_count:
            line += f"; {self.excluded_count} fixations outside the photo or not a number left out"
        if self.unseen:
            line += f"; {len(self.unseen)} images without fixations left out ({self.unseen[0]}, …)"
        return line
