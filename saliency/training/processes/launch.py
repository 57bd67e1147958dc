"""Start the processes of a run, and report on one line why one of them was lost.

On one machine this process starts the others and waits for them. Under `torchrun` they are there
already, and each calls this for itself; so it is with a process of a cluster that Fabric knows.
"""

import logging
import multiprocessing
import os
from collections.abc import Callable
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from torch.distributed import DistError
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from saliency import errors
from saliency.errors import DeviceError, SaliencyError, first_line

PATIENCE = timedelta(hours=2)
"""How long a process waits for one that lives but is not heard of: rank 0 may have a lot to write,
or a teacher's densities to compute. One that has died is noticed at once."""

START_METHOD: Literal["spawn", "fork"] = "spawn"
"""Of the processes on one machine. A forked process cannot use CUDA."""

_LOST = ("gloo", "NCCL", "Connection reset by peer", "Connection closed by peer", "TCPStore")


def create_fabric(*, device: str, devices: int = 1, nodes: int = 1, precision: str) -> Fabric:
    """Return the devices of a run, not yet launched.

    Args:
        device: `auto`, `cpu`, `cuda`, `mps`.
        devices: processes on each node, a device for each.
        nodes: machines.
        precision: of Fabric.

    Raises:
        DeviceError: they are not there, or `torchrun` has started another number of processes.
    """
    is_started = TorchElasticEnvironment.detect()
    if is_started:
        _check_world(devices * nodes)
    strategy: Any = "auto"
    if devices * nodes > 1:
        _check_cores(device, devices)
        strategy = DDPStrategy(
            start_method="popen" if is_started else START_METHOD,
            timeout=PATIENCE,
            static_graph=True,  # with few --levels some of a backbone's weights learn nothing
        )
    try:
        return Fabric(
            accelerator=device,
            devices=devices,
            num_nodes=nodes,
            precision=precision,  # type: ignore[arg-type]
            strategy=strategy,
        )
    except (RuntimeError, ValueError) as error:  # Fabric's MisconfigurationException is private
        found = torch.cuda.device_count()
        raise DeviceError(
            f"expected {devices} of the device {device} for --devices, and this machine has "
            f"{found} CUDA GPUs ({first_line(error)}); take fewer, or --device cpu"
        ) from error


def launch(fabric: Fabric, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call `function(fabric, *arguments)` in each process; return what the first one returns.

    Args:
        fabric: of `create_fabric`.
        function: of a module, which the processes started here import.
        arguments: can be pickled.

    Raises:
        SaliencyError: one of the processes has raised it; the others have ended.
        DeviceError: a process was killed, or could not be reached.
    """
    before = set(multiprocessing.active_children())
    # It would name each process that is stopped because another was lost.
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)
    try:
        with named_losses():
            return fabric.launch(partial(_named, function=function, arguments=arguments))
    except ProcessExitedException as error:
        cause = error.signal_name or f"status {error.exit_code}"
        raise DeviceError(
            f"process {error.error_index} of {fabric.world_size} ended by {cause}, the others were "
            "stopped; if memory ran out, take a smaller batch; continue with --resume"
        ) from error
    except ProcessRaisedException as error:
        raise _raised_there(error) or error from error
    finally:
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()


@contextmanager
def named_losses() -> Any:
    """Turn what torch raises when processes do not reach each other into one line.

    Raises:
        DeviceError: they do not.
    """
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, DistError) and not any(sign in str(error) for sign in _LOST):
            raise
        raise _named_loss(str(error)) from error


def _named_loss(text: str) -> DeviceError:
    if "EADDRINUSE" in text or "address already in use" in text:
        return DeviceError(
            f"port {os.environ.get('MASTER_PORT')}, at which the processes meet, is in use; end "
            "what uses it, or name another as MASTER_PORT (torchrun: --rdzv-endpoint HOST:PORT)"
        )
    return DeviceError(
        f"lost the connection to another process of the run ({text.splitlines()[0]}); see what "
        "ended it, and continue with --resume on all nodes"
    )


def _named(fabric: Fabric, *, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    with named_losses():
        return function(fabric, *arguments)


def _raised_there(error: ProcessRaisedException) -> SaliencyError | None:
    """Return the error that ended a process, if it was one for the user, from its traceback."""
    last = str(error).strip().splitlines()[-1]
    name, _, message = last.partition(": ")
    kind = getattr(errors, name.rpartition(".")[2], None)
    if isinstance(kind, type) and issubclass(kind, SaliencyError):
        return kind(message)
    if name.startswith("torch.distributed.") or any(sign in last for sign in _LOST):
        return _named_loss(message)
    return None


def _check_world(count: int) -> None:
    started = int(os.environ["WORLD_SIZE"])
    if started != count:
        raise DeviceError(
            f"expected --devices times --nodes to be the {started} processes that torchrun has "
            f"started, got {count}; give --devices what --nproc-per-node is, and --nodes likewise"
        )


def _check_cores(device: str, devices: int) -> None:
    """Refuse more processes on CPUs than cores: each would wait for the others at every layer."""
    is_cpu = device == "cpu" or (device == "auto" and not torch.cuda.is_available())
    cores = os.cpu_count() or 1
    if is_cpu and devices > cores:
        raise DeviceError(
            f"expected --devices of at most the {cores} cores of this machine, got {devices}"
        )
