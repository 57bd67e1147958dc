"""The service in a process of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUN = "from saliency.commands import main; raise SystemExit(main())"


@contextmanager
def running_service(*options: str, verb: str = "serve") -> Iterator[str]:
    """Yield the address of `saliency serve`, which is stopped at the end and has to exit with 0."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, verb, "--port", "0", *options],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    try:
        yield process.stderr.readline().split()[-1]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    assert process.returncode == 0
