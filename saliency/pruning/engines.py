"""The engines whose time is measured."""

import importlib
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import onnx
import onnxruntime

from saliency.errors import LatencyTableError

Inputs = dict[str, np.ndarray]


@runtime_checkable
class Engine(Protocol):
    """Something that runs ONNX graphs."""

    name: str
    version: str
    device: str
    threads: int

    def prepare(self, model: onnx.ModelProto, inputs: Inputs) -> Callable[[], object]:
        """Return what runs the graph once on these inputs, and returns when it is done."""

    def clock_ns(self) -> int:
        """Return the time that is measured, in nanoseconds from any origin."""


class OnnxRuntimeEngine:
    """ONNX Runtime on the processor.

    With one thread the clock counts the time that this thread had the processor, not what other
    programs took in between: the same on an idle machine, and far steadier on a busy one.
    """

    name = "onnxruntime"
    version: str = onnxruntime.__version__

    def __init__(self, *, threads: int = 1) -> None:
        """Use as many threads of the processor; `ValueError` below 1."""
        self.threads = _checked(threads)
        self.device = processor_name()

    def prepare(self, model: onnx.ModelProto, inputs: Inputs) -> Callable[[], object]:
        """Return what runs the graph once on these inputs."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = self.threads
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return lambda: session.run(None, inputs)

    def clock_ns(self) -> int:
        """Return the time that the thread was running, or, with several, that passed."""
        return time.thread_time_ns() if self.threads == 1 else time.perf_counter_ns()


class OpenVinoEngine:
    """OpenVINO on the processor, where it is installed."""

    name = "openvino"

    def __init__(self, *, threads: int = 1) -> None:
        """Use as many threads of the processor.

        Raises:
            LatencyTableError: OpenVINO is not installed.
            ValueError: below 1 thread.
        """
        self.threads = _checked(threads)
        try:
            self._openvino: Any = importlib.import_module("openvino")
        except ImportError as error:
            raise LatencyTableError(
                "the engine openvino is not installed; `pip install openvino`"
            ) from error
        self.version = str(self._openvino.__version__)
        self.device = processor_name()

    def prepare(self, model: onnx.ModelProto, inputs: Inputs) -> Callable[[], object]:
        """Return what runs the graph once on these inputs."""
        core = self._openvino.Core()
        options = {
            "INFERENCE_NUM_THREADS": self.threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
        }
        graph = core.read_model(model.SerializeToString())
        request = core.compile_model(graph, "CPU", options).create_infer_request()
        return lambda: request.infer(inputs)

    def clock_ns(self) -> int:
        """Return the time that passed: OpenVINO computes in threads of its own."""
        return time.perf_counter_ns()


def processor_name() -> str:
    """Return the name of the processor's model."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _checked(threads: int) -> int:
    if threads < 1:
        raise ValueError(f"expected at least 1 thread, got {threads}")
    return threads
