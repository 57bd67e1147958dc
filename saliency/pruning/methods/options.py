"""How to prune a model: one frozen record, the source of every default."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Literal

from saliency.checks import Ranges, check_values

PRUNING_CHOICES = {
    "method": ("ranking", "l0", "lasso", "slimming"),
    "estimator": ("hard-concrete", "reinforce", "rebar", "relax"),
    "cost": ("latency", "flops", "params", "none"),
    "signal": ("fisher", "taylor", "magnitude", "activation", "random"),
    "engine": ("onnxruntime", "onnxruntime-int8", "torch", "openvino", "openvino-bfloat16"),
}
"""What the fields that are a choice may be."""

HELD_SHARE = 0.125
"""Of its channels that each group keeps where nothing else holds it: all but `ranking`."""

_BLOCK = 8  # channels within which fewer save no time

_RANGES: Ranges = (
    ("at least 1", lambda value: value >= 1, ("steps", "threads")),
    ("above 1", lambda value: value > 1, ("speedup",)),
    ("above 0", lambda value: value > 0, ("target_ms", "rate_share")),
    ("at least 0", lambda value: value >= 0, ("beta",)),
    ("from 0 to below 1", lambda value: 0 <= value < 1, ("forget", "least")),
    ("above 0 and below 1", lambda value: 0 < value < 1, ("time_share",)),
)


@dataclasses.dataclass(frozen=True)
class PruningOptions:
    """How to prune; every field is an option of `saliency prune` of the same name.

    Attributes:
        target_ms: time that the pruned model may take; or
        speedup: how many times faster it is to be; or neither, with `beta`.
        beta: rise of the loss that a unit of the cost is worth; without it the cheapest saving
            is removed first.
        method: how channels are chosen: `ranking` removes those of least signal, `l0` learns gates
            (L0 regularisation), `lasso` shortens the weights that make a channel (group lasso),
            `slimming` the scales of its batch norms.
        estimator: of the gradient of the gates with `l0`: `hard-concrete`, `reinforce`, `rebar`,
            `relax`.
        cost: what a channel costs: `latency`, `flops`, `params`, `none`.
        signal: how `ranking` estimates the rise of the loss: `fisher`, `taylor`, `magnitude`,
            `activation`, `random`.
        steps: training steps before each removal.
        time_share: share of the present time that each removal saves.
        forget: share of the evidence for the signals that is discarded after a removal.
        rate_share: learning rates while pruning, as shares of the greatest while fine-tuning.
        least: share of its channels that each group keeps (`least_of`); None for 0, which is one
            channel, with `ranking` and `HELD_SHARE` with the other methods.
        engine: what will run the model: `onnxruntime`, `onnxruntime-int8` (convolutions in 8-bit
            integers), `torch`, `openvino`, `openvino-bfloat16`.
        threads: how many it may use.
        size: height and width of the photo for which time counts, as the network gets it; None
            for those of a photo of 4:3 at the area at which the model looks at it.
    """

    target_ms: float | None = None
    speedup: float | None = None
    beta: float | None = None
    method: Literal["ranking", "l0", "lasso", "slimming"] = "ranking"
    estimator: Literal["hard-concrete", "reinforce", "rebar", "relax"] = "hard-concrete"
    cost: Literal["latency", "flops", "params", "none"] = "latency"
    signal: Literal["fisher", "taylor", "magnitude", "activation", "random"] = "fisher"
    steps: int = 40
    time_share: float = 0.04
    forget: float = 0.5
    rate_share: float = 0.4
    least: float | None = None
    engine: str = "onnxruntime"
    threads: int = 1
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Refuse values with which no run could come to its end.

        Raises:
            ValueError: a number is out of its range, a word is none of `PRUNING_CHOICES`, or not
                exactly one of target, speedup and β must be given.
        """
        check_values(self, _RANGES, PRUNING_CHOICES)
        if sum(value is not None for value in (self.target_ms, self.speedup, self.beta)) != 1:
            raise ValueError(
                "expected exactly one of target_ms (--target), speedup (--speedup) and beta "
                "(--beta)"
            )
        if self.beta is not None and self.method != "ranking":
            raise ValueError(
                f"expected --target or --speedup with --method {self.method}, which finds its own "
                "multiplier; --beta is for --method ranking"
            )

    def least_of(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """Return how many channels each group keeps, of those that the unpruned model has.

        They are whole blocks of 8 where a group has at least two, as fewer would save no time.
        """
        share = self.least
        if share is None:
            share = 0.0 if self.method == "ranking" else HELD_SHARE
        least = {}
        for name, size in sizes.items():
            blocks = math.ceil(share * size / _BLOCK) * _BLOCK
            least[name] = blocks if 0 < blocks <= size / 2 else max(1, math.ceil(share * size))
        return least
