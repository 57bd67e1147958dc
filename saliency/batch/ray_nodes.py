"""Connect to a Ray cluster, and check that its nodes can do the work of this program."""

import hashlib
import logging
import os
import re
import socket
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import saliency
from saliency.errors import ClusterError, OutputError, first_line
from saliency.files import create_folder

_ADDRESS = re.compile(r"(?P<host>[^:/\s]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})")
_PATIENCE_S = 5.0
_NODE_PATIENCE_S = 60.0
_STORE_BYTES = 1 << 30
"""Memory for blocks in passing, on a node that is started here; further ones go to its disk."""


def parse_address(text: str) -> str:
    """Return the address of a cluster, checked: `HOST:PORT`, or `local` for one of its own.

    Raises:
        ValueError: it is something else.
    """
    if text.startswith("ray://"):
        raise ValueError(
            f"got '{text}': Ray Data does not run through Ray's client; start this command on a "
            "node of the cluster (`ray job submit`), with HOST:PORT as `ray start` prints it"
        )
    if text not in ("auto", "local") and _ADDRESS.fullmatch(text) is None:
        raise ValueError(f"expected HOST:PORT, as `ray start` prints it, or local, got '{text}'")
    return text


def connect(address: str | None = None) -> bool:
    """Connect to a cluster, unless this process is connected already; return whether it was not.

    Args:
        address: from `parse_address`; None or `auto` for RAY_ADDRESS, else a cluster that runs on
            this machine, else one on this machine that is started now and ends with this process.

    Raises:
        ClusterError: Ray is not installed, nobody answers, or the cluster is of another version.
    """
    ray = import_ray()
    if ray.is_initialized():
        return False
    address = os.environ.get("RAY_ADDRESS") if address in (None, "auto") else address
    if address is not None and address != "local":
        try:
            _check_reachable(parse_address(address))
        except ValueError as error:
            raise ClusterError(f"cannot use RAY_ADDRESS: {error}") from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or Ray warns of its future
    quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    # Ray writes of lost workers to standard output, which is for reports; this is its only switch.
    ray._private.worker._worker_logs_enabled = False
    own = {"include_dashboard": False, "object_store_memory": _STORE_BYTES}
    try:
        if address == "local":
            ray.init(address, **quiet, **own)
            return True
        try:
            ray.init(address or "auto", **quiet)
        except ConnectionError:
            if address is not None:
                raise
            ray.init("local", **quiet, **own)
        return True
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise ClusterError(_no_cluster(address, error)) from error


def disconnect() -> None:
    """Leave the cluster; one that was started by this process ends."""
    import_ray().shutdown()


def count_cores() -> int:
    """Return how many processor cores the cluster has."""
    return max(1, int(import_ray().cluster_resources().get("CPU", 1)))


def check_nodes(*, shared: Mapping[str, Path], files: Mapping[str, Path]) -> None:
    """Check that all nodes have this version of the package, and see the same folders and files.

    Args:
        shared: folders that crops are written to, created if missing, by what they are.
        files: files that nodes read, by what they are.

    Raises:
        ClusterError: a node differs, or does not answer; the message names it.
        OutputError: a folder cannot be created or written to.
    """
    ray = import_ray()
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415

    marks = {name: _mark(folder) for name, folder in shared.items()}
    paths = [str(path) for path in (*marks.values(), *files.values())]
    try:
        remote = ray.remote(num_cpus=0, max_retries=0)(look)
        nodes = [node for node in ray.nodes() if node["Alive"]]
        asked = [
            remote.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            ).remote(paths)
            for node in nodes
        ]
        for node, answer in zip(nodes, asked, strict=True):
            place = node["NodeManagerAddress"]
            try:
                found, missing = ray.get(answer, timeout=_NODE_PATIENCE_S)
            except ray.exceptions.RayError as error:
                raise ClusterError(_node_failed(place, error)) from error
            _check_node(place, found, missing, marks | dict(files))
    finally:
        for mark in marks.values():
            mark.unlink(missing_ok=True)


def import_ray() -> Any:
    """Return Ray, quiet.

    Raises:
        ClusterError: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray  # noqa: PLC0415  of the extra
            import ray.data  # noqa: PLC0415
    except ImportError as error:
        raise ClusterError(
            f"{first_line(error)}: cropping on a cluster needs Ray; install it with: "
            'pip install "saliency-crop[ray]"'
        ) from error
    return ray


def package_state() -> str:
    """Return the version of the package, and a digest of its files, which nodes have to share."""
    folder = Path(saliency.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
    return f"{saliency.__version__} ({digest.hexdigest()[:8]})"


def look(paths: list[str]) -> tuple[str, list[str]]:
    """Return, on a node, which package it has, and which paths it does not see."""
    return package_state(), [path for path in paths if not Path(path).exists()]


def _check_node(place: str, found: str, missing: list[str], wanted: Mapping[str, Path]) -> None:
    """Refuse a node that has another package, or lacks a folder or a file."""
    own = package_state()
    if found != own:
        raise ClusterError(
            f"node {place} has saliency-crop {found}, this machine has {own}; install the same "
            "release on all nodes"
        )
    for name, path in wanted.items():
        if str(path) in missing:
            seen = path.parent if path.name.startswith(".") else path
            raise ClusterError(
                f"node {place} does not see {name} {seen}; it has to be in a folder that all nodes "
                "share, under the same path"
            )


def _node_failed(place: str, error: Exception) -> str:
    """Return what is wrong with a node that could not look."""
    if "No module named" in str(error) or "AttributeError" in str(error):
        return (
            f"node {place} has no saliency-crop, or another release than {package_state()} of this "
            "machine; install the same release on all nodes"
        )
    return (
        f"node {place} does not work: {first_line(error)}; take it out of the cluster, or start it "
        "again"
    )


def _mark(folder: Path) -> Path:
    """Write an empty file by which nodes recognise a folder; return it."""
    create_folder(folder)
    mark = folder.resolve() / f".{os.urandom(8).hex()}.tmp"
    try:
        mark.touch()
    except OSError as error:
        raise OutputError(f"cannot write into {folder}: {error.strerror or error}") from error
    return mark


def _check_reachable(address: str) -> None:
    """Refuse an address at which nobody listens; Ray itself would try for minutes."""
    match = _ADDRESS.fullmatch(address)
    if match is None:
        return
    host, port = match["host"].strip("[]"), int(match["port"])
    try:
        socket.create_connection((host, port), timeout=_PATIENCE_S).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(_no_cluster(address, error)) from error


def _no_cluster(address: str | None, error: BaseException) -> str:
    """Return what is wrong where there is no cluster to be had."""
    place = "on this machine" if address in (None, "local") else f"at {address}"
    reason = getattr(error, "strerror", None) or first_line(error)
    return (
        f"no Ray cluster {place}: {reason}; start one with `ray start --head`, and give its "
        "HOST:PORT, or leave the address out for one on this machine"
    )
