"""The Fisher information of a saliency model on the fixations of photos.

An example is one fixation: its negative log-likelihood is the log of the density at its place, in
nats. Of each photo a few are drawn. So the Fisher information has the units of the training loss,
the mean over fixations, and estimates its curvature; that of whole photos, whose gradients are
means already, would be smaller by up to the number of their fixations.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from saliency.fixations.scene import Scene, pixel_indexes, rescale_fixations
from saliency.model.network import SaliencyModel
from saliency.pruning.fisher import Fisher, empirical_fisher, true_fisher
from saliency.training.validation import working_photo

MOST_PHOTOS = 512
"""Most photos for the Fisher values of a model, spread evenly over those given."""

DRAWS = 2
"""Fixations of each photo."""


def spread_evenly(scenes: Sequence[Scene], most: int = MOST_PHOTOS) -> list[Scene]:
    """Return at most `count` scenes, spread evenly over all."""
    count = min(most, len(scenes))
    return [scenes[index] for index in np.linspace(0, len(scenes) - 1, count).astype(int)]


def log_density_of(model: SaliencyModel, scene: Scene) -> Tensor:
    """Return a model's log density of a photo at its working size, (height, width)."""
    photo = torch.tensor(working_photo(scene, model))[None].to(model.center_bias.device)
    density: Tensor = model(photo)[0]
    return density


def fixation_losses(log_density: Tensor, scene: Scene) -> Tensor:
    """Return the negative log-likelihood of each of a scene's fixations, in nats."""
    height, width = log_density.shape
    fixations = rescale_fixations(
        scene.fixations, from_size=(scene.width, scene.height), to_size=(width, height)
    )
    places = torch.from_numpy(pixel_indexes(fixations, width=width, height=height))
    return -log_density[places[:, 1], places[:, 0]]


def drawn_fixations(scenes: Sequence[Scene], *, seed: int = 0) -> list[tuple[Scene, list[int]]]:
    """Return each scene with the indexes of the fixations that are its examples."""
    random = np.random.default_rng(seed)
    return [(scene, random.integers(0, len(scene.fixations), DRAWS).tolist()) for scene in scenes]


def fisher_of_scenes(
    model: SaliencyModel, scenes: Sequence[Scene], *, is_true: bool = False, seed: int = 0
) -> Fisher:
    """Return the diagonal Fisher information of a model on the fixations of photos.

    Args:
        model: in evaluation mode.
        scenes: at least one.
        is_true: draw fixations from the model's density instead of taking those of the data.
        seed: of the drawing.

    Raises:
        PhotoError: a photo cannot be read.
    """
    shown = tqdm(drawn_fixations(scenes, seed=seed), desc="Fisher values", leave=False)
    if not is_true:
        return empirical_fisher(
            model, (partial(_loss, model, scene, one) for scene, drawn in shown for one in drawn)
        )
    generator = torch.Generator().manual_seed(seed)

    def sampled(log_density: Tensor) -> Tensor:
        flat = log_density.flatten()
        place = torch.multinomial(flat.detach().exp().cpu(), 1, generator=generator)
        return -flat[int(place)]

    outputs = (partial(log_density_of, model, scene) for scene, _ in shown)
    return true_fisher(model, outputs, sampled, draws=DRAWS)


def _loss(model: SaliencyModel, scene: Scene, index: int) -> Tensor:
    return fixation_losses(log_density_of(model, scene), scene)[index]
