"""Facts about the batches of a run, fresh and kept."""

import dataclasses

import numpy as np
import pytest
from lightning_fabric import Fabric
from PIL import Image
from training_fixtures import OPTIONS

from saliency.training.batches import load_batches
from saliency.training.inputs.source import Source

COUNT = 10
SETS = (0, 0, 0, 1, 1, 1, 2, 2, -1, -1)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Photos of one grey each, which tells which of them it is."""
    folder = tmp_path_factory.mktemp("greys")
    made = []
    for number in range(COUNT):
        path = folder / f"{number}.png"
        Image.new("RGB", (96, 64), (20 * number,) * 3).save(path)
        made.append(Source(path, 96, 64, np.array([[40.0, 30.0]] * 5)))
    return made


def shown(sources, folder, *, first=0, last=12, sets=SETS, **changes):
    """Return the photos' numbers, and with `sets` those of their sets, batch by batch."""
    batches = load_batches(
        Fabric(accelerator="cpu", devices=1),
        sources,
        dataclasses.replace(OPTIONS, **changes),
        size_multiple=32,
        first_step=first,
        last_step=last,
        examples=folder,
        pixels=OPTIONS.input_pixels,
        datasets=sets,
    )
    return [
        [
            (batch[0][:, 0, 0, 0] / 20).round().int().tolist(),
            *([] if batch.datasets is None else [batch.datasets.tolist()]),
        ]
        for batch in batches
    ]


@pytest.mark.parametrize("variants", [0, 2])
def test_numbers_of_the_sets_are_those_of_the_photos(sources, tmp_path, variants):
    made = shown(sources, tmp_path, variants=variants)
    assert len(made) == 12  # two batches in a round of the photos: the last are shown again
    for photos, sets in made:
        assert sets == [SETS[number] for number in photos]


@pytest.mark.parametrize("variants", [0, 2])
def test_numbers_of_the_sets_are_the_same_from_any_step_on(sources, tmp_path, variants):
    whole = shown(sources, tmp_path, variants=variants)
    assert shown(sources, tmp_path, variants=variants, first=5) == whole[5:]


def test_batches_kept_without_sets_serve_a_run_with_sets(sources, tmp_path):
    without = shown(sources, tmp_path, variants=2, sets=None)
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    made = shown(sources, tmp_path, variants=2)
    assert [photos for (photos,) in without] == [photos for photos, _ in made]
    assert all(sets == [SETS[number] for number in photos] for photos, sets in made)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == kept
