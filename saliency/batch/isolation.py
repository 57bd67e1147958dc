"""Crop photos in a process of its own: a photo that ends the process ends nothing else."""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from saliency.batch.cropper import Cropper
from saliency.batch.listing import ListedPhoto
from saliency.batch.workers import PhotoOutcome, crop_planned
from saliency.errors import SaliencyError, first_line
from saliency.quiet import quiet_libraries

ATTEMPTS = 2
"""How often a photo may end the process before it is given up."""


class IsolatedCropper:
    """A cropper in another process, which is started again when a photo ends it.

    The process ends when this one does, whatever ends it: it reads jobs from a pipe.
    """

    def __init__(self, make_cropper: Callable[[], Cropper], *, folder: Path | None = None) -> None:
        """Start the process.

        Args:
            make_cropper: makes the cropper there; it can be pickled.
            folder: in which the process works, which relative names are relative to.

        Raises:
            SaliencyError: no cropper can be made, say because the model is missing.
        """
        self._make_cropper, self._folder = pickle.dumps(make_cropper), folder
        self._process = self._started()

    def crop(self, photo: ListedPhoto, data: bytes | None = None) -> PhotoOutcome:
        """Crop a photo into the files that are named after it; no other photo may have them.

        Args:
            photo: the photo; if it ends the process `ATTEMPTS` times, it has failed.
            data: content of its file; None to read it.
        """
        for _ in range(ATTEMPTS):
            try:
                outcome = self._ask(pickle.dumps((photo, data)))
            except (EOFError, OSError, pickle.UnpicklingError):
                reason = self._ended()
                self._process = self._started()
                continue
            assert isinstance(outcome, PhotoOutcome)
            return outcome
        error = (
            f"cannot crop {photo.path}: it ended the process that cropped it {ATTEMPTS} times "
            f"({reason}); look at this photo with another program, or leave it out"
        )
        return PhotoOutcome(photo, error=error)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._ended()

    def _started(self) -> "subprocess.Popen[bytes]":
        """Start a process and wait until it has its cropper."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "saliency.batch.isolation"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self._folder,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        try:
            refused = self._ask(self._make_cropper)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise SaliencyError(
                f"the process that crops photos ended when it started ({self._ended()}); crop one "
                "photo without --cluster on that machine to see why"
            ) from error
        if refused is not None:
            self.close()
            raise SaliencyError(refused)
        return self._process

    def _ask(self, message: bytes) -> Any:
        """Send a pickled object to the process and return what it answers."""
        reader, writer = self._process.stdout, self._process.stdin
        assert reader is not None
        assert writer is not None
        writer.write(message)
        writer.flush()
        return pickle.load(reader)

    def _ended(self) -> str:
        """Close the pipes of a process that has ended, and return how it ended."""
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        status = self._process.wait()
        if status >= 0:
            return f"exit status {status}"
        with suppress(ValueError):
            return signal.Signals(-status).name
        return f"signal {-status}"


def serve_jobs(jobs: BinaryIO, answers: BinaryIO) -> None:
    """Make a cropper, and crop by it as long as there are jobs; all of them are pickled.

    Args:
        jobs: first what makes the cropper, then pairs of a photo and its content or None.
        answers: first None, or why there is no cropper; then an outcome for each job.
    """

    def answer(message: object) -> None:
        answers.write(pickle.dumps(message))
        answers.flush()

    try:
        cropper: Cropper = pickle.load(jobs)()
    except (SaliencyError, OSError, MemoryError) as error:
        answer(first_line(error))
        return
    answer(None)
    with suppress(EOFError):
        while True:
            photo, data = pickle.load(jobs)
            answer(crop_planned(cropper, cropper.name_files(photo, data), data))


def main() -> None:
    """Serve the process that started this one."""
    jobs, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with Path(os.devnull).open("r+b") as nowhere:  # libraries may print
        os.dup2(nowhere.fileno(), 0)
        os.dup2(nowhere.fileno(), 1)
    with quiet_libraries(single_threaded=True), suppress(KeyboardInterrupt, BrokenPipeError):
        serve_jobs(jobs, answers)


if __name__ == "__main__":
    main()
