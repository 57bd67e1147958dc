"""Images per second of training in one process and in two, of one model with one batch size.

    python benchmarks/training_processes.py --data osie:PATH

Each round trains a short run of one epoch in one process with one thread, then in one with two
threads, then in two processes with one thread each, all from the command line. The speed is that
of the last steps of the epoch, validation and start left out. It is read from the curves that the
run writes. Run it when the machine has nothing else to do.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

SETUPS = {
    "1 process, 1 thread": ("--devices=1", "--torch-threads=1"),
    "1 process, 2 threads": ("--devices=1", "--torch-threads=2"),
    "2 processes, 1 thread each": ("--devices=2", "--torch-threads=1"),
}
START = "from saliency.commands import main; raise SystemExit(main())"
COMMAND = (sys.executable, "-c", START, "train")


def images_per_second(
    folder: Path, arguments: argparse.Namespace, options: tuple[str, ...]
) -> float:
    """Return the speed of an epoch, from its curve."""
    given = [f"--data={spec}" for spec in arguments.data]
    fixed = ("--epochs=1", "--weights=none", "--device=cpu", "--save-steps=100000", "--workers=1")
    size = f"--batch-size={arguments.batch_size}"
    subprocess.run(
        [*COMMAND, *given, f"--out={folder}", *fixed, size, *options],
        env=os.environ,
        check=True,
        capture_output=True,
    )
    return EventAccumulator(str(folder)).Reload().Scalars("images_per_second")[-1].value


def main() -> None:
    """Print the median speed of each setup."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", action="append", required=True, metavar="LAYOUT:PATH")
    parser.add_argument("--batch-size", type=int, default=16, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    arguments = parser.parse_args()
    speeds: dict[str, list[float]] = {name: [] for name in SETUPS}
    for _ in range(arguments.rounds):
        for name, options in SETUPS.items():
            with tempfile.TemporaryDirectory() as folder:
                speeds[name].append(images_per_second(Path(folder) / "run", arguments, options))
    for name, found in speeds.items():
        middle, spread = statistics.median(found), f"{min(found):.1f} to {max(found):.1f}"
        print(f"{name:<28}{middle:6.1f} images/s ({spread})")


if __name__ == "__main__":
    main()
