"""How many crops the service makes, beside `saliency crop` on a folder of the same photos.

    python benchmarks/service.py [--seconds 20] [--overload-minutes 10]

Photos of one megapixel, crops to squares at full size. First the folder run, then as many requests
at once as there are cores; then requests at 80 % of that rate, with the latency of each; then at
120 %, with what was refused and how the memory of the service grew. Requests come from a process of
their own, each at its time, whether those before are answered or not.
"""

import argparse
import asyncio
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
RUN = "from saliency.commands import main; raise SystemExit(main())"
COUNT = 200


def write_photos(folder: Path) -> list[Path]:
    """Write photos of one megapixel with grain."""
    sources = sorted((ROOT / "data" / "photos").glob("*.jpg"))
    rng = np.random.default_rng(0)
    paths = []
    for number in range(COUNT):
        with Image.open(sources[number % len(sources)]) as source:
            large = source.convert("RGB").resize((1152, 864), Image.Resampling.LANCZOS)
        grain = rng.normal(0, 3, (864, 1152, 3))
        values = np.clip(np.asarray(large) + grain, 0, 255).astype(np.uint8)
        paths.append(folder / f"{number:03}.jpg")
        Image.fromarray(values).save(paths[-1], quality=88)
    return paths


def folder_rate(photos: list[Path], folder: Path) -> float:
    """Return the photos per second of a folder run, its start not counted."""
    times = []
    for count in (20, COUNT):
        start = time.perf_counter()
        command = [sys.executable, "-c", RUN, "crop", *photos[:count], "--aspect", "1:1"]
        command += ["--output-dir", folder / f"crops-{count}"]
        subprocess.run([*map(str, command)], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return (COUNT - 20) / (times[1] - times[0])


async def _post(host: str, port: int, body: bytes) -> int:
    """Send a photo over a connection of its own; return the status when the answer is whole."""
    reader, writer = await asyncio.open_connection(host, port)
    head = (
        f"POST /v1/crops?aspect=1:1 HTTP/1.1\r\nHost: {host}\r\nAccept: image/*\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + body)
    answer = await reader.read()
    writer.close()
    return int(answer[9:12])


async def _requests(
    address: str, bodies: list[bytes], rate: float | None, seconds: float
) -> tuple[list[float], Counter[int], float]:
    """Return the latencies of answered requests, the count of each status, and the time spent.

    Args:
        address: of the service.
        bodies: the photos.
        rate: requests per second, each at its time; None for twice as many at once as cores.
        seconds: how long to send them.
    """
    host, port = address.removeprefix("http://").split(":")
    latencies: list[float] = []
    statuses: Counter[int] = Counter()
    begin = time.perf_counter()

    async def one(number: int) -> None:
        start = time.perf_counter()
        status = await _post(host, int(port), bodies[number % len(bodies)])
        statuses[status] += 1
        if status == 200:
            latencies.append(time.perf_counter() - start)

    async def worker(first: int) -> None:
        while time.perf_counter() - begin < seconds:
            await one(first + len(latencies))

    if rate is None:
        await asyncio.gather(*(worker(number) for number in range(2 * (os.cpu_count() or 1))))
    else:
        tasks = []
        while time.perf_counter() - begin < seconds:
            tasks.append(asyncio.create_task(one(len(tasks))))
            await asyncio.sleep(max(0.0, begin + len(tasks) / rate - time.perf_counter()))
        await asyncio.gather(*tasks)
    return latencies, statuses, time.perf_counter() - begin


def _load(arguments: tuple[str, list[Path], float | None, float]) -> tuple:
    address, photos, rate, seconds = arguments
    bodies = [path.read_bytes() for path in photos]
    return asyncio.run(_requests(address, bodies, rate, seconds))


def memory_mb(process: subprocess.Popen) -> float:
    """Return the resident memory of a process."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--overload-minutes", type=float, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, multiprocessing.Pool(1) as other:
        photos = write_photos(Path(name))
        folder = folder_rate(photos, Path(name))
        command = [sys.executable, "-c", RUN, "serve", "--port", "0"]
        service = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        address = service.stderr.readline().split()[-1]
        log = subprocess.Popen(["cat"], stdin=service.stderr, stdout=subprocess.DEVNULL)

        def load(rate: float | None, seconds: float) -> tuple:
            return other.apply(_load, ((address, photos, rate, seconds),))

        load(None, 3)
        latencies, _, spent = load(None, options.seconds)
        best = len(latencies) / spent
        print(f"folder {folder:.1f} photos/s, service {best:.1f} ({best / folder:.2f})", flush=True)
        latencies, statuses, _ = load(0.8 * best, options.seconds)
        median, p99 = (1000 * float(np.quantile(latencies, one)) for one in (0.5, 0.99))
        print(
            f"80 %: median {median:.0f} ms, p99 {p99:.0f} ms ({p99 / median:.1f} times)", end=", "
        )
        print(dict(statuses), flush=True)
        print(f"memory {memory_mb(service):.0f} MB")
        for part in range(max(1, round(options.overload_minutes))):
            _, statuses, _ = load(1.2 * best, 60 * min(1.0, options.overload_minutes))
            print(
                f"120 %, minute {part + 1}: {dict(statuses)}, {memory_mb(service):.0f} MB",
                flush=True,
            )
        service.terminate()
        service.wait()
        log.kill()


if __name__ == "__main__":
    main()
