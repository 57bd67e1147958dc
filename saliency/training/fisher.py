"""The Fisher information of a saliency model on the fixations of photos.

The negative log-likelihood of a photo is the mean over its fixations, in nats, as in training; the
true Fisher information draws as many fixations from the model's own density.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
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


def spread_evenly(scenes: Sequence[Scene], most: int = MOST_PHOTOS) -> list[Scene]:
    """Return at most so many scenes, evenly over all."""
    count = min(most, len(scenes))
    return [scenes[index] for index in np.linspace(0, len(scenes) - 1, count).astype(int)]


def log_density_of(model: SaliencyModel, scene: Scene) -> Tensor:
    """Return a model's log density of a photo at its working size, (height, width)."""
    photo = torch.tensor(working_photo(scene, model))[None].to(model.center_bias.device)
    density: Tensor = model(photo)[0]
    return density


def loss_of_scene(log_density: Tensor, scene: Scene) -> Tensor:
    """Return the mean negative log-likelihood of a scene's fixations, in nats, a scalar."""
    height, width = log_density.shape
    fixations = rescale_fixations(
        scene.fixations, from_size=(scene.width, scene.height), to_size=(width, height)
    )
    places = torch.from_numpy(pixel_indexes(fixations, width=width, height=height))
    return -log_density[places[:, 1], places[:, 0]].mean()


def fisher_of_scenes(
    model: SaliencyModel, scenes: Sequence[Scene], *, is_true: bool = False, seed: int = 0
) -> Fisher:
    """Return the diagonal Fisher information of a model on the fixations of photos.

    Args:
        model: in evaluation mode.
        scenes: at least one; each is one example.
        is_true: draw fixations from the model's density instead of taking those of the data.
        seed: of the drawing.

    Raises:
        PhotoError: a photo cannot be read.
    """
    shown = tqdm(scenes, desc="Fisher values", unit="photo", leave=False)
    if not is_true:
        return empirical_fisher(model, _losses(model, shown))
    generator = torch.Generator().manual_seed(seed)
    counts = iter([len(scene.fixations) for scene in scenes])

    def drawn(log_density: Tensor) -> Tensor:
        flat = log_density.flatten()
        places = torch.multinomial(
            flat.detach().exp().cpu(), next(counts), replacement=True, generator=generator
        )
        return -flat[places.to(flat.device)].mean()

    outputs = (partial(log_density_of, model, scene) for scene in shown)
    return true_fisher(model, outputs, drawn)


def _losses(model: SaliencyModel, scenes: Iterable[Scene]) -> Iterator[Callable[[], Tensor]]:
    for scene in scenes:
        yield partial(_loss, model, scene)


def _loss(model: SaliencyModel, scene: Scene) -> Tensor:
    return loss_of_scene(log_density_of(model, scene), scene)
