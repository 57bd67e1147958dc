"""The engines in which networks are timed."""

import importlib
import platform
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import onnx
import onnxruntime
import torch
from onnx2torch import convert

from saliency.errors import LatencyTableError
from saliency.pruning.latency.quantization import quantize

Inputs = dict[str, np.ndarray]

_PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}  # as OpenVINO calls them


@runtime_checkable
class Engine(Protocol):
    """Something that runs ONNX graphs."""

    name: str
    version: str
    device: str
    threads: int
    dtype: str

    def prepare(self, model: onnx.ModelProto, inputs: Inputs) -> Callable[[], object]:
        """Return what runs the graph once on these inputs, and returns when it is done."""

    def clock_ns(self) -> int:
        """Return the time that is measured, in nanoseconds from any origin."""


class OnnxRuntimeEngine:
    """ONNX Runtime on the processor.

    With one thread the clock counts the processor time of this thread, without that of other
    programs: it is the same on an idle machine, and far steadier on a busy one.
    """

    name = "onnxruntime"
    dtype = "float32"
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


class QuantizedEngine(OnnxRuntimeEngine):
    """ONNX Runtime on the processor, with convolutions in 8-bit integers (`quantize`)."""

    name = "onnxruntime-int8"
    dtype = "int8"

    def prepare(self, model: onnx.ModelProto, inputs: Inputs) -> Callable[[], object]:
        """Return what runs the quantized graph once on these inputs."""
        return super().prepare(quantize(model, [inputs]), inputs)


class OpenVinoEngine:
    """OpenVINO on the processor, where it is installed.

    Attributes:
        name: `openvino`, in bfloat16 `openvino-bfloat16`.
        dtype: type of the numbers inside the network; weights, inputs and outputs stay float32.
    """

    def __init__(self, *, threads: int = 1, dtype: str = "float32") -> None:
        """Use as many threads of the processor.

        Raises:
            LatencyTableError: OpenVINO is not installed, or the processor lacks bfloat16.
            ValueError: below 1 thread.
        """
        self.threads, self.dtype = _checked(threads), dtype
        self.name = "openvino" if dtype == "float32" else f"openvino-{dtype}"
        try:
            self._openvino: Any = importlib.import_module("openvino")
        except ImportError as error:
            raise LatencyTableError(
                "the engine openvino is not installed; `pip install openvino`"
            ) from error
        self.version = str(self._openvino.__version__)
        self.device = processor_name()
        precisions = self._openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if dtype == "bfloat16" and "BF16" not in precisions:
            raise LatencyTableError(f"{self.device} does not compute in {dtype}; use openvino")

    def prepare(self, model: onnx.ModelProto, inputs: Inputs) -> Callable[[], object]:
        """Return what runs the graph once on these inputs."""
        core = self._openvino.Core()
        options = {
            "INFERENCE_NUM_THREADS": self.threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": _PRECISIONS[self.dtype],
        }
        graph = core.read_model(model.SerializeToString())
        request = core.compile_model(graph, "CPU", options).create_infer_request()
        return lambda: request.infer(inputs)

    def clock_ns(self) -> int:
        """Return the time that passed: OpenVINO computes in threads of its own."""
        return time.perf_counter_ns()


class TorchEngine:
    """torch, on the processor or a GPU, running the graph eagerly in inference mode.

    Graphs become modules through onnx2torch. The device is used as the caller's torch uses it. On a
    GPU a run begins and ends with an idle device, so the time between is what a caller waits for,
    with the launch of the kernels, which events on the stream would leave out where it is hidden.
    """

    name = "torch"
    dtype = "float32"
    version: str = torch.__version__

    def __init__(self, *, threads: int = 1, device: str = "cpu") -> None:
        """Use as many threads of the processor, or a device such as `cuda`.

        Raises:
            ValueError: below 1 thread.
            LatencyTableError: there is no such device here.
        """
        self.threads = _checked(threads)
        try:
            self._device = torch.zeros(1, device=device).device
        except (RuntimeError, AssertionError) as error:
            raise LatencyTableError(f"torch has no device {device} here") from error
        self._is_cuda = self._device.type == "cuda"
        self.device = (
            torch.cuda.get_device_name(self._device) if self._is_cuda else processor_name()
        )

    def prepare(self, model: onnx.ModelProto, inputs: Inputs) -> Callable[[], object]:
        """Return what runs the graph once on these inputs, and waits for its end."""
        module = convert(model).eval().to(self._device, memory_format=torch.channels_last)
        tensors = [torch.tensor(value).to(self._device) for value in inputs.values()]
        if self._is_cuda:
            return lambda: self._run_on_gpu(module, tensors)
        return lambda: self._run(module, tensors)

    def clock_ns(self) -> int:
        """Return the time that passed: torch computes in threads of its own."""
        return time.perf_counter_ns()

    def _run(self, module: torch.nn.Module, tensors: list[torch.Tensor]) -> None:
        before = torch.get_num_threads()
        if before != self.threads:
            torch.set_num_threads(self.threads)
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # onnx2torch indexes in a way that torch will change
            module(*tensors)
        if before != self.threads:
            torch.set_num_threads(before)

    def _run_on_gpu(self, module: torch.nn.Module, tensors: list[torch.Tensor]) -> None:
        self._run(module, tensors)
        torch.cuda.synchronize(self._device)


ENGINES: dict[str, Callable[..., Engine]] = {
    "onnxruntime": OnnxRuntimeEngine,
    "onnxruntime-int8": QuantizedEngine,
    "torch": TorchEngine,
    "openvino": OpenVinoEngine,
    "openvino-bfloat16": partial(OpenVinoEngine, dtype="bfloat16"),
}
"""The engines by name; each takes the keyword `threads`."""


def create_engine(name: str, *, threads: int, device: str = "cpu") -> Engine:
    """Return an engine; only torch has the choice of a device, the others use the processor.

    Raises:
        SaliencyError: it is not installed, or there is no such device.
    """
    keywords: dict[str, Any] = {"threads": threads}
    if name == "torch":
        best = "cuda" if torch.cuda.is_available() else "cpu"
        keywords["device"] = best if device == "auto" else device
    return ENGINES[name](**keywords)


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
