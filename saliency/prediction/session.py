"""Models in ONNX Runtime, on the processor."""

import os
from pathlib import Path
from typing import Any

from saliency.errors import CheckpointError, first_line

_MOST_THREADS = 4


def thread_count(threads: int | None) -> int:
    """Return how many threads a model runs on: as many as asked for, or one per core, at most 4.

    Raises:
        ValueError: fewer than one is asked for.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"expected at least 1 thread, got {threads}")
    return threads or min(_usable_cores(), _MOST_THREADS)


def start_session(content: bytes, path: Path, *, threads: int) -> Any:
    """Return a session of ONNX Runtime.

    Args:
        content: of the model's file.
        path: of the file, for messages.
        threads: how many threads it runs on.

    Raises:
        CheckpointError: ONNX Runtime refuses the model.
    """
    import onnxruntime  # noqa: PLC0415  slow, and wanted only here

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    # Threads that spin between the layers share a prediction best. Not for long, as on a busy
    # machine that takes the core from the thread waited for; nor after it, when decoding and
    # encoding want the cores.
    options.add_session_config_entry("session.intra_op.spin_duration_us", "50")
    options.add_session_config_entry("session.intra_op.spin_backoff_max", "16")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # Always a number: without one each thread is bound to a core, and has to wait where the thread
    # that asks for the prediction runs on the same one.
    options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exception classes are not public and derive from Exception
        if path.suffix == ".safetensors":
            raise CheckpointError(
                f"{path} is to train on from; `saliency export` makes an .onnx file of it"
            ) from error
        raise CheckpointError(
            f"expected an ONNX model, ONNX Runtime refuses {path}: {first_line(error)}"
        ) from error


def _usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
