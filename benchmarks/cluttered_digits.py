"""Small tasks on real data: handwritten digits of scikit-learn between pieces of other digits.

Each image is 32x32 pixels: a digit of 24x24 pixels somewhere, and three pieces of other digits. A
classifier names the digit; a U-Net marks its pixels.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, interpolate
from torch.utils.data import DataLoader, TensorDataset
from torchvision.models import mobilenet_v3_small, resnet18

SIDE, DIGIT, PIECE, PIECES = 32, 24, 8, 3
PARTS = {"train": (slice(0, 1200), 4000), "validation": (slice(1200, 1400), 600)}
PARTS["test"] = (slice(1400, None), 2000)
"""Which digits, and how many images of them."""

BATCH_SIZE = 16


class UNet(nn.Module):
    """A U-Net of three levels, with transposed convolutions on the way up."""

    def __init__(self, width: int = 16) -> None:
        """Make `width` channels on the first level, twice as many on each further one."""
        super().__init__()
        widths = [width, 2 * width, 4 * width]
        self.down = nn.ModuleList(
            _block(reads, makes) for reads, makes in zip([3, *widths], widths, strict=False)
        )
        self.bottom = _block(widths[-1], 8 * width)
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * one, one, 2, 2) for one in widths)
        self.joined = nn.ModuleList(_block(2 * one, one) for one in widths)
        self.last = nn.Conv2d(width, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logit of each pixel."""
        skipped = []
        maps = images
        for block in self.down:
            maps = block(maps)
            skipped.append(maps)
            maps = nn.functional.max_pool2d(maps, 2)
        maps = self.bottom(maps)
        for up, joined, skip in zip(self.up[::-1], self.joined[::-1], skipped[::-1], strict=True):
            maps = joined(torch.cat([skip, up(maps)], 1))
        return self.last(maps)


def _block(reads: int, makes: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(reads, makes, 3, padding=1, bias=False), nn.BatchNorm2d(makes), nn.ReLU()),
        *(nn.Conv2d(makes, makes, 3, padding=1, bias=False), nn.BatchNorm2d(makes), nn.ReLU()),
    )


@dataclass(frozen=True)
class Trial:
    """A network that learns a task.

    Attributes:
        model: as it is before training.
        pixels: side of the images that it gets.
        marks: whether it marks the digit, instead of naming it.
        parts: images, and what belongs to them, by part.
    """

    model: nn.Module
    pixels: int
    marks: bool
    parts: dict[str, tuple[Tensor, Tensor]]

    @property
    def batches(self) -> DataLoader[tuple[Tensor, ...]]:
        """Return the training images, in another order each time."""
        return DataLoader(TensorDataset(*self.parts["train"]), BATCH_SIZE, shuffle=True)

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """Return the mean loss over a batch."""
        return self.losses(model, batch).mean()

    def losses(self, model: nn.Module, batch: Any) -> Tensor:
        """Return the loss of each image of a batch."""
        given = model(batch[0])
        if self.marks:
            each = binary_cross_entropy_with_logits(given, batch[1], reduction="none")
            return each.mean((1, 2, 3))
        return cross_entropy(given, batch[1], reduction="none")

    @torch.no_grad()
    def score(self, model: nn.Module, part: str) -> float:
        """Return the share of digits named right, or the intersection over union of pixels."""
        images, wanted = self.parts[part]
        given = torch.cat([model.eval()(some) for some in images.split(100)])
        if not self.marks:
            return float((given.argmax(1) == wanted).float().mean())
        marked, true = given > 0, wanted > 0.5
        return float((marked & true).sum() / (marked | true).sum())


def trial(name: str, *, seed: int) -> Trial:
    """Return the trial of a network: its weights and images follow from the seed."""
    torch.manual_seed(seed)
    models: dict[str, tuple[Callable[[], nn.Module], int]] = {
        "ResNet-18": (lambda: resnet18(num_classes=10), 64),
        "MobileNetV3-small": (lambda: mobilenet_v3_small(num_classes=10), 128),
        "U-Net": (UNet, 32),
    }
    create, pixels = models[name]
    marks = name == "U-Net"
    return Trial(create(), pixels, marks, {key: _images(key, pixels, marks) for key in PARTS})


def _images(part: str, pixels: int, marks: bool) -> tuple[Tensor, Tensor]:
    """Return the images of a part, and the digits or their masks: the same for all seeds."""
    which, count = PARTS[part]
    random = torch.Generator().manual_seed(sorted(PARTS).index(part))
    digits = load_digits()
    shapes = torch.tensor(digits.images[which, None] / 16).float()
    shapes = interpolate(shapes, size=DIGIT, mode="bilinear")[:, 0]
    labels = torch.tensor(digits.target[which])

    def draw(*limits: int) -> Iterable[int]:
        return (int(torch.randint(limit, (1,), generator=random)) for limit in limits)

    images, masks = torch.zeros(count, 1, SIDE, SIDE), torch.zeros(count, 1, SIDE, SIDE)
    chosen = torch.randint(len(shapes), (count,), generator=random)
    for image, mask, digit in zip(images[:, 0], masks[:, 0], chosen.tolist(), strict=True):
        for _ in range(PIECES):
            other, y, x, top, left = draw(
                len(shapes), *[SIDE - PIECE + 1] * 2, *[DIGIT - PIECE + 1] * 2
            )
            piece = shapes[other, top : top + PIECE, left : left + PIECE]
            image[y : y + PIECE, x : x + PIECE] = piece
        y, x = draw(*[SIDE - DIGIT + 1] * 2)
        place = (slice(y, y + DIGIT), slice(x, x + DIGIT))
        image[place] = torch.maximum(image[place], shapes[digit])
        mask[place] = (shapes[digit] > 0.3).float()
    images = interpolate(images, size=pixels, mode="bilinear").repeat(1, 3, 1, 1)
    return images, masks if marks else labels[chosen]
