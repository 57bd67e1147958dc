"""The batches of a run: made anew or cached, from several data sets."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import torch
from lightning_fabric import Fabric
from torch.utils.data import DataLoader

from saliency.training.distillation import TeacherModel
from saliency.training.inputs.batch import Batch
from saliency.training.inputs.batch_cache import BatchCache
from saliency.training.inputs.example_dataset import ExampleDataset
from saliency.training.inputs.photo_cache import PhotoCache
from saliency.training.inputs.sampling import WINDOW_SHARE, BatchSampler, Draw, cache_side
from saliency.training.inputs.source import Source
from saliency.training.options import TrainingOptions


def load_batches(
    fabric: Fabric,
    sources: Sequence[Source],
    options: TrainingOptions,
    *,
    pixels: int,
    size_multiple: int,
    first_step: int,
    last_step: int,
    teacher_model: TeacherModel | None = None,
    examples: Path | None = None,
    datasets: Sequence[int] | None = None,
) -> Iterator[Batch]:
    """Return the photos and targets of the steps from `first_step` up to `last_step`.

    Args:
        fabric: that of the run.
        sources: the photos they are made from.
        options: how; with `variants`, batches are kept and shown again.
        pixels: area of an example.
        size_multiple: of which heights and widths are multiples.
        first_step: where to begin.
        last_step: where to stop.
        teacher_model: whose densities are mixed into the targets of batches that are kept.
        examples: the folder of cached batches.
        datasets: number of the data set of each source, wanted in each batch; None if not.

    Raises:
        CheckpointError: the folder cannot be used, or keeps other batches.
    """
    plan = partial(
        BatchSampler,
        len(sources),
        batch_size=options.batch_size,
        pixels=pixels,
        size_multiple=size_multiple,
        seed=options.seed,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
    )
    has_teacher_model = teacher_model is not None
    make = partial(
        _fresh_batches,
        fabric,
        sources,
        options,
        pixels=pixels,
        has_teacher_model=has_teacher_model,
    )
    planned = plan(first_step=first_step, last_step=last_step)
    if not options.variants:
        return _with_datasets(fabric, make(planned), planned, datasets)
    if examples is None:
        raise ValueError("expected a folder for cached batches, got none")
    count = options.variants * (len(sources) // options.batch_size)

    def make_cached(first: int) -> Iterator[Batch]:
        for batch in make(plan(first_step=first, last_step=count)):
            yield batch if teacher_model is None else teacher_model.mix(fabric, batch)

    made_of = _made_of(sources, options, teacher_model) | {
        "input_pixels": pixels,
        "size_multiple": size_multiple,
        "devices": fabric.world_size,
    }
    cached = BatchCache(
        examples,
        make_cached,
        count=count,
        made_of=made_of,
        rank=fabric.global_rank,
        seed=options.seed,
    )
    shown = map(fabric.to_device, cached.steps(first_step, last_step))
    draws = (planned.draws(cached.number(step)) for step in range(first_step, last_step))
    return _with_datasets(fabric, shown, draws, datasets)


def _with_datasets(
    fabric: Fabric,
    batches: Iterator[Batch],
    draws: Iterable[Sequence[Draw]],
    datasets: Sequence[int] | None,
) -> Iterator[Batch]:
    """Return batches with the numbers of the data sets that their photos were drawn from."""
    if datasets is None:
        return batches
    return (
        batch._replace(
            datasets=fabric.to_device(torch.tensor([datasets[draw.source] for draw in drawn]))
        )
        for batch, drawn in zip(batches, draws, strict=True)
    )


def _made_of(
    sources: Sequence[Source],
    options: TrainingOptions,
    teacher_model: TeacherModel | None,
) -> dict[str, Any]:
    """Return everything that determines the batches, for comparison."""
    digest = hashlib.sha256()
    for source in sources:
        digest.update(f"{source.path.name} {source.width} {source.height}".encode())
        digest.update(source.fixations.tobytes())
        digest.update(b"" if source.teacher is None else source.teacher.tobytes())
    named = {} if teacher_model is None else teacher_model.model.state_dict()
    weights = [named[name].cpu().numpy().tobytes() for name in sorted(named)]
    fields = ("batch_size", "teacher_weight", "blur", "strength", "seed")
    return {
        "sources": digest.hexdigest(),
        "teacher": hashlib.sha256(b"".join(weights)).hexdigest(),
        "window_share": WINDOW_SHARE,
        **{name: getattr(options, name) for name in fields},
    }


def _fresh_batches(
    fabric: Fabric,
    sources: Sequence[Source],
    options: TrainingOptions,
    batches: BatchSampler,
    *,
    pixels: int,
    has_teacher_model: bool,
) -> Iterator[Batch]:
    """Return batches made anew in loading processes."""
    # Loading processes are forked, and OpenCV's threads do not survive that: the call by which a
    # child stops them would never return.
    cv2.setNumThreads(1)
    examples = ExampleDataset(
        sources,
        teacher_weight=options.teacher_weight,
        blur=options.blur,
        strength=options.strength,
        has_teacher_model=has_teacher_model,
        cache=_photo_cache(options, pixels),
    )
    loader = DataLoader(
        examples,
        batch_sampler=batches,
        num_workers=options.workers,
        worker_init_fn=_yield_to_network,
        pin_memory=fabric.device.type == "cuda",
        prefetch_factor=4 if options.workers else None,
    )
    batched: Any = fabric.setup_dataloaders(loader, use_distributed_sampler=False)
    return (Batch(photos, target) for photos, target in batched)


def _photo_cache(options: TrainingOptions, pixels: int) -> PhotoCache | None:
    if options.cache is None:
        return None
    return PhotoCache(Path(options.cache), side=cache_side(pixels))


def _yield_to_network(worker: int) -> None:  # noqa: ARG001  what DataLoader calls
    """Let a loading process run only when the network leaves a core free.

    The threads of a CPU step wait for each other, so one core used for loading stops them all.
    """
    if hasattr(os, "nice"):
        os.nice(19)
