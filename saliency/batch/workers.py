"""Crop many photos in one process, several at a time, and report on them in their order."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from saliency.batch.cropper import Cropper
from saliency.batch.listing import ListedPhoto
from saliency.cropping.report import CropReport
from saliency.errors import SaliencyError, first_line

_AHEAD = 2  # photos given to each worker before the oldest one is waited for


@dataclass(frozen=True)
class PhotoOutcome:
    """The result for a photo: a report, an error, or neither if all its crops existed."""

    photo: ListedPhoto
    report: CropReport | None = None
    error: str | None = None


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

    def crop() -> PhotoOutcome:
        try:
            return PhotoOutcome(photo, None if plan.is_done else cropper.crop(plan))
        except SaliencyError as error:
            return PhotoOutcome(photo, error=str(error))
        except (OSError, MemoryError) as error:  # a fault of one photo must not end the others
            return PhotoOutcome(photo, error=f"cannot crop {photo.path}: {first_line(error)}")

    return crop
