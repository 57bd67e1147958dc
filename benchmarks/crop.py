"""Time of cropping, side by side with libvips, smartcrop.py and Pillow: one run, one machine.

    pip install pyvips pyvips-binary smartcrop
    python benchmarks/crop.py                       one photo of 12 megapixels, warm
    python benchmarks/crop.py --folder 500          a folder of them: rate with one and two cores
    python benchmarks/crop.py --shell               from the shell, cold

The photo is one of data/photos, enlarged to 4000x3000 with a little grain and saved at quality 88;
`--photo` takes another. Each figure is the median of `--rounds` rounds in which every program has
its turn, at one photo that does not count and then at one that does, as in a row of photos.
`vipsthumbnail` is timed with `--shell` where it is installed.
"""

import argparse
import multiprocessing
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from saliency.batch.cropper import Cropper
from saliency.batch.listing import ListedPhoto
from saliency.batch.options import BatchOptions
from saliency.batch.workers import crop_all
from saliency.crop_windows.options import ChoiceOptions
from saliency.cropping.options import CropOptions, Output
from saliency.prediction.predictor import Predictor

SOURCE = Path(__file__).parents[1] / "data" / "photos" / "china.jpg"
SIDE_PX = 512


def write_photo(path: Path) -> Path:
    """Write a photo of 12 megapixels."""
    with Image.open(SOURCE) as source:
        large = source.convert("RGB").resize((4000, 3000), Image.Resampling.LANCZOS)
    grain = np.random.default_rng(0).normal(0, 4, size=(3000, 4000, 3))
    values = np.clip(np.asarray(large) + grain, 0, 255).astype(np.uint8)
    Image.fromarray(values).save(path, quality=88)
    return path


def median_times_ms(jobs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median time of each job, each time right after one that does not count."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            job()
            start = time.perf_counter()
            job()
            times[name].append((time.perf_counter() - start) * 1000)
    return {name: statistics.median(spent) for name, spent in times.items()}


def cropper(
    model: Path | None,
    threads: int | None,
    pattern: str,
    *,
    decode_ahead: bool = False,
    **options: object,
) -> Cropper:
    """Return a cropper to squares."""
    wanted = CropOptions(
        aspects={"1:1": Fraction(1)},
        choice=ChoiceOptions(candidates=1),  # as the command, which names others in --json only
        **options,  # type: ignore[arg-type]
    )
    batch = BatchOptions(pattern=pattern, overwrite=True)
    return Cropper(Predictor(model, threads=threads), wanted, batch, decode_ahead=decode_ahead)


def two_at_a_time_ms(jobs: list[Callable[[], object]], rounds: int) -> float:
    """Return the time for each photo when two threads work on photos, one after the other each."""

    def work(job: Callable[[], object]) -> None:
        for _ in range(rounds):
            job()

    start = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, jobs))
    return (time.perf_counter() - start) * 1000 / (rounds * len(jobs))


def own_job(
    photo: Path, model: Path | None, name: str, *, threads: int | None = None, **options: Any
) -> Callable[[], object]:
    """Return a job that crops a photo with this program."""
    prepared = cropper(model, threads, f"{name}.{{ext}}", **options)
    plan = prepared.plan(ListedPhoto(photo))
    return lambda: prepared.crop(plan)


def pillow_job(photo: Path, out: Path) -> Callable[[], object]:
    """Return the floor: decode, cut the middle, encode."""

    def job() -> None:
        with Image.open(photo) as image:
            left = (image.width - image.height) // 2
            image.crop((left, 0, left + image.height, image.height)).save(out, quality=92)

    return job


def peer_jobs(photo: Path, out: Path) -> dict[str, Callable[[], object]]:
    """Return the jobs of the peers that are installed."""
    jobs: dict[str, Callable[[], object]] = {}
    try:
        import pyvips  # noqa: PLC0415
    except ImportError:
        print("pyvips is not installed", file=sys.stderr)
    else:

        def vips() -> None:
            small = pyvips.Image.thumbnail(str(photo), SIDE_PX, height=SIDE_PX, crop="attention")
            small.write_to_file(f"{out}[Q=92]")

        jobs["512x512: pyvips, attention"] = vips
    try:
        import smartcrop  # noqa: PLC0415
    except ImportError:
        print("smartcrop is not installed", file=sys.stderr)
    else:

        def smart() -> None:
            with Image.open(photo) as image:
                image.draft("RGB", (2 * SIDE_PX, 2 * SIDE_PX))
                image.load()
                box = smartcrop.SmartCrop().crop(image, 100, 100)["top_crop"]
            left, top = box["x"], box["y"]
            cut = image.crop((left, top, left + box["width"], top + box["height"]))
            cut.resize((SIDE_PX, SIDE_PX)).save(out, quality=92)

        jobs["512x512: smartcrop.py"] = smart
    return jobs


def compare_one(photo: Path, model: Path | None, rounds: int) -> None:
    """Print the times of one photo, warm."""
    out = photo.with_name("out.jpg")
    jobs = {
        "512x512: saliency": own_job(
            photo, model, "small", output=Output(exact_size=(SIDE_PX, SIDE_PX))
        ),
        **peer_jobs(photo, out),
        "full size: saliency": own_job(photo, model, "full", threads=1, decode_ahead=True),
        "full size: saliency, one core": own_job(photo, model, "full-one", threads=1),
        "full size: saliency --lossless": own_job(photo, model, "lossless", is_lossless=True),
        "full size: Pillow, middle": pillow_job(photo, out),
    }
    times = median_times_ms(jobs, rounds)
    for name, spent_ms in times.items():
        print(f"{name:<34}{spent_ms:8.1f} ms")
    small = Output(exact_size=(SIDE_PX, SIDE_PX))
    pairs = {"saliency": [own_job(photo, model, n, threads=1, output=small) for n in ("a", "b")]}
    for name in ("a", "b"):
        for peer, job in peer_jobs(photo, photo.with_name(f"peer-{name}.jpg")).items():
            pairs.setdefault(peer.partition(": ")[2], []).append(job)
    for name, pair in pairs.items():
        label = f"two at a time: {name}"
        times[label] = two_at_a_time_ms(pair, rounds)
        print(f"{label:<34}{times[label]:8.1f} ms for each")
    for name, part, whole in (
        ("two at a time, of pyvips", "two at a time: saliency", "two at a time: pyvips, attention"),
        ("512x512, of pyvips", "512x512: saliency", "512x512: pyvips, attention"),
        ("full size, of Pillow", "full size: saliency", "full size: Pillow, middle"),
        ("one core, of Pillow", "full size: saliency, one core", "full size: Pillow, middle"),
        ("lossless, of Pillow", "full size: saliency --lossless", "full size: Pillow, middle"),
    ):
        if part in times and whole in times:
            print(f"{name:<34}{times[part] / times[whole]:8.2f}")


def compare_folder(photo: Path, model: Path | None, count: int) -> None:
    """Print the rate of many photos with one and two cores, and the memory that they take."""
    folder = photo.with_name("folder")
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.jpg").hardlink_to(photo)
    photos = [ListedPhoto(file) for file in sorted(folder.iterdir())]
    rates = {}
    cores = sorted(os.sched_getaffinity(0))
    for workers in (1, 2):
        os.sched_setaffinity(0, set(cores[:workers]))
        prepared = cropper(model, 1, output_dir=photo.with_name(f"crops-{workers}"))
        chosen = photos[: max(1, count // 2)] if workers == 1 else photos
        start, busy = time.perf_counter(), time.process_time()
        done = sum(
            one.report is not None for one in crop_all(prepared, chosen, worker_count=workers)
        )
        spent = time.perf_counter() - start
        rates[workers] = done / spent
        busy_cores = (time.process_time() - busy) / spent
        rate = f"{rates[workers]:.1f} per second, {busy_cores:.2f} cores busy"
        print(f"{workers} worker(s): {done} photos, {rate}")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"two cores, of one: {rates[2] / rates[1]:.2f}; memory {peak_mb:.0f} MB at most")


def compare_shell(photo: Path, model: Path | None, rounds: int) -> None:
    """Print the times of whole processes."""
    program = [
        sys.executable,
        "-c",
        "import sys; from saliency.commands import main; sys.exit(main())",
    ]
    own = [*program, "crop", str(photo), "--size", f"{SIDE_PX}x{SIDE_PX}", "--overwrite"]
    own += ["--model", str(model)] if model else []
    commands = {"saliency crop, 512x512": own, "saliency crop --help": [*program, "crop", "--help"]}
    if shutil.which("vipsthumbnail"):
        size = ["--size", f"{SIDE_PX}x{SIDE_PX}", "--smartcrop", "attention"]
        commands["vipsthumbnail, 512x512"] = ["vipsthumbnail", str(photo), *size]

    def run(command: list[str]) -> Callable[[], object]:
        return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    jobs = {name: run(command) for name, command in commands.items()}
    for name, spent_ms in median_times_ms(jobs, rounds).items():
        print(f"{name:<34}{spent_ms:8.0f} ms")


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description="Time of cropping, beside libvips and Pillow.")
    parser.add_argument("--photo", type=Path, help="a JPEG (default: one of 12 megapixels)")
    parser.add_argument("--model", type=Path, help=".onnx model (default: the shipped one)")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--folder", type=int, metavar="N", help="a folder of N photos instead")
    parser.add_argument("--shell", action="store_true", help="whole processes instead")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        photo = Path(name) / "photo.jpg"
        if arguments.photo is None:
            # In a process of its own, whose memory does not count.
            writer = multiprocessing.get_context("spawn").Process(target=write_photo, args=(photo,))
            writer.start()
            writer.join()
        else:
            shutil.copy(arguments.photo, photo)
        if arguments.folder is not None:
            compare_folder(photo, arguments.model, arguments.folder)
        elif arguments.shell:
            compare_shell(photo, arguments.model, arguments.rounds)
        else:
            compare_one(photo, arguments.model, arguments.rounds)


if __name__ == "__main__":
    main()
