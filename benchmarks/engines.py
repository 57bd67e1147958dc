"""Which engine is fastest, and whether bfloat16, 8-bit integers and torch.compile pay.

    python benchmarks/engines.py --networks resnet18 mobilenet_v3_small densenet121

Networks of torchvision with arbitrary weights, one photo of 224x224, in milliseconds: the median of
some runs, all ways in turn, and the largest difference of the outputs from those of torch in
float32, as a share of the largest output. bfloat16 is left out where the processor lacks it.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torchvision.models import get_model

from saliency.pruning.latency.exporting import export_copy
from saliency.pruning.latency.quantization import quantize

ROUNDS, RUNS = 5, 5
Run = Callable[[], Any]


def has_bfloat16() -> bool:
    """Return whether the processor multiplies in bfloat16."""
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    return "avx512_bf16" in flags or "amx_bf16" in flags


def in_torch(model: nn.Module, photo: Tensor, dtype: torch.dtype, *, compiles: bool) -> Run:
    """Return what runs a network in torch, laid out by channels last."""
    model = model.to(dtype, memory_format=torch.channels_last)
    photo = photo.to(dtype, memory_format=torch.channels_last)
    run = torch.compile(model) if compiles else model

    def once() -> np.ndarray:
        with torch.inference_mode():
            return run(photo).float().numpy()

    return once


def in_openvino(model: nn.Module, photo: Tensor, precision: str) -> Run:
    """Return what runs a network in OpenVINO."""
    import openvino  # noqa: PLC0415  needed for this alone

    graph = openvino.Core().read_model(export_copy(model, photo).SerializeToString())
    options = {
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,
    }
    request = openvino.Core().compile_model(graph, "CPU", options).create_infer_request()
    given = {"input": photo.numpy()}
    return lambda: np.array(request.infer(given)[0], np.float32)


def in_onnxruntime(model: nn.Module, photo: Tensor, *, in_integers: bool = False) -> Run:
    """Return what runs a network in ONNX Runtime, perhaps with convolutions in 8-bit integers."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    graph = export_copy(model, photo)
    if in_integers:
        graph = quantize(graph, [{"input": photo.numpy()}])
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, {"input": photo.numpy()})[0]


def ways(name: str) -> Iterator[tuple[str, Run]]:
    """Yield the ways of running a network; the first is what the others are compared with."""

    def model() -> nn.Module:
        torch.manual_seed(0)
        return get_model(name, weights=None).eval()

    torch.manual_seed(1)
    photo = torch.rand(1, 3, 224, 224)
    yield "torch", in_torch(model(), photo, torch.float32, compiles=False)
    yield "torch.compile", in_torch(model(), photo, torch.float32, compiles=True)
    yield "ONNX Runtime", in_onnxruntime(model(), photo)
    yield "ONNX Runtime, int8", in_onnxruntime(model(), photo, in_integers=True)
    yield "OpenVINO", in_openvino(model(), photo, "f32")
    if has_bfloat16():
        yield "torch, bfloat16", in_torch(model(), photo, torch.bfloat16, compiles=False)
        yield "torch.compile, bfloat16", in_torch(model(), photo, torch.bfloat16, compiles=True)
        yield "OpenVINO, bfloat16", in_openvino(model(), photo, "bf16")


def main() -> None:
    """Time each network in all ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", nargs="+", default=["resnet18"], help="of torchvision")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for name in arguments.networks:
        runs = dict(ways(name))
        times: dict[str, list[float]] = {way: [] for way in runs}
        outputs = {way: run() for way, run in runs.items()}
        for way in [way for _ in range(ROUNDS) for way in runs]:
            runs[way]()
            for _ in range(RUNS):
                start = time.perf_counter()
                runs[way]()
                times[way].append(1000 * (time.perf_counter() - start))
        right = outputs["torch"]
        for way, taken in times.items():
            error = np.abs(outputs[way] - right).max() / np.abs(right).max()
            print(f"| {name} | {way} | {median(taken):.2f} | {error:.1e} |")


if __name__ == "__main__":
    main()
