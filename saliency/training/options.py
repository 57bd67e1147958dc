"""How to train a model: one frozen record, the source of every default."""

import dataclasses

from saliency.checks import Ranges, check_values

CHOICES = {
    "readout": ("top-down", "pointwise"),
    "set_bias": ("auto", "shared", "own"),
    "weights": ("timm", "package", "none"),
    "device": ("auto", "cpu", "cuda", "mps"),
    "keep": ("nothing", "ewc", "l2"),
    "precision": ("auto", "32-true", "bf16-mixed", "16-mixed"),
}
"""What the fields that are a choice may be."""

PARTS = ("hashed", "published")
"""Rules by which images are for training or validation: see `saliency.datasets.splits`."""


_COUNTS = (
    *("input_pixels", "teacher_pixels", "epochs", "batch_size", "patience", "devices", "nodes"),
    *("torch_threads", "readout_channels"),
)
_INTERVALS = ("save_steps", "picture_epochs")
_MAY_BE_ZERO = (
    "workers",
    "variants",
    "seed",
    "backbone_rate",
    "weight_decay",
    "blur",
    "feature_weight",
    "keep_strength",
)
_RANGES: Ranges = (
    ("at least 1", lambda value: value >= 1, _COUNTS + _INTERVALS),
    ("at least 0", lambda value: value >= 0, _MAY_BE_ZERO),
    ("above 0", lambda value: value > 0, ("readout_rate", "clip")),
    ("from 0 to below 1", lambda value: 0 <= value < 1, ("ema_decay",)),
    ("from 0 to 1", lambda value: 0 <= value <= 1, ("teacher_weight",)),
    ("from 0 to 2", lambda value: 0 <= value <= 2, ("strength",)),
)


@dataclasses.dataclass(frozen=True)
class TrainingOptions:
    """How to train; every field is an option of `saliency train` of the same name.

    Attributes:
        backbone: name of a timm network.
        levels: its feature maps to use, as indexes into its `feature_info`.
        readout: `top-down` or `pointwise`.
        readout_channels: width of the top-down readout.
        weights: where its ImageNet weights come from: `timm`, `package`, `none`.
        input_pixels: area to which photos are resized before the network; None for that of the
            model to start from, or of a new network. A teacher model that was trained for more
            looks at the same photos at its own size.
        epochs: how often each image is shown, at most.
        batch_size: images of one step, over all devices.
        backbone_rate: greatest learning rate of the backbone.
        readout_rate: greatest learning rate of all the rest.
        weight_decay: of AdamW.
        clip: greatest norm of the gradient.
        ema_decay: of the moving average of the weights, which is what is kept.
        patience: epochs without a gain on the validation images after which to stop.
        teacher_weight: share of the teachers in the target of images with fixations.
        teacher_pixels: area to which photos are resized before a teacher model; None for its own.
        feature_weight: weight of a teacher model's features, beside the cross-entropy in nats.
        variants: of each photo, which are made once, kept with the teacher model's densities, and
            shown again in later epochs; 0 makes new ones in each epoch.
        blur: error of the measured fixations, as a share of the square root of the area.
        strength: of the changes in colour, 0 to 2.
        precision: of Fabric: `32-true`, `bf16-mixed`, `16-mixed`; `auto` for the device's best.
        device: `auto`, `cpu`, `cuda`, `mps`.
        devices: how many of them on a node, with a process for each.
        nodes: machines that train together.
        torch_threads: threads of the network on a CPU; None for one per core. Two that share a
            busy core wait for each other at every layer.
        workers: processes that load images, for each device.
        save_steps: steps between two saved states.
        picture_epochs: epochs between two pictures.
        set_bias: `own` to learn a bias and a smoothing for each data set beside the model, so that
            the model keeps what they share, and nothing that is particular to one; `shared` for
            the model alone; `auto` for `own` where there are several data sets.
        keep: how the model is kept near the weights that it starts with: `ewc`, elastic weight
            consolidation by the Fisher values beside it; `l2`, all weights alike; `nothing`.
        keep_strength: weight of that penalty; at 1 the old images weigh as much as the new ones
            under `ewc`.
        cache: folder in which photos are kept decoded; None to decode them every time.
        seed: of everything random.
    """

    backbone: str = "tf_efficientnet_lite0"
    levels: tuple[int, ...] = (1, 2, 3, 4)
    readout: str = "top-down"
    readout_channels: int = 64
    weights: str = "timm"
    input_pixels: int | None = None
    epochs: int = 10
    batch_size: int = 16
    backbone_rate: float = 3e-4
    readout_rate: float = 3e-3
    weight_decay: float = 1e-4
    clip: float = 1.0
    ema_decay: float = 0.99
    patience: int = 4
    teacher_weight: float = 0.25
    teacher_pixels: int | None = None
    feature_weight: float = 2.0
    variants: int = 0
    blur: float = 0.015
    strength: float = 1.0
    precision: str = "auto"
    device: str = "auto"
    devices: int = 1
    nodes: int = 1
    torch_threads: int | None = None
    workers: int = 2
    save_steps: int = 25
    picture_epochs: int = 2
    set_bias: str = "auto"
    keep: str = "nothing"
    keep_strength: float = 1.0
    cache: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values with which no run could end.

        Raises:
            ValueError: a number is out of its range, a word is none of `CHOICES`, the levels are
                not in rising order, or the processes cannot share a batch evenly.
        """
        check_values(self, _RANGES, CHOICES)
        processes = self.devices * self.nodes
        if self.batch_size % processes:
            lower = self.batch_size // processes * processes
            raise ValueError(
                f"expected a batch_size that {processes} processes can share evenly, such as "
                f"{lower or processes} or {lower + processes}, got {self.batch_size}"
            )
        if not self.levels or self.levels[0] < 0 or list(self.levels) != sorted(set(self.levels)):
            raise ValueError(f"expected levels of at least 0 in rising order, got {self.levels}")
