"""How many networks the pruning engine can prune, and how much of each; torch-pruning beside it.

    pip install torch-pruning
    python benchmarks/prunable.py --out DIR                      torchvision's and timm's networks
    python benchmarks/prunable.py --out DIR --only resnet18 vgg11
    python benchmarks/prunable.py --out DIR --again              those again that were not perfect

Each network has random weights. A third of every group of channels is removed, and what the pruned
network gives is compared with what the whole one gives with these channels gated to zero.
torch-pruning removes a third of every layer; it is only checked whether the network still runs and
its outputs keep their shapes. Each network runs in a process of its own, with a limit of time and
memory; what is in DIR already is not computed again.

ok: the same, up to the order of sums. refused: nothing could be pruned, and a reason was given.
wrong, crash, slow, memory: what must not be. `parameters` and `time`: share of the network's
parameters, and of the time of its layers, in layers that lose channels (torch, one thread).
`seconds`: to find the groups and remove once.
"""

import argparse
import json
import multiprocessing
import resource
import signal
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import torch
from prunable_check import PRUNERS, Found
from prunable_networks import create, kind_of, names

VERDICTS = ("ok", "refused", "wrong", "crash", "slow", "memory")
SECONDS, GIGABYTES = 300, 10  # of the processor and of memory, for a network
ALL = 0.99  # of the parameters: the share that a convolutional network is to reach


def run(name: str, pruner: str, out: Path, *, again: bool = False) -> Found:
    """Return how the pruning of a network went, from DIR or in a process of its own."""
    kept = out / f"{name.replace(':', '-')}.{pruner}.json"
    if kept.exists():
        stored: Found = json.loads(kept.read_text())
        if not again or (stored["verdict"] == "ok" and stored["parameters"] >= ALL):
            return stored
    process = multiprocessing.get_context("fork").Process(target=check, args=(name, pruner, kept))
    process.start()
    process.join()
    if process.exitcode:
        status = signal.Signals(-process.exitcode).name if process.exitcode < 0 else "an error"
        is_slow = status in ("SIGXCPU", "SIGKILL")
        found = {"verdict": "slow" if is_slow else "crash", "reason": f"ended by {status}"}
        kept.write_text(json.dumps(found))
    made: Found = json.loads(kept.read_text())
    return made


def check(name: str, pruner: str, kept: Path) -> None:
    """Write how the pruning of a network went, in this process, which is for it alone."""
    most = int(GIGABYTES * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    spent = int(time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (spent + SECONDS, spent + SECONDS + 5))
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    try:
        found = PRUNERS[pruner](*create(name))
    except Exception as error:  # whatever it is: that is what is to be found out
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        found = {"verdict": "crash", "reason": reason}
        if isinstance(error, MemoryError) or "allocate memory" in reason:
            found = {"verdict": "memory", "reason": f"more than {GIGABYTES} GB"}
    kept.write_text(json.dumps(found))


def table(results: Mapping[tuple[str, str], Found]) -> Iterable[str]:
    """Yield the lines of a table of all verdicts, by what the networks are for."""
    shown = [verdict for verdict in VERDICTS if verdict in {f["verdict"] for f in results.values()}]
    yield f"| networks | pruner | {' | '.join(shown)} | parameters | time |"
    yield "|---|---|" + "---|" * (len(shown) + 2)
    kinds = dict.fromkeys(kind_of(name) for name, _ in results)
    for kind in [*kinds, "all"]:
        for pruner in dict.fromkeys(pruner for _, pruner in results):
            some = [
                found
                for (name, by), found in results.items()
                if by == pruner and kind in ("all", kind_of(name))
            ]
            count = Counter(found["verdict"] for found in some)
            cells: list[Any] = [count[verdict] for verdict in shown]
            for what in ("parameters", "time"):
                values = [found[what] for found in some if found["verdict"] == "ok"]
                cells.append(f"{median(values):.3f}" if values else "–")
            yield f"| {kind} ({len(some)}) | {pruner} | {' | '.join(map(str, cells))} |"


def main() -> None:
    """Check the networks and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="for all results")
    parser.add_argument("--only", nargs="+", metavar="PART", help="parts of names")
    parser.add_argument("--pruners", nargs="+", choices=PRUNERS, default=list(PRUNERS))
    parser.add_argument("--again", action="store_true", help="what was not perfect")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = {}
    for name in names():
        if arguments.only and not any(part in name for part in arguments.only):
            continue
        for pruner in arguments.pruners:
            found = run(name, pruner, arguments.out, again=arguments.again)
            results[name, pruner] = found
            shown = ", ".join(f"{key} {value}" for key, value in found.items() if key != "whole")
            print(f"{name}, {pruner}: {shown}", flush=True)
    print("\n".join(table(results)))


if __name__ == "__main__":
    main()
