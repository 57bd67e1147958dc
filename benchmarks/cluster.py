"""Cropping on a local Ray cluster beside one machine, on the same cores; and the driver's memory.

    python benchmarks/cluster.py            2,000 photos of 12 megapixels by both: rates, memory
    python benchmarks/cluster.py --driver   memory of the driver against the number of photos

Photos are made from those in data/photos by enlarging them; one file of each kind, under as many
names (hard links) as are needed. The driver is measured with a cropper that does nothing, on names
of photos that do not exist.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from fractions import Fraction
from pathlib import Path

from PIL import Image

from saliency.batch.cropper import Cropper
from saliency.cropping.report import CropReport
from saliency.geometry import Frame

ROOT = Path(__file__).parents[1]
SIZE = (4000, 3000)
MAIN = "import sys; from saliency.commands import main; raise SystemExit(main())"


class Nothing(Cropper):
    """A cropper that looks at nothing and writes nothing."""

    def crop(self, plan, data=None):  # noqa: ARG002  as its base
        """Return an empty report."""
        return CropReport(plan.photo.path, Frame.whole((1, 1)), (), plan.files, None, {}, None)


def make_nothing(_model, crops, options, **_):
    """Return a cropper for the workers of the driver's measurement."""
    cropper = Nothing.__new__(Nothing)
    cropper._crops, cropper._options = crops, options
    return cropper


def make_photos(folder: Path, count: int) -> None:
    """Make photos of 12 megapixels, of as many kinds as there are in data/photos."""
    folder.mkdir()
    kinds = []
    for source in sorted((ROOT / "data" / "photos").glob("*.jpg")):
        kinds.append(folder / f"kind-{len(kinds)}.jpg")
        Image.open(source).convert("RGB").resize(SIZE).save(kinds[-1], quality=90)
    for number in range(count):
        os.link(kinds[number % len(kinds)], folder / f"photo-{number:07}.jpg")
    for kind in kinds:
        kind.unlink()


def memory_mb(pid: int) -> float:
    """Return the memory of a process and all that it started, shared pages counted once, in MB."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    total_kb, group = 0, {pid}
    for child in sorted(parents):
        if parents[child] in group:
            group.add(child)
    for one in group:
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total_kb += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total_kb / 1024


def run_crop(photos: Path, out: Path, *options: str) -> dict[str, float]:
    """Crop a folder by the command; return how long it took, its rate, and its peak memory."""
    command = [sys.executable, "-c", MAIN, "crop", str(photos), "--output-dir", str(out), "--json"]
    begun = time.perf_counter()
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
    memory: list[float] = []

    def watch() -> None:
        while process.poll() is None:
            memory.append(memory_mb(process.pid))
            time.sleep(5)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    times = [
        time.perf_counter() for line in process.stdout if json.loads(line)["status"] == "cropped"
    ]
    if process.wait() != 0:
        raise SystemExit(f"expected exit status 0, got {process.returncode}")
    seconds = time.perf_counter() - begun
    # the first tenth is left out of the rate: processes are started in it
    first = len(times) // 10
    quarter = len(memory) // 4
    return {
        "photos": len(times),
        "seconds": round(seconds, 1),
        "photos_per_second": round(len(times) / seconds, 2),
        "when_running": round((len(times) - first) / (times[-1] - times[first - 1]), 2),
        "peak_mb": round(max(memory)),
        "mb_after_a_quarter": round(memory[quarter]),
    }


def compare(count: int) -> None:
    """Print the rates of one machine and of a cluster on the same cores, and their ratio."""
    with tempfile.TemporaryDirectory() as work:
        photos = Path(work) / "photos"
        make_photos(photos, count)
        one = run_crop(photos, Path(work) / "one")
        print("one machine", json.dumps(one), flush=True)
        many = run_crop(photos, Path(work) / "many", "--cluster", "local")
        print("cluster    ", json.dumps(many), flush=True)
        names = sorted(file.name for file in (Path(work) / "one").iterdir())
        differing = [
            name
            for name in names
            if (Path(work) / "one" / name).read_bytes() != (Path(work) / "many" / name).read_bytes()
        ]
        print(f"crops that differ: {len(differing)} of {len(names)}")
        print(f"ratio of the whole times: {one['seconds'] / many['seconds']:.2f}")
        print(f"ratio when running: {many['when_running'] / one['when_running']:.2f}")


def measure_driver(count: int) -> None:
    """Print the memory of this process after `count` photos went through a cluster."""
    from saliency.batch.cluster import crop_dataset  # noqa: PLC0415
    from saliency.batch.listing import ListedPhoto  # noqa: PLC0415
    from saliency.batch.options import BatchOptions  # noqa: PLC0415
    from saliency.batch.ray_nodes import connect, disconnect  # noqa: PLC0415
    from saliency.batch.shards import list_dataset  # noqa: PLC0415
    from saliency.cropping.options import CropOptions  # noqa: PLC0415

    def status_mb(field: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) // 1024 for line in lines if line.startswith(field))

    connect("local")
    empty_mb = status_mb("VmRSS")
    begun = time.perf_counter()
    photos = [ListedPhoto(Path(f"/archive/{i // 1000:06}/photo-{i:09}.jpg")) for i in range(count)]
    photos = [ListedPhoto(one.path, Path(one.path.parent.name)) for one in photos]
    listed_mb = status_mb("VmRSS")
    ds = list_dataset(photos, worker_count=2)
    import cluster  # noqa: PLC0415  this file, under a name that workers can import

    with tempfile.TemporaryDirectory() as out:
        outcomes = crop_dataset(
            ds,
            CropOptions(aspects={"1:1": Fraction(1)}),
            BatchOptions(output_dir=Path(out)),
            photos=photos,
            make_cropper=cluster.make_nothing,
        )
        done = 0
        for outcome in outcomes:
            if outcome.error is not None:
                raise SystemExit(outcome.error)
            if done == 0:
                first_mb, planned = status_mb("VmRSS"), time.perf_counter() - begun
            done += 1
    shown = {
        "photos": done,
        "empty_mb": empty_mb,
        "listed_mb": listed_mb,
        "planned_mb": first_mb,
        "peak_mb": status_mb("VmHWM"),
        "planned_after_s": round(planned, 1),
        "seconds": round(time.perf_counter() - begun, 1),
    }
    print(json.dumps(shown), flush=True)
    disconnect()


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photos", type=int, default=2000, help="for the rates")
    parser.add_argument("--driver", type=int, nargs="*", help="numbers of photos (1e4 to 1e6)")
    arguments = parser.parse_args()
    if arguments.driver is None:
        compare(arguments.photos)
        return
    if len(arguments.driver) == 1:
        measure_driver(arguments.driver[0])
        return
    path = os.pathsep.join([str(Path(__file__).parent), str(ROOT)])
    for count in arguments.driver or (10**4, 10**5, 10**6):  # each in a process of its own
        command = [sys.executable, __file__, "--driver", str(count)]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": path})


if __name__ == "__main__":
    main()
