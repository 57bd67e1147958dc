"""Crop photos for requests: a bounded pool of threads, each model loaded once."""

import asyncio
import base64
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from saliency.cropping.analysis import Analysis
from saliency.cropping.photo_cropper import PhotoCropper
from saliency.cropping.report import CropReport
from saliency.cropping.stopwatch import Stopwatch
from saliency.errors import PhotoError, SaliencyError
from saliency.memory import keep_freed_memory
from saliency.photo.formats import HEAD_BYTES, CropFormat, crop_format, photo_format, register_heif
from saliency.prediction.predictor import Predictor
from saliency.service.errors import RequestError
from saliency.service.options import ServiceOptions
from saliency.service.query import CropQuery

Result = TypeVar("Result")

PHOTO = Path("photo")
"""What a photo is called in messages."""


@dataclass(frozen=True)
class ServedCrop:
    """A crop for a request.

    Attributes:
        report: what was chosen, as JSON.
        data: the file of the crop; None where JSON was asked for, and for a skipped photo.
        as_format: its format.
    """

    report: dict[str, Any]
    data: bytes | None
    as_format: CropFormat


class PhotoWork:
    """Crops photos in a bounded number of threads; more than may wait are refused."""

    def __init__(self, options: ServiceOptions, worker_count: int) -> None:
        """Load the model.

        Raises:
            SaliencyError: the model cannot be loaded.
        """
        self._options, self._room = options, worker_count + options.queue
        self._pool = ThreadPoolExecutor(worker_count, thread_name_prefix="crop")
        self._taken, self._lock = 0, threading.Lock()
        self._models: dict[str, Predictor] = {}
        self._predictor(None)
        keep_freed_memory()

    @property
    def taken(self) -> int:
        """How many photos are in work or wait."""
        return self._taken

    def close(self) -> None:
        """Finish the photos in work."""
        self._pool.shutdown(cancel_futures=True)

    async def run(self, job: Callable[[], Result]) -> Result:
        """Do a job in one of the threads.

        Raises:
            RequestError: too many wait already (503), or the job takes too long (422); a job that
                takes too long keeps its place until it ends.
        """
        if self._taken >= self._room:
            raise RequestError(503, "too many photos are waiting; try again", retry_after=1)
        self._taken += 1
        started = asyncio.Event()
        loop = asyncio.get_running_loop()

        def begin() -> Result:
            loop.call_soon_threadsafe(started.set)
            return job()

        future = self._pool.submit(begin)
        future.add_done_callback(lambda _: self._leave(loop))
        result = asyncio.wrap_future(future)
        begun: list[asyncio.Future[Any]] = [asyncio.ensure_future(started.wait()), result]
        try:
            await asyncio.wait(begun, return_when="FIRST_COMPLETED")
            return await asyncio.wait_for(asyncio.shield(result), self._options.max_seconds)
        except TimeoutError as error:
            _forget(result)
            message = f"the photo takes more than {self._options.max_seconds} seconds; shrink it"
            raise RequestError(422, message) from error

    def _leave(self, loop: asyncio.AbstractEventLoop) -> None:
        """Note that a job has ended."""

        def leave() -> None:
            self._taken -= 1

        with suppress(RuntimeError):  # the loop is closed: the service has ended
            loop.call_soon_threadsafe(leave)

    def crop(self, data: bytes, query: CropQuery, *, as_image: bool) -> ServedCrop:
        """Crop a photo, in the calling thread.

        Args:
            data: the photo's file.
            query: what is wanted.
            as_image: cut the crop of the only ratio, instead of choosing windows alone.

        Raises:
            RequestError: the photo is over a limit (413) or cannot be cropped (422).
        """
        self._check_limits(data)
        try:
            return self._cropped(data, query, as_image=as_image)
        except PhotoError as error:
            raise RequestError(422, str(error)) from error
        except SaliencyError as error:
            raise RequestError(500, str(error)) from error
        except (OSError, ValueError, MemoryError) as error:
            raise RequestError(422, f"the photo cannot be cropped: {error}") from error

    def _cropped(self, data: bytes, query: CropQuery, *, as_image: bool) -> ServedCrop:
        """Look, choose, and cut if wanted."""
        cropper = PhotoCropper(self._predictor(query.model), query.crops)
        clock = Stopwatch()
        seen = cropper.look(data, PHOTO, clock)
        choices = cropper.choose(seen)
        cutter = cropper.cutter(seen, choices, clock)
        crop = None
        if as_image and choices[0].outcome != "skipped":
            crop = cutter.cut(choices[0])
        report = CropReport.of(seen, choices, clock, warnings=cutter.warnings)
        shown = report.to_json(status="cropped" if as_image else "analysed", has_timing=True)
        if query.has_density:
            shown["density"] = density_json(seen)
        return ServedCrop(shown, crop, query.crops.as_format or crop_format(seen.photo.format))

    def _predictor(self, name: str | None) -> Predictor:
        """Return a model by its name, loaded once; None for the service's own."""
        wanted = name or self._options.model
        with self._lock:
            if wanted not in self._models:
                self._models[wanted] = Predictor(wanted, threads=1)
            return self._models[wanted]

    def _check_limits(self, data: bytes) -> None:
        """Refuse a photo with too many pixels or frames, by its header."""
        options = self._options
        pixels, frames = _pixels_and_frames(data)
        if pixels * frames > options.max_pixels:
            raise RequestError(413, f"expected at most {options.max_pixels} pixels, shrink it")
        if frames > options.max_frames:
            raise RequestError(413, f"expected at most {options.max_frames} frames, got {frames}")


def _pixels_and_frames(data: bytes) -> tuple[int, int]:
    """Return the pixels of a photo and its frames, by its header; 0 where decoding has to tell."""
    try:
        if photo_format(data[:HEAD_BYTES]) == "HEIF":
            register_heif()
        with Image.open(BytesIO(data)) as image:
            return image.width * image.height, getattr(image, "n_frames", 1)
    except Exception:
        return 0, 0


def _forget(result: "asyncio.Future[Any] | Future[Any]") -> None:
    """Let nobody complain of a result that is not waited for."""
    result.add_done_callback(lambda done: done.cancelled() or done.exception())


def density_json(seen: Analysis) -> dict[str, Any]:
    """Return the density over a photo's picture as a grey PNG; 255 is its peak."""
    levels = np.asarray(seen.density / seen.density.max() * 255, dtype=np.uint8)
    return {
        "width": int(levels.shape[1]),
        "height": int(levels.shape[0]),
        "png": base64.b64encode(_png(levels)).decode("ascii"),
    }


def _png(levels: NDArray[np.uint8]) -> bytes:
    """Return levels as a PNG."""
    buffer = BytesIO()
    Image.fromarray(levels).save(buffer, "png")
    return buffer.getvalue()
