"""Quick figures and pictures on validation images while a model trains."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, UInt8
from lightning_fabric import Fabric
from numpy import ndarray

from saliency.colour_map import colours_of, density_levels
from saliency.evaluation.metrics import auc, information_gain_bits, nss
from saliency.fixations.center_bias import CenterBias
from saliency.fixations.density import empirical_density
from saliency.fixations.scene import Scene, rescale_fixations
from saliency.model.network import SaliencyModel
from saliency.photo.reading import read_photo
from saliency.prediction.processing import resize_photo

PICTURE_HEIGHT = 240


def working_photo(scene: Scene, model: SaliencyModel) -> UInt8[ndarray, "height width 3"]:
    """Return the photo of a scene at the size at which the model looks at it."""
    return model.as_seen(read_photo(scene.path))


def validate(
    model: SaliencyModel,
    scenes: Sequence[Scene],
    *,
    baseline: CenterBias,
    fabric: Fabric | None = None,
) -> dict[str, float]:
    """Return the mean information gain (bits), NSS and AUC over scenes, at the model's own size.

    These are for choosing among the epochs of a run. `saliency evaluate` gives the figures to
    publish, at the size of the photos.

    Args:
        model: in evaluation mode.
        scenes: each with fixations, at least one scene.
        baseline: the center bias of the training images.
        fabric: whose processes, all of which call this, share the scenes; each returns the figures
            of all, the same that one process would. None to score them all here.
    """
    rank, processes = (0, 1) if fabric is None else (fabric.global_rank, fabric.world_size)
    figures = np.zeros((len(scenes), 3))
    for index in range(rank, len(scenes), processes):
        scene = scenes[index]
        photo = working_photo(scene, model)
        log_density = predict(model, photo)
        height, width = log_density.shape
        fixations = rescale_fixations(
            scene.fixations, from_size=(scene.width, scene.height), to_size=(width, height)
        )
        bias = baseline.log_density((height, width))
        figures[index] = (
            information_gain_bits(log_density, fixations, baseline=bias),
            nss(np.exp(log_density), fixations),
            auc(log_density, fixations),
        )
    if fabric is not None and processes > 1:  # zero but where they were scored
        shared: Any = fabric.all_reduce(torch.from_numpy(figures), reduce_op="sum")
        figures = shared.cpu().numpy()
    means = figures.mean(axis=0)
    names = ("information_gain_bits", "nss", "auc")
    return {name: float(mean) for name, mean in zip(names, means, strict=True)}


def predict(
    model: SaliencyModel, photo: UInt8[ndarray, "height width 3"]
) -> Float64[ndarray, "height width"]:
    """Return a model's log density for a photo, at the photo's size."""
    device = model.center_bias.device
    with torch.inference_mode():
        log_density = model(torch.tensor(photo)[None].to(device))[0]
    return np.asarray(log_density.double().cpu().numpy())


def draw_comparison(
    model: SaliencyModel, scenes: Sequence[Scene]
) -> UInt8[ndarray, "height width 3"]:
    """Return a picture with a row for each scene: photo, fixations' density, prediction."""
    rows = [_draw_row(model, scene) for scene in scenes]
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 4), (0, width - row.shape[1]), (0, 0))) for row in rows]
    return np.concatenate(padded)


def _draw_row(model: SaliencyModel, scene: Scene) -> UInt8[ndarray, "height width 3"]:
    photo = working_photo(scene, model)
    truth = empirical_density(
        scene.fixations, width=scene.width, height=scene.height, sigma_px=scene.sigma_px
    )
    width = max(1, round(PICTURE_HEIGHT * scene.width / scene.height))
    prediction = np.exp(predict(model, photo))
    panels = [photo, colours_of(density_levels(truth)), colours_of(density_levels(prediction))]
    return np.concatenate(
        [resize_photo(panel, (width, PICTURE_HEIGHT)) for panel in panels], axis=1
    )
