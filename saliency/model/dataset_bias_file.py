"""The ten numbers of data sets as a file, and the predictions of a model adapted by them.

    {"format_version": 1, "sets": {"osie": {
        "blur": 0.004,              as a share of the square root of the photo's area
        "sharpness": 1.02,          factor on the log density
        "bias": {"x": 0.01, "y": -0.2, "xx": -0.4, …}}}}

They are stored beside a model and not in it: the bias of a set comes from how it was recorded, and
is no reason to crop a photo differently. `saliency.model.dataset_bias` explains them.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from saliency.errors import DatasetError
from saliency.files import write_whole
from saliency.model.dataset_bias import TERMS, DatasetBias, expected_in_set
from saliency.model.loading import Look

FORMAT_VERSION = 1
TERM_NAMES = tuple("x" * i + "y" * j for i, j in TERMS)
"""Of the bias, in the order of `TERMS`."""


@dataclass(frozen=True)
class SetNumbers:
    """The ten numbers of one data set.

    Attributes:
        blur: standard deviation of a Gaussian, as a share of the square root of the area.
        sharpness: factor on the log density.
        bias: weights of `TERMS`.
    """

    blur: float
    sharpness: float
    bias: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse numbers that give no density.

        Raises:
            ValueError: blur or sharpness are not above 0, a number is not finite, or the weights
                are not as many as the terms.
        """
        is_finite = all(map(math.isfinite, (self.blur, self.sharpness, *self.bias)))
        is_fine = is_finite and self.blur > 0 and self.sharpness > 0
        if not is_fine or len(self.bias) != len(TERMS):
            raise ValueError(
                f"expected blur and sharpness above 0 and {len(TERMS)} weights, got {self}"
            )

    def adapt(self, look: Look) -> Look:
        """Return the model adapted to this data set."""
        return lambda photo: self.expect(look(photo))

    def expect(self, log_density: Float[ndarray, "rows columns"]) -> Float[ndarray, "rows columns"]:
        """Return a log density of the model, adapted to this data set."""
        shared = torch.from_numpy(np.ascontiguousarray(log_density, np.float32))[None]
        with torch.inference_mode():
            own = expected_in_set(
                shared,
                blur=torch.tensor([self.blur]),
                sharpness=torch.tensor([self.sharpness]),
                bias=torch.tensor([self.bias]),
            )
        return np.asarray(own[0].numpy())


def learned_numbers(set_bias: DatasetBias, names: tuple[str, ...]) -> dict[str, SetNumbers]:
    """Return the numbers that were learned beside a model, by data set."""
    columns = [values.detach().cpu().tolist() for values in set_bias.numbers()]
    return {
        name: SetNumbers(blur, sharpness, tuple(bias))
        for name, blur, sharpness, bias in zip(names, *columns, strict=True)
    }


def write_numbers(numbers: Mapping[str, SetNumbers], path: Path, *, overwrite: bool) -> None:
    """Write the numbers of data sets.

    Raises:
        SaliencyError: the file cannot be written, or is there already and is not to be replaced.
    """
    sets = {name: dataclasses.asdict(own) for name, own in numbers.items()}
    for own in sets.values():
        own["bias"] = dict(zip(TERM_NAMES, own["bias"], strict=True))
    text = json.dumps({"format_version": FORMAT_VERSION, "sets": sets}, indent=1) + "\n"
    write_whole(text.encode(), path, overwrite=overwrite)


def read_numbers(path: Path) -> dict[str, SetNumbers]:
    """Return the numbers in a file, by data set.

    Raises:
        DatasetError: there is no such file, or it is damaged.
    """
    try:
        stored: Any = json.loads(path.read_text(encoding="utf-8"))
        if stored["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format_version {stored['format_version']}")
        return {name: _parse(own) for name, own in stored["sets"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"{path}: expected the numbers of data sets as `saliency adapt` writes them, got "
            f"something else ({type(error).__name__}: {error}); write it anew"
        ) from error


def _parse(own: Mapping[str, Any]) -> SetNumbers:
    bias = own["bias"]
    return SetNumbers(
        float(own["blur"]), float(own["sharpness"]), tuple(float(bias[term]) for term in TERM_NAMES)
    )
