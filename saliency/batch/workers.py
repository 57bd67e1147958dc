"""Crop many photos in one process, several at a time, and report on them in their order."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from saliency.batch.cropper import Cropper
from saliency.batch.listing import ListedPhoto
from saliency.batch.plan import Plan
from saliency.cropping.report import CropReport
from saliency.errors import OutputError, SaliencyError, first_line

_AHEAD = 2  # photos given to each worker before the oldest one is waited for


@dataclass(frozen=True)
class PhotoOutcome:
    """The result for a photo: a report, an error, or neither if all its crops existed.

    Attributes:
        photo: the photo.
        report: what was done.
        error: why nothing was done.
        is_local: the error may be of this machine, not of the photo: its disk or memory was full.
    """

    photo: ListedPhoto
    report: CropReport | None = None
    error: str | None = None
    is_local: bool = False


def crop_all(
    cropper: Cropper, photos: Sequence[ListedPhoto], *, worker_count: int
) -> Iterator[PhotoOutcome]:
    """Crop photos and yield the result for each, in their order.

    Decoding, prediction and encoding run outside of Python's lock, so threads share the work. When
    the caller stops (Ctrl-C), photos that were begun are finished and no other is begun.
    """
    if worker_count == 1:
        yield from (_named(cropper, photo)() for photo in photos)
        return
    from concurrent.futures import Future, ThreadPoolExecutor  # noqa: PLC0415  slow

    waiting: deque[Future[PhotoOutcome]] = deque()
    pool = ThreadPoolExecutor(worker_count)
    try:
        for photo in photos:
            waiting.append(pool.submit(_named(cropper, photo)))
            if len(waiting) >= _AHEAD * worker_count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _named(cropper: Cropper, photo: ListedPhoto) -> Callable[[], PhotoOutcome]:
    """Name a photo's crops at once, so that names do not depend on timing; return its job."""
    try:
        plan = cropper.plan(photo)
    except SaliencyError as error:
        failed = PhotoOutcome(photo, error=str(error))
        return lambda: failed

    return lambda: crop_planned(cropper, plan)


def crop_planned(cropper: Cropper, plan: Plan, data: bytes | None = None) -> PhotoOutcome:
    """Crop a photo, unless that is done; return its report, or its fault.

    Args:
        cropper: crops it.
        plan: of the photo.
        data: content of its file; None to read it.
    """
    photo = plan.photo
    try:
        return PhotoOutcome(photo, None if plan.is_done else cropper.crop(plan, data))
    except SaliencyError as error:
        is_local = isinstance(error, OutputError)
        return PhotoOutcome(photo, error=str(error), is_local=is_local)
    except (OSError, MemoryError) as error:  # a fault of one photo must not end the others
        reason = f"cannot crop {photo.path}: {first_line(error)}"
        return PhotoOutcome(photo, error=reason, is_local=True)
