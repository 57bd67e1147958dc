"""How every verb runs and what it writes to standard error."""

import os
import sys
from collections.abc import Callable

from saliency.errors import SaliencyError

_BUSY_SHARE = 0.4
_INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it


def run_reporting(verb: str, run: Callable[[], int]) -> int:
    """Run a verb; report an error on one line, and return the exit status.

    Returns:
        What `run` returns; 1 after a `SaliencyError`; 130 after Ctrl-C; 1 when the reader of the
        output has closed it (`| head`), and when its disk is full.
    """
    try:
        status = run()
        sys.stdout.flush()
    except SaliencyError as error:
        print(error_line(verb, str(error)), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(error_line(verb, "interrupted"), file=sys.stderr)
        return _INTERRUPTED
    except OSError as error:
        # Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            place = error.filename or "standard output"
            message = f"cannot read or write {place}: {error.strerror or error}"
            print(error_line(verb, message), file=sys.stderr)
        return 1
    return status


def wait_passively(verb: str, threads: int | None, *, remedy: str = "--torch-threads 1") -> None:
    """Prepare a command that trains on a machine that may have other work; before torch is loaded.

    OpenMP's threads wait for each other at every layer. They are set to give up the core while they
    wait; and if the machine is busy already, a warning names the remedy.

    Args:
        verb: of the command.
        threads: number of threads for the network; None for one per core.
        remedy: what makes that one.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    if threads == 1 or cores == 1 or not hasattr(os, "getloadavg"):
        return
    load = os.getloadavg()[0]
    if load > _BUSY_SHARE * cores:
        message = (
            f"saliency {verb}: warning: the machine is busy (load {load:.1f} on {cores} cores): "
            f"with {remedy} a step may take a fraction of the time"
        )
        print(message, file=sys.stderr)


def error_line(verb: str, message: str) -> str:
    """Return an error as one line for standard error."""
    return f"saliency {verb}: error: {' '.join(message.split())}"


def warning_line(verb: str, message: str) -> str:
    """Return a warning as one line for standard error."""
    return f"saliency {verb}: warning: {' '.join(message.split())}"
