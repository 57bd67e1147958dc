"""Runs of `saliency prune` on a small model, and what they leave."""

import json

import torch
from safetensors.torch import load_file
from training_fixtures import GOING_ON

TUNING = tuple(option for option in GOING_ON if not option.startswith("--keep"))


def arguments(model, dataset, table, path, *more):
    return [
        *(str(model), f"--data=folder:{dataset}", f"--out={path}", f"--table={table}"),
        *("--size=64x64", "--steps=2", "--time-share=0.2", *TUNING, *(more or ["--speedup=1.3"])),
    ]


def report_of(path):
    return json.loads((path / "report.json").read_text())


def assert_same(path, other):
    for name in ("pruned.safetensors", "model.safetensors"):
        one, two = load_file(path / name), load_file(other / name)
        assert one.keys() == two.keys()
        assert all(torch.equal(one[key], value) for key, value in two.items()), name
    assert (path / "points.json").read_text() == (other / "points.json").read_text()
