"""What `prune` refuses before anything is measured."""

import pytest
import torch
from torch import nn

from saliency import pruning
from saliency.errors import PruningError

EXAMPLE = torch.zeros(1, 3, 8, 8)
BATCHES = [(torch.zeros(2, 3, 8, 8), torch.tensor([0, 1]))]


def network():
    return nn.Sequential(nn.Conv2d(3, 24, 3), nn.Flatten(), nn.Linear(24 * 36, 2))


def loss(model, batch):
    photos, labels = batch
    return nn.functional.cross_entropy(model(photos), labels)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"example": "photo"}, {"resume": True}, {"tuning_steps": -1}),
        *({"budget_seconds": -1.0}, {"target_ms": 1.0}),
    ],
)
def test_arguments_that_cannot_be_are_refused(wrong):
    given = {"example": EXAMPLE, "batches": BATCHES, "loss": loss, "speedup": 2.0}
    with pytest.raises(ValueError, match="expected"):
        pruning.prune(network(), **given | wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": (3, 4)}, "expected an option of target_ms, .*, got size"),
        ({"stepps": 3}, "expected an option of target_ms, .*, got stepps"),
    ],
)
def test_options_that_do_not_exist_are_named(wrong, message):
    given = {"model": network(), "example": EXAMPLE, "batches": BATCHES, "loss": loss}
    with pytest.raises(TypeError, match=message):
        pruning.prune(**given | {"speedup": 2.0} | wrong)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_network_of_another_precision_is_refused_with_a_remedy(dtype):
    given = {"example": EXAMPLE.to(dtype), "batches": BATCHES, "loss": loss, "speedup": 2.0}
    with pytest.raises(ValueError, match=rf"in float32, got {dtype}; give model.float\(\)"):
        pruning.prune(network().to(dtype), **given)


def test_optimizer_that_is_no_function_is_refused():
    model = network()
    given = {"example": EXAMPLE, "batches": BATCHES, "loss": loss, "speedup": 2.0}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(TypeError, match="make_optimizer"):
        pruning.prune(model, **given, make_optimizer=optimizer)


def test_example_that_the_network_cannot_take_is_one_line():
    with pytest.raises(PruningError, match=r"cannot take the example \(1x4x8x8\): ") as raised:
        pruning.prune(network(), torch.zeros(1, 4, 8, 8), BATCHES, loss, speedup=2.0)
    assert "\n" not in str(raised.value)
