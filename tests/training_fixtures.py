"""A data set that is easy to learn, the smallest of backbones, and options for runs of seconds."""

import csv
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from saliency.datasets.layouts.registry import read_dataset
from saliency.datasets.splits import split_scenes
from saliency.fixations.center_bias import GRID_SHAPE
from saliency.model.config import ModelConfig
from saliency.model.network import SaliencyModel
from saliency.model.readout import ADJUSTMENT
from saliency.training.data import TrainingData
from saliency.training.options import TrainingOptions

TINY = ModelConfig(backbone="test_efficientnet", readout_channels=8, input_pixels=64 * 64)

OPTIONS = TrainingOptions(
    backbone="test_efficientnet",
    weights="none",
    input_pixels=64 * 64,
    epochs=2,
    batch_size=4,
    strength=0.0,
    device="cpu",
    workers=0,
    save_steps=2,
    ema_decay=0.9,
)

COMMAND_LINE = tuple(
    f"--{field.name.replace('_', '-')}={getattr(OPTIONS, field.name)}"
    for field in dataclasses.fields(OPTIONS)
    if field.name != "levels" and getattr(OPTIONS, field.name) is not None
)
"""The same options, as `saliency train` takes them."""

_OF_NETWORK = ("--backbone=", "--readout=", "--readout-channels=", "--weights=", "--input-pixels=")
GOING_ON = tuple(option for option in COMMAND_LINE if not option.startswith(_OF_NETWORK))
"""Those that `saliency train --start` takes."""


def random_model() -> SaliencyModel:
    """Return the smallest model, with random weights, center bias and adjustment."""
    torch.manual_seed(0)
    model = SaliencyModel(TINY).eval()
    model.set_center_bias(np.random.default_rng(0).normal(size=GRID_SHAPE))
    for name, value in zip(ADJUSTMENT, (1.1, 0.05, 0.2, 0.1), strict=True):
        getattr(model.adjustment, name).fill_(value)
    return model


def write_spots(root: Path, *, count: int = 24, seed: int = 0) -> Path:
    """Write a data set of the plain form whose fixations lie on one bright spot of each photo."""
    random = np.random.default_rng(seed)
    (root / "images").mkdir(parents=True)
    rows: list[tuple[Any, ...]] = [("image", "x", "y")]
    for number in range(count):
        width, height = (int(side) for side in random.integers(64, 100, size=2))
        middle = random.uniform(0.15, 0.85, size=2) * (width, height)
        columns, lines = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        is_spot = np.hypot(columns - middle[0], lines - middle[1]) < 10
        pixels = np.where(is_spot, 250, 40) + random.integers(0, 6, size=(height, width))
        photo = Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert("RGB")
        photo.save(root / "images" / f"{number:02d}.png")
        fixations = np.clip(random.normal(middle, 4, size=(15, 2)), 0, (width - 1, height - 1))
        rows += [(f"{number:02d}.png", f"{x:.2f}", f"{y:.2f}") for x, y in fixations]
    with (root / "fixations.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return root


def read_training_data(root: Path) -> TrainingData:
    """Return a data set of the plain form, split as every run splits it."""
    scenes = read_dataset(f"folder:{root}").scenes
    return TrainingData(split_scenes(scenes, "train"), split_scenes(scenes, "validation"))
