"""How to train a model: one frozen record, the source of every default."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class TrainingOptions:
    """How to train; every field is an option of `saliency train` of the same name.

    Attributes:
        backbone: name of a timm network.
        levels: its feature maps to use, as indexes into its `feature_info`.
        readout: `top-down` or `pointwise`.
        weights: where its ImageNet weights come from: `timm`, `package`, `none`.
        input_pixels: area to which photos are resized.
        epochs: how often each image is shown, at most.
        batch_size: images of one step, over all devices.
        backbone_rate: greatest learning rate of the backbone.
        readout_rate: greatest learning rate of all the rest.
        weight_decay: of AdamW.
        clip: greatest norm of the gradient.
        ema_decay: of the moving average of the weights, which is what is kept.
        patience: epochs without a gain on the validation images after which to stop.
        teacher_weight: share of the teachers in the target of images with fixations.
        blur: error of the measured fixations, as a share of the square root of the area.
        strength: of the changes in colour, 0 to 2.
        precision: of Fabric: `32-true`, `bf16-mixed`, `16-mixed`; `auto` for the device's best.
        device: `auto`, `cpu`, `cuda`, `mps`.
        devices: how many of them.
        workers: processes that load images.
        save_steps: steps between two saved states.
        picture_epochs: epochs between two pictures.
        seed: of everything random.
    """

    backbone: str = "tf_efficientnet_lite0"
    levels: tuple[int, ...] = (1, 2, 3, 4)
    readout: str = "top-down"
    weights: str = "timm"
    input_pixels: int = 384 * 288
    epochs: int = 10
    batch_size: int = 16
    backbone_rate: float = 3e-4
    readout_rate: float = 3e-3
    weight_decay: float = 1e-4
    clip: float = 1.0
    ema_decay: float = 0.99
    patience: int = 4
    teacher_weight: float = 0.25
    blur: float = 0.015
    strength: float = 1.0
    precision: str = "auto"
    device: str = "auto"
    devices: int = 1
    workers: int = 2
    save_steps: int = 25
    picture_epochs: int = 2
    seed: int = 0
