"""What a run over many photos writes, where, and under which names."""

from dataclasses import dataclass
from pathlib import Path

from saliency.batch.naming import DEFAULT_PATTERN


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """What is written for each photo, where, and what happens to files that exist.

    Attributes:
        output_dir: folder for the crops; None for each photo's own.
        pattern: names the crops (`naming`); where it numbers candidates, each has a crop.
        overlay: write a picture of the density and the windows too.
        overwrite: replace files that exist.
        resume: leave crops that exist as they are, and make those that are missing (of
            several candidates: `Plan.is_done`).
        is_dry: choose the windows and write nothing.
        has_preview: keep a small picture of each photo in its report.
    """

    output_dir: Path | None = None
    pattern: str = DEFAULT_PATTERN
    overlay: bool = False
    overwrite: bool = False
    resume: bool = False
    is_dry: bool = False
    has_preview: bool = False
