"""Fit the confidence of a model's windows to the windows that people prefer.

A case is one photo, one ratio and one size: the window that scores best beside the centred
one. It is a success if the window keeps more of the photo's fixations; as many are not a
success. Cases whose best window is the centred one contain no information and are left out.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from jaxtyping import Bool, Float64
from numpy import ndarray
from scipy.optimize import minimize

from saliency.crop_windows.best_windows import centred
from saliency.crop_windows.confidence import CALIBRATION_KEY, Calibration, Evidence, gather_evidence
from saliency.crop_windows.search import best_place
from saliency.crop_windows.summed_area_table import ShareTable
from saliency.crop_windows.window_score import WindowScore
from saliency.errors import CheckpointError, first_line
from saliency.evaluation.crop_quality import kept_share
from saliency.files import write_whole
from saliency.fixations.scene import Scene
from saliency.geometry import largest_size, parse_aspect
from saliency.photo.reading import read_photo
from saliency.prediction.model_metadata import METADATA_KEY, parse_metadata
from saliency.prediction.predictor import Predictor

RATIOS = ("1:1", "9:16", "16:9", "4:5", "1.91:1", "2:3", "3:2", "1:2")
SCALES = (1.0, 0.8, 0.6)
"""Of the largest window of a ratio: zoomed windows are smaller."""

_PENALTY = 1e-5  # on the squared weights, for cases that can be separated without error


@dataclass(frozen=True)
class Case:
    """A model's evidence for one window, and whether people's fixations prefer it.

    Attributes:
        scene: name of the photo's scene.
        evidence: for the window beside the centred one.
        is_preferred: whether it keeps more fixations.
    """

    scene: str
    evidence: Evidence
    is_preferred: bool


def gather_cases(predictor: Predictor, scenes: Sequence[Scene]) -> list[Case]:
    """Return the cases of all scenes.

    Raises:
        PhotoError: a photo cannot be read.
    """
    return [case for scene in scenes for case in _cases_of(scene, predictor)]


def fit_calibration(cases: Sequence[Case]) -> Calibration:
    """Return the logistic regression under which the cases are likeliest, each weighed equally.

    Raises:
        ValueError: there are no cases.
    """
    if not cases:
        raise ValueError("expected at least one case, got none")
    features = np.array([(1.0, *case.evidence.features()) for case in cases])
    signs = np.where(outcomes_of(cases), 1.0, -1.0)

    def loss(weights: Float64[ndarray, " weights"]) -> tuple[float, Float64[ndarray, " weights"]]:
        margins = signs * (features @ weights)
        pull = -signs / (1 + np.exp(np.minimum(margins, 500)))
        value = np.logaddexp(0, -margins).mean() + _PENALTY / 2 * (weights[1:] ** 2).sum()
        slope = features.T @ pull / len(cases) + _PENALTY * np.array([0.0, *weights[1:]])
        return float(value), slope

    weights = minimize(loss, np.zeros(features.shape[1]), jac=True, method="L-BFGS-B").x
    return Calibration(*(float(weight) for weight in weights))


def fit_without_own(
    cases: Sequence[Case], *, folds: int = 10, seed: int = 0
) -> dict[str, Calibration]:
    """Return for each photo, by its scene's name, a fit to the cases of other photos.

    Args:
        cases: of at least two photos.
        folds: into how many parts the photos fall; each gets the fit to the others.
        seed: draws the parts.

    Raises:
        ValueError: there are fewer than two photos.
    """
    names = sorted({case.scene for case in cases})
    if len(names) < 2:
        raise ValueError(f"expected cases of at least 2 photos, got {len(names)}")
    drawn = np.random.default_rng(seed).permutation(len(names)) % min(folds, len(names))
    fold_of = dict(zip(names, drawn, strict=True))
    fits = [
        fit_calibration([case for case in cases if fold_of[case.scene] != fold])
        for fold in range(drawn.max() + 1)
    ]
    return {name: fits[fold] for name, fold in fold_of.items()}


def cross_validate(
    cases: Sequence[Case], *, folds: int = 10, seed: int = 0
) -> Float64[ndarray, " cases"]:
    """Return the probability of each case by the fit without its own photo (`fit_without_own`)."""
    fits = fit_without_own(cases, folds=folds, seed=seed)
    return np.array([fits[case.scene].probability(case.evidence) for case in cases])


def store_calibration(path: Path, calibration: Calibration, *, notes: dict[str, Any]) -> None:
    """Write a calibration into the metadata of an .onnx model, replacing the file.

    A checksum beside it, `NAME.onnx.sha256`, is written anew too.

    Args:
        path: of the model.
        calibration: what to write.
        notes: on the fit, stored beside it.

    Raises:
        CheckpointError: the file is not an ONNX model of this package.
        SaliencyError: it cannot be written.
    """
    try:
        model = onnx.load(path)
    except Exception as error:  # of protobuf's, which are not public
        raise CheckpointError(
            f"expected an .onnx model, got {path}: {first_line(error)}"
        ) from error
    entries = [entry for entry in model.metadata_props if entry.key == METADATA_KEY]
    metadata = parse_metadata(entries[0].value if entries else None, path)
    metadata[CALIBRATION_KEY] = calibration.to_json() | notes
    entries[0].value = json.dumps(metadata)
    content = model.SerializeToString()
    write_whole(content, path, overwrite=True)
    checksum = path.with_name(path.name + ".sha256")
    if checksum.exists():
        digest = hashlib.sha256(content).hexdigest()
        write_whole(f"{digest}  {path.name}\n".encode(), checksum, overwrite=True)


def outcomes_of(cases: Sequence[Case]) -> Bool[ndarray, " cases"]:
    """Return for each case whether people prefer the window."""
    return np.array([case.is_preferred for case in cases], dtype=np.bool_)


def _cases_of(scene: Scene, predictor: Predictor) -> Iterator[Case]:
    """Yield the cases of one photo."""
    photo_size = scene.width, scene.height
    density = predictor.density(read_photo(scene.path))
    table = ShareTable(density, photo_size)
    score = WindowScore(density, table)
    for ratio in RATIOS:
        most = largest_size(photo_size, parse_aspect(ratio))
        for scale in SCALES:
            size = max(1, round(most[0] * scale)), max(1, round(most[1] * scale))
            window = best_place(table, size, score=score)
            centre = centred(size, photo_size)
            if window != centre:
                evidence = gather_evidence(table, window, centre)
                is_preferred = kept_share(scene, window) > kept_share(scene, centre)
                yield Case(scene.name, evidence, is_preferred)
