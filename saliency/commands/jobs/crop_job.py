"""The work of `saliency crop` once its command line is parsed."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saliency.batch.contact_sheet import Cell, draw_sheets, encode_sheet, make_cell, page_name
from saliency.batch.cropper import Cropper
from saliency.batch.decisions import Decisions
from saliency.batch.listing import ListedPhoto, find_photos, read_list, write_list
from saliency.batch.naming import CANDIDATE_PATTERN, DEFAULT_PATTERN, names_candidates
from saliency.batch.options import BatchOptions
from saliency.batch.workers import PhotoOutcome, crop_all
from saliency.commands.arguments.aspects import crop_options
from saliency.commands.arguments.fields import record_of
from saliency.commands.jobs.reporting import error_line, warning_line
from saliency.cropping.options import CropOptions
from saliency.cropping.report import brief_json, json_line, printable
from saliency.errors import DecisionsError, OutputError, PhotoError
from saliency.files import check_writable, write_whole
from saliency.prediction.predictor import Predictor
from saliency.quiet import quiet_libraries

_STDIN = Path("standard input")


def crop_stream(options: argparse.Namespace) -> int:
    """Crop the photo on standard input and write its crop to standard output."""
    with quiet_libraries():
        data = sys.stdin.buffer.read()
        if not data:
            raise PhotoError("expected a photo on standard input, got nothing")
        wanted = read_options(options)
        ahead = _decodes_ahead(options, wanted[0])
        predictor = Predictor(options.model, threads=1 if ahead else options.threads)
        cropper = Cropper(predictor, *wanted, decode_ahead=ahead)
        report, crops = cropper.crop_data(data, _STDIN)
    for text in report.warnings:
        print(warning_line("crop", f"{_STDIN}: {text}"), file=sys.stderr)
    if options.timing:
        print(f"saliency crop: timing: {report.timing_line()}", file=sys.stderr)
    if options.is_dry:
        shown = report.to_json(status="analysed", has_timing=options.timing)
        print(json_line(shown) if options.json else report.to_text())
        return 0
    if not crops:
        raise PhotoError(f"no crop of {_STDIN}: {report.choices[0].reason}")
    sys.stdout.buffer.write(crops[0])
    return 0


def _decodes_ahead(options: argparse.Namespace, crops: CropOptions) -> bool:
    """Return whether a photo that is cropped alone is decoded by one core while another looks."""
    is_free = (os.cpu_count() or 1) > 1 and options.threads is None and options.workers != 1
    return is_free and not options.is_dry and crops.needs_all_pixels


def crop_files(options: argparse.Namespace) -> int:
    """Crop every photo, and continue after those that fail."""
    photos = list_photos(options, name_photos(options))
    wanted = read_options(options)
    check_lists(options, photos)
    decisions = read_decisions(options, photos)
    workers = min(options.workers or os.cpu_count() or 1, max(len(photos), 1))
    ahead = workers == 1 and _decodes_ahead(options, wanted[0])
    threads = options.threads or (1 if workers > 1 or ahead else None)
    with quiet_libraries(single_threaded=workers > 1):
        predictor = Predictor(options.model, threads=threads)
        cropper = Cropper(predictor, *wanted, photos, decode_ahead=ahead, decisions=decisions)
        outcomes = crop_all(cropper, photos, worker_count=workers)
        return report_all(outcomes, options, photo_count=len(photos))


def report_all(
    outcomes: Iterable[PhotoOutcome],
    options: argparse.Namespace,
    *,
    photo_count: int | None = None,
    keep: Callable[[PhotoOutcome, dict[str, Any]], None] | None = None,
) -> int:
    """Report on photos as they are done, write lists and sheets, and return the exit status.

    Args:
        outcomes: of the photos.
        options: of the command line.
        photo_count: how many there will be, if that is known.
        keep: is given each outcome with its JSON.
    """
    summary = _Summary()
    try:
        with _progress_bar(photo_count) as bar:
            emit: Callable[..., None] = print if bar is None else bar.write
            for outcome in outcomes:
                summary.add(outcome, has_cells=options.contact_sheet is not None)
                if keep is not None:
                    keep(outcome, to_json(outcome, options))
                _show(outcome, options, emit)
                if bar is not None:
                    bar.update()
    finally:
        if options.rejects is not None:
            listed = write_list(summary.rejects, is_null_separated=options.null)
            write_whole(listed, options.rejects, overwrite=_may_replace(options))
    if options.contact_sheet is not None:
        _write_sheets(summary.cells, options)
    if options.timing:
        summary.show_timing()
    return 1 if summary.rejects else 0


@dataclass
class _Summary:
    """What is reported when all photos are done."""

    rejects: list[Path] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    parts_ms: dict[str, list[float]] = field(default_factory=dict)

    def add(self, outcome: PhotoOutcome, *, has_cells: bool) -> None:
        """Count a photo."""
        if outcome.error is not None:
            self.rejects.append(outcome.photo.path)
        if outcome.report is None:
            return
        if has_cells:
            self.cells.append(make_cell(outcome.report))
        for name, spent_ms in outcome.report.timing_ms.items():
            self.parts_ms.setdefault(name, []).append(spent_ms)

    def show_timing(self) -> None:
        """Print the mean times, if there were several photos."""
        means = {name: sum(spent) / len(spent) for name, spent in self.parts_ms.items()}
        if max((len(spent) for spent in self.parts_ms.values()), default=0) > 1:
            parts = ", ".join(f"{name} {mean:.1f} ms" for name, mean in means.items())
            print(f"saliency crop: timing: mean of all photos: {parts}", file=sys.stderr)


def name_photos(options: argparse.Namespace) -> list[Path]:
    """Return the photos and folders that the options name, with those of a list."""
    paths = list(options.photos)
    if options.from_file is not None:
        paths += read_list(_read_list_file(options.from_file), is_null_separated=options.null)
    return paths


def list_photos(options: argparse.Namespace, paths: Sequence[Path]) -> list[ListedPhoto]:
    """Return the photos to crop, each once: those named, and those in the folders named."""
    found = find_photos(
        paths,
        list(options.aspect),
        is_recursive=options.recursive,
        output_dir=options.output_dir,
        contact_sheet=options.contact_sheet,
    )
    return list({photo.path: photo for photo in found}.values())


def read_decisions(options: argparse.Namespace, photos: Sequence[ListedPhoto]) -> Decisions | None:
    """Return the decisions that crops are to follow, None without.

    Raises:
        DecisionsError: the file cannot be used, or is about other photos.
    """
    if options.decisions is None:
        return None
    decisions = Decisions.read(options.decisions)
    if not decisions.names & {photo.path.name for photo in photos}:
        raise DecisionsError(
            f"{options.decisions} decides on none of these photos; give the folder that was "
            "reviewed"
        )
    return decisions


def _read_list_file(name: str) -> bytes:
    """Return the content of a list of photos."""
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PhotoError(f"cannot read the list {name}: {reason}") from error


def read_options(options: argparse.Namespace) -> tuple[CropOptions, BatchOptions]:
    """Return the options of a command line as those of crops and those of the run."""
    pattern = options.pattern or DEFAULT_PATTERN
    if options.pattern is None and (options.candidates or 1) > 1:
        pattern = CANDIDATE_PATTERN
    is_listed = options.json or options.results is not None
    crops = crop_options(options, has_alternatives=is_listed or names_candidates(pattern))
    has_preview = options.contact_sheet is not None
    return crops, record_of(BatchOptions, options, pattern=pattern, has_preview=has_preview)


def to_json(outcome: PhotoOutcome, options: argparse.Namespace) -> dict[str, Any]:
    """Return the result for a photo as JSON."""
    path, report = outcome.photo.path, outcome.report
    if outcome.error is not None:
        return brief_json(path, "failed", outcome.error)
    if report is None:
        return brief_json(path, "present")
    status = "analysed" if options.is_dry else "cropped"
    return report.to_json(status=status, has_timing=options.timing)


def _show(outcome: PhotoOutcome, options: argparse.Namespace, emit: Callable[..., None]) -> None:
    """Print the result for a photo."""
    path, report = outcome.photo.path, outcome.report
    if outcome.error is not None:
        message = outcome.error.replace(str(path), printable(path))
        emit(error_line("crop", message), file=sys.stderr)
    if options.json:
        emit(json_line(to_json(outcome, options)), file=sys.stdout)
    elif report is not None:
        emit(report.to_text(), file=sys.stdout)
    if report is not None:
        for text in report.warnings:
            emit(warning_line("crop", f"{printable(path)}: {text}"), file=sys.stderr)
        if options.timing:
            emit(f"saliency crop: timing: {report.timing_line()}", file=sys.stderr)
    sys.stdout.flush()  # a reader of a pipe sees each photo when it is done


def check_lists(options: argparse.Namespace, photos: Sequence[ListedPhoto]) -> None:
    """Refuse at the start a list or a sheet that cannot be written, or that is a photo."""
    for file in (options.rejects, options.contact_sheet):
        if file is None:
            continue
        if any(file.resolve() == photo.path.resolve() for photo in photos):
            raise OutputError(f"expected another file than a photo that is cropped, got {file}")
        check_writable(file, overwrite=_may_replace(options))


def _may_replace(options: argparse.Namespace) -> bool:
    """Return whether lists and sheets of an earlier run may be replaced."""
    return bool(options.overwrite or options.resume)


def _write_sheets(cells: Sequence[Cell], options: argparse.Namespace) -> None:
    """Write the pages of the contact sheet."""
    for number, page in enumerate(draw_sheets(list(cells)), start=1):
        file = page_name(options.contact_sheet, number)
        write_whole(encode_sheet(page, file), file, overwrite=_may_replace(options))


def _progress_bar(photo_count: int | None) -> AbstractContextManager[Any]:
    """Return a progress bar if a person waits for several photos, and None otherwise."""
    if photo_count in (0, 1) or not sys.stderr.isatty():
        return nullcontext()
    from tqdm import tqdm  # noqa: PLC0415  not for one photo

    return tqdm(total=photo_count, unit="photo", file=sys.stderr, leave=False)
