"""Models' scores on data sets: as a table for people, as plain values for JSON."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from saliency.datasets.dataset import Dataset
from saliency.datasets.layouts.registry import read_dataset
from saliency.datasets.splits import Part, select
from saliency.errors import DatasetError
from saliency.evaluation.map_folder import MapFolder, MapKind
from saliency.evaluation.observer_ceiling import Ceiling, Mixture
from saliency.evaluation.reference import DatasetReference
from saliency.evaluation.scored_models import load_models, read_adapters, scored_models
from saliency.evaluation.scoring import CEILING, SceneScores, evaluate_scenes
from saliency.evaluation.summary import Figure, compare, explained_share, summarise_rows
from saliency.fixations.center_bias import Smoothing
from saliency.fixations.scene import Scene
from saliency.model.loading import Predict


@dataclass(frozen=True)
class Choices:
    """What to score and how.

    Attributes:
        part: of each data set's images.
        fold: (folds, fold) of a cross-validation, instead of the part; None without.
        parts: rule of the parts and folds, `hashed` or `published`.
        limit: most images of each data set; None for all.
        seed: draws the non-fixations and the images of the bootstrap.
        maps: `optimal` where each metric gets the map that is best for it, or `density`.
        has_ceiling: whether the observers are compared with each other.
        numbers: of data sets, by name; models are scored with those of a set too. None without.
        map_kind: what folders of maps hold.
    """

    part: Part = "validation"
    fold: tuple[int, int] | None = None
    parts: str = "hashed"
    limit: int | None = None
    seed: int = 0
    maps: Literal["optimal", "density"] = "optimal"
    has_ceiling: bool = False
    numbers: Path | None = None
    map_kind: MapKind = "auto"


@dataclass(frozen=True)
class Result:
    """The scores of one data set.

    Attributes:
        name: of the data set.
        models: by name, as in the rows; adapted models differ between data sets.
        scenes: that were scored.
        rows: their scores, in the same order.
        clipped_count: fixations of the data set that were moved to the border.
        excluded_count: fixations of the data set that were left out.
        unseen_count: its images without fixations, which were left out.
        smoothing: of the center bias.
        mixtures: of the ceiling, by fold; empty without one.
        seed: of the bootstrap.
    """

    name: str
    models: Mapping[str, Predict | MapFolder]
    scenes: tuple[Scene, ...]
    rows: tuple[SceneScores, ...]
    clipped_count: int
    excluded_count: int
    unseen_count: int
    smoothing: Smoothing
    mixtures: tuple[Mixture, ...]
    seed: int

    def figures(self) -> dict[str, dict[str, Figure | None]]:
        """Return the figures of the predictions, with the comparisons behind the models."""
        means = summarise_rows(self.rows, seed=self.seed)
        first, *others = self.models
        compared = {
            f"{other} − {first}": compare(self.rows, first, other, seed=self.seed)
            for other in others
        }
        models = {name: means.pop(name) for name in self.models}
        return {**models, **compared, **means}

    def explained(self) -> dict[str, Figure]:
        """Return the share of the explainable information of each model that has one."""
        shares = {name: explained_share(self.rows, name, seed=self.seed) for name in self.models}
        return {name: share for name, share in shares.items() if share is not None}


def evaluate_all(paths: Sequence[Path], specs: Sequence[str], choices: Choices) -> list[Result]:
    """Return the results on data sets, all of which are read before the first is scored.

    Args:
        paths: models, as `load_models` takes them.
        specs: data sets as `LAYOUT:PATH`.
        choices: what to score and how.

    Returns:
        One result for each data set.

    Raises:
        SaliencyError: a model, a data set or a photo cannot be used.
    """
    datasets = [read_dataset(spec) for spec in specs]
    parts = [_chosen_scenes(dataset, choices) for dataset in datasets]
    looks = load_models(paths, map_kind=choices.map_kind)
    adapt = read_adapters(choices.numbers, [dataset.name for dataset in datasets])
    return [
        _evaluate(scored_models(looks, adapt.get(dataset.name)), dataset, scenes, choices)
        for dataset, scenes in zip(datasets, parts, strict=True)
    ]


def _chosen_scenes(dataset: Dataset, choices: Choices) -> tuple[Scene, ...]:
    """Return the scenes to score."""
    print(dataset.describe(), file=sys.stderr)
    if len(dataset.scenes) < 2:
        raise DatasetError(
            f"{dataset.name}: expected at least 2 images with fixations, got "
            f"{len(dataset.scenes)}; an image is compared with the others of its data set"
        )
    scenes = select(dataset.scenes, choices.part, parts=choices.parts, fold=choices.fold)
    if choices.fold is None:
        part, remedy = str(choices.part), "score all of them"
    else:
        folds, fold = choices.fold
        part, remedy = f"fold {fold} of {folds}", "make fewer folds"
    if not scenes:
        raise DatasetError(
            f"{dataset.name}: none of its {len(dataset.scenes)} images is in the part "
            f"{part}; {remedy}"
        )
    return scenes[: choices.limit]


def _evaluate(
    models: Mapping[str, Predict | MapFolder],
    dataset: Dataset,
    scenes: tuple[Scene, ...],
    choices: Choices,
) -> Result:
    reference = DatasetReference(dataset.scenes, seed=choices.seed)
    ceiling = None
    if choices.has_ceiling:
        ceiling = Ceiling(dataset.scenes, reference, is_optimal=choices.maps == "optimal")
    scored = evaluate_scenes(
        models,
        scenes,
        reference,
        is_optimal=choices.maps == "optimal",
        others={} if ceiling is None else {CEILING: ceiling},
    )
    rows = tqdm(scored, total=len(scenes), desc=dataset.name, unit="image", file=sys.stderr)
    return Result(
        name=dataset.name,
        models=models,
        scenes=scenes,
        rows=tuple(rows),
        clipped_count=dataset.clipped_count,
        excluded_count=dataset.excluded_count,
        unseen_count=len(dataset.unseen),
        smoothing=reference.smoothing,
        mixtures=() if ceiling is None else ceiling.mixtures,
        seed=choices.seed,
    )
