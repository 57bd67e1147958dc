"""Images per second of the training step, with loading of its images and without.

    python benchmarks/loading.py --data osie:PATH --data eyecrowd:PATH

Each round trains on batches as they are loaded, once the loading processes have found their pace,
then ends these processes and trains on the very same batches again, from memory. So both see the
same sizes under the same conditions. Run it when the machine has nothing else to do.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from saliency.datasets.layouts.registry import read_dataset
from saliency.datasets.splits import split_scenes
from saliency.memory import reuse_large_blocks
from saliency.training.data import TrainingData
from saliency.training.options import TrainingOptions
from saliency.training.run import _Run
from saliency.training.run_folder import RunFolder

SETTLING_STEPS = 12


def images_per_second(run: _Run, batches: Iterable[Batch]) -> tuple[float, list[Batch]]:
    """Return the speed of training on batches, and the batches."""
    taken, images, loss = [], 0, None
    started = time.perf_counter()
    for batch in batches:
        loss = run.take_step(batch)
        taken.append(batch)
        images += len(batch.photos)
    if loss is not None:
        loss.item()  # waits for a GPU
    return images / (time.perf_counter() - started), taken


def measure_round(run: _Run, step_count: int) -> tuple[float, float]:
    """Return images per second with loading, and without."""
    loaded = run.load_batches()
    images_per_second(run, islice(loaded, SETTLING_STEPS))
    with_loading, batches = images_per_second(run, islice(loaded, step_count))
    del loaded  # ends the processes that load
    without, _ = images_per_second(run, batches)
    return with_loading, without


def build_run(arguments: argparse.Namespace, folder: Path) -> _Run:
    """Return a run that is ready for its first step."""
    scenes = [scene for spec in arguments.data for scene in read_dataset(spec).scenes]
    data = TrainingData(split_scenes(scenes, "train"), split_scenes(scenes, "validation"))
    options = TrainingOptions(
        weights="none",
        epochs=10_000,  # more than is ever asked for
        batch_size=arguments.batch_size,
        input_pixels=arguments.pixels,
        workers=arguments.workers,
        device=arguments.device,
    )
    run = _Run(data, options, RunFolder(folder), None)
    run.batches = iter(())  # ends the processes that load; each round has its own
    run.wrapped.train()
    return run


def main() -> None:
    """Print a row for each round, the medians, and what loading costs."""
    parser = argparse.ArgumentParser(description="Images per second with and without loading.")
    parser.add_argument("--data", action="append", required=True, metavar="LAYOUT:PATH")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=16, help="of each half of a round")
    for name in ("batch_size", "pixels", "workers", "device"):
        default = getattr(TrainingOptions(), name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    arguments = parser.parse_args()
    reuse_large_blocks()
    with tempfile.TemporaryDirectory() as folder:
        run = build_run(arguments, Path(folder))
        print("round    with loading    without")
        rounds = []
        for number in range(1, arguments.rounds + 1):
            rounds.append(measure_round(run, arguments.steps))
            print(f"{number:<8}{rounds[-1][0]:13.2f}{rounds[-1][1]:11.2f}", flush=True)
    loaded, unloaded = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"median  {loaded:13.2f}{unloaded:11.2f}   images/s")
    print(f"with loading at {loaded / unloaded:.1%} of the speed without")


if __name__ == "__main__":
    main()
