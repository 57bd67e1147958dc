import pytest
import torch
from pruning_fixtures import (
    PHOTO,
    Concatenation,
    Flattened,
    Grouped,
    Lateral,
    Residual,
    SqueezeExcite,
    Toy,
    Twice,
    third_of,
)
from torch import nn
from torch.nn import functional

from saliency.pruning.compensation import remove_and_compensate
from saliency.pruning.groups import find_groups
from saliency.pruning.surgery import remove_channels

PHOTOS = [torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(k)) for k in (1, 2, 3)]


class Plain(Toy):
    """Two layers with a batch norm between them; the second reads `wide` channels."""

    def __init__(self, *, wide=6, kernel=1):
        super().__init__(
            stem=nn.Conv2d(3, wide, 1, bias=False),
            norm=nn.BatchNorm2d(wide),
            middle=nn.Conv2d(wide, 5, kernel, padding=kernel // 2, padding_mode="replicate"),
            again=nn.BatchNorm2d(5),
            score=nn.Conv2d(5, 1, 1),
        )

    def forward(self, photo):
        read = self.norm(self.stem(photo))
        return self.score(functional.relu(self.again(self.middle(read))))


def error(pruned, model):
    with torch.no_grad():
        wanted = model(PHOTO)
        return ((pruned(PHOTO) - wanted).square().mean() / wanted.var()).item()


@pytest.mark.parametrize("kernel", [1, 3])
def test_channels_that_the_others_tell_are_no_loss(kernel):
    # Six linear maps of three colours: any three of them tell the rest.
    model = Plain(kernel=kernel)
    groups = find_groups(model, PHOTO)
    removals = {"stem": [1, 4]}
    pruned = remove_and_compensate(model, groups, removals, PHOTOS)
    assert error(pruned, model) < 0.05 * error(remove_channels(model, groups, removals), model)


@pytest.mark.parametrize(
    "model",
    [
        *(Residual(), Concatenation(), SqueezeExcite(), Lateral(), Flattened(), Twice(), Plain()),
        *(Grouped(groups=4, makes=4), Grouped(groups=4, makes=8), Grouped(groups=2, makes=6)),
    ],
    ids=lambda model: type(model).__name__,
)
def test_compensation_brings_any_network_nearer(model):
    groups = find_groups(model, PHOTO)
    removals = third_of(groups)
    compensated = remove_and_compensate(model, groups, removals, [PHOTO, *PHOTOS])
    # Little is left to tell by where one of two groups goes: the mean alone.
    slack = 1.02 if isinstance(model, Grouped) else 1.0
    left = error(remove_channels(model, groups, removals), model)
    assert error(compensated, model) < slack * left


def test_channels_keep_their_mean_and_spread_behind_a_batch_norm():
    model = Plain()
    pruned = remove_and_compensate(
        model, find_groups(model, PHOTO), {"stem": [0, 1, 2, 3]}, PHOTOS[:1]
    )
    made = {}
    for name, network in (("full", model), ("pruned", pruned)):
        network.again.register_forward_hook(
            lambda _, __, out, name=name: made.__setitem__(name, out)
        )
        with torch.no_grad():
            network(PHOTOS[0])
    for moment in (torch.mean, torch.std):
        torch.testing.assert_close(
            moment(made["pruned"], (0, 2, 3)), moment(made["full"], (0, 2, 3))
        )


def test_compensation_leaves_the_network_as_it_was():
    model = Plain().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    remove_and_compensate(model, find_groups(model, PHOTO), {"stem": [0]}, PHOTOS)
    assert model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_channels_that_never_vary_are_removed_without_harm():
    model = Plain()
    nn.init.zeros_(model.stem.weight)
    pruned = remove_and_compensate(model, find_groups(model, PHOTO), {"stem": [0, 5]}, PHOTOS)
    assert error(pruned, model) == pytest.approx(0, abs=1e-6) or torch.isfinite(pruned(PHOTO)).all()


def test_no_batch_is_refused():
    model = Plain()
    with pytest.raises(ValueError, match="at least one batch"):
        remove_and_compensate(model, find_groups(model, PHOTO), {"stem": [0]}, [])


class TwoInputs(Plain):
    """Takes a photo and, by keyword, an offset; its first layer gets its argument by keyword."""

    def forward(self, photo, *, offset):
        read = self.norm(self.stem(input=photo + offset))
        return self.score(functional.relu(self.again(input=self.middle(read))))


class Doubled(Plain):
    def forward(self, left, right):
        return super().forward(left + right)


@pytest.mark.parametrize(
    ("model", "as_batch"),
    [
        (TwoInputs(), lambda photo: {"photo": photo / 2, "offset": photo / 2}),
        (Doubled(), lambda photo: (photo / 2, photo / 2)),
    ],
)
def test_networks_of_several_inputs_are_compensated_as_those_of_one(model, as_batch):
    plain = Plain()
    groups, removals = find_groups(plain, PHOTO), {"stem": [1, 4]}
    expected = remove_and_compensate(plain, groups, removals, PHOTOS)
    found = remove_and_compensate(model, groups, removals, [as_batch(photo) for photo in PHOTOS])
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], value)
