"""What a command is told to learn from."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saliency.errors import DatasetError


def read_training_data(
    specs: Sequence[str],
    *,
    photos: str | None,
    teachers: Sequence[str],
    fold: tuple[int, int] | None = None,
    examples: str | None = None,
) -> Any:
    """Return what --data, --photos, --teacher and --examples name, as `TrainingData`.

    Args:
        specs: data sets as `LAYOUT:PATH`, or `COUNT*LAYOUT:PATH`, whose images are shown COUNT
            times in each epoch.
        photos: folder of photos without fixations.
        teachers: models.
        fold: (folds, fold): images of the fold are left out for testing, and the others split
            into training and validation as ever; None to leave out none.
        examples: folder of kept batches; None for the run's own.

    Raises:
        DatasetError: a data set is not as it should be, or there are no photos.
    """
    from saliency.datasets import read_dataset, split_folds, split_scenes  # noqa: PLC0415  scipy takes a second
    from saliency.datasets.dataset import list_images  # noqa: PLC0415
    from saliency.training_data import TrainingData  # noqa: PLC0415

    log = logging.getLogger(__name__)
    weighted = [_weight_and_spec(spec) for spec in specs]
    datasets = [read_dataset(spec) for _, spec in weighted]
    for dataset in datasets:
        log.info(dataset.describe())
    _check_unique(
        [*(scene for dataset in datasets for scene in (*dataset.scenes, *dataset.mapped))]
    )
    train: list[Any] = []
    validation: list[Any] = []
    mapped: list[Any] = []
    for (weight, _), dataset in zip(weighted, datasets, strict=True):
        scenes, maps = dataset.scenes, dataset.mapped
        if fold is not None:
            scenes, tested = split_folds(scenes, folds=fold[0], fold=fold[1])
            maps, _ = split_folds(maps, folds=fold[0], fold=fold[1])
            log.info(
                "%s, fold %d of %d: %d images left out for testing",
                dataset.name,
                fold[1],
                fold[0],
                len(tested),
            )
        train += weight * split_scenes(scenes, "train")
        validation += split_scenes(scenes, "validation")
        mapped += weight * split_scenes(maps, "train")
    unseen: tuple[Path, ...] = ()
    if photos is not None:
        root = Path(photos)
        unseen = tuple(root / name for name in list_images(root))
        if not unseen:
            raise DatasetError(f"{root}: expected photos, found none; check the path")
    data = TrainingData(
        train=tuple(train),
        validation=tuple(validation),
        photos=unseen,
        mapped=tuple(mapped),
        teachers=tuple(Path(model) for model in teachers),
        examples=None if examples is None else Path(examples),
    )
    log.info(
        "%d images to train on in an epoch, %d for validation, %d photos without fixations",
        len(data.train) + len(data.mapped),
        len(data.validation),
        len(data.photos),
    )
    return data


def _check_unique(scenes: Sequence[Any]) -> None:
    """Refuse scenes of one name: the split goes by it, and all of one name would weigh double."""
    for name, count in Counter(scene.name for scene in scenes).most_common(1):
        if count > 1:
            raise DatasetError(
                f"expected each image once, got {name} from {count} data sets; give each data set "
                "once, and rename the folder of one of two that are called alike"
            )


def _weight_and_spec(spec: str) -> tuple[int, str]:
    """Return how often the images of a data set are shown in an epoch, and its LAYOUT:PATH.

    Raises:
        DatasetError: what stands before the asterisk is no whole number above 0.
    """
    layout, colon, path = spec.partition(":")
    count, asterisk, layout_alone = layout.rpartition("*")
    if not asterisk:
        return 1, spec
    if not count.isdecimal() or int(count) < 1:
        raise DatasetError(
            f"expected a whole number above 0 before *, such as 3*osie:PATH, got {spec!r}"
        )
    return int(count), f"{layout_alone}{colon}{path}"
