"""Everything that is needed to rebuild a model before its weights are loaded."""

import dataclasses
from typing import Any, Literal, get_args

NEW_INPUT_PIXELS = 384 * 288
"""Area to which photos are resized before a new network."""

Readout = Literal["top-down", "pointwise"]


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Everything that is needed to rebuild a model before its weights are loaded.

    Attributes:
        backbone: name of a timm network.
        levels: feature maps used, as indexes into the network's `feature_info`, fine to coarse.
        readout: `top-down` over all levels, or `pointwise` (Theis et al. 2018) on the last.
        readout_channels: width of the top-down readout.
        input_pixels: area to which a photo is resized, its proportions kept, before the network.
    """

    backbone: str = "tf_efficientnet_lite0"
    levels: tuple[int, ...] = (1, 2, 3, 4)
    readout: Readout = "top-down"
    readout_channels: int = 64
    input_pixels: int = NEW_INPUT_PIXELS

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ModelConfig":
        """Return the config that `dataclasses.asdict` turned into `values`, perhaps through JSON.

        Raises:
            ValueError: a field is missing or unknown, or there is no such readout.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if set(values) != names:
            raise ValueError(f"expected the fields {sorted(names)}, got {sorted(values)}")
        if values["readout"] not in get_args(Readout):
            raise ValueError(f"expected a readout of {get_args(Readout)}, got {values['readout']}")
        return cls(**{**values, "levels": tuple(values["levels"])})
