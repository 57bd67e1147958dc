"""What an evaluation scores: models, folders of maps, and models with a data set's own numbers."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from saliency.errors import DatasetError
from saliency.evaluation.map_folder import MapFolder, MapKind
from saliency.model.loading import Look, Predict, at_photo_size, load_look
from saliency.prediction.shipped_models import is_shipped

ADAPTED = ", adapted"
"""What the name of a model ends with where a data set's own numbers are in its predictions."""


def load_models(
    paths: Sequence[Path], *, map_kind: MapKind = "auto"
) -> dict[str, Look | MapFolder]:
    """Return models by name: `model` for a single one, else the paths.

    Args:
        paths: .onnx and .safetensors files, and folders of saliency maps.
        map_kind: what the folders hold.

    Raises:
        CheckpointError: a file is no model.
    """
    names = [path.stem if is_shipped(path) else str(path) for path in paths]
    names = ["model"] if len(paths) == 1 else names
    return {
        name: MapFolder(path, map_kind) if path.is_dir() else load_look(path)
        for name, path in zip(names, paths, strict=True)
    }


def read_adapters(path: Path | None, names: Sequence[str]) -> dict[str, Callable[[Look], Look]]:
    """Return, by data set, a function that adapts a model to the data set.

    Args:
        path: file of the numbers; None for none.
        names: of the data sets, each of which is to be in the file.

    Raises:
        DatasetError: the file cannot be read, or has no numbers of a data set.
    """
    if path is None:
        return {}
    from saliency.model.dataset_bias_file import read_numbers  # noqa: PLC0415  torch takes seconds

    numbers = read_numbers(path)
    for name in names:
        if name not in numbers:
            raise DatasetError(
                f"{path}: expected numbers of {name}, got those of {', '.join(numbers) or 'none'}; "
                "fit them with `saliency adapt`, or score this data set by itself"
            )
    return {name: numbers[name].adapt for name in names}


def scored_models(
    looks: Mapping[str, Look | MapFolder], adapt: Callable[[Look], Look] | None
) -> dict[str, Predict | MapFolder]:
    """Return what is scored on a data set: the models, each with its adapted one behind it.

    A folder of maps is not a density, so it is not adapted.
    """
    models: dict[str, Predict | MapFolder] = {}
    for name, look in looks.items():
        models[name] = look if isinstance(look, MapFolder) else at_photo_size(look)
        if adapt is not None and not isinstance(look, MapFolder):
            models[f"{name}{ADAPTED}"] = at_photo_size(adapt(look))
    return models
