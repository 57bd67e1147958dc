"""Facts about networks whose layers read other rows than there are examples."""

import pytest
import torch
from pruning_fixtures import Toy
from torch import nn

from saliency.pruning.gates import gated, ones
from saliency.pruning.groups import find_groups
from saliency.pruning.signals import SignalCollector

VIDEOS = torch.randn(3, 4, 3, 5, 5, generator=torch.Generator().manual_seed(0))


def convolutions():
    return {
        "stem": nn.Conv2d(3, 4, 1),
        "middle": nn.Conv2d(4, 5, 3),
        "score": nn.Conv2d(5, 2, 1),
    }


class Frames(Toy):
    """The frames of each video follow one another, then their mean is read."""

    def __init__(self):
        super().__init__(**convolutions())

    def forward(self, videos):
        rows = self.order(videos)
        read = self.middle(self.stem(rows).relu()).tanh()
        return self.score(self.mean(read, videos))

    def order(self, videos):
        return videos.flatten(0, 1)

    def mean(self, read, videos):
        return read.unflatten(0, videos.shape[:2]).mean(dim=1)


class TimeFirst(Frames):
    """The first frames of all videos come first."""

    def order(self, videos):
        return videos.transpose(0, 1).flatten(0, 1)

    def mean(self, read, videos):
        return read.unflatten(0, (videos.shape[1], videos.shape[0])).mean(dim=0)


class Pair(Toy):
    """Both photos of a pair go through one branch; its output is read again at half the rows."""

    def __init__(self):
        super().__init__(**convolutions(), other=nn.Conv2d(4, 2, 3))

    def forward(self, videos):
        pair = torch.cat([videos[:, 0], videos[:, 1]])
        stem = self.stem(pair).relu()
        left, right = self.middle(stem).tanh().chunk(2)
        return self.score(left * right) + self.other(stem[: len(videos)])


class Sequence(Toy):
    """Linear layers on (positions, examples, channels), as many positions as examples."""

    def __init__(self):
        super().__init__(first=nn.Linear(25, 6), second=nn.Linear(6, 3))

    def forward(self, videos):
        tokens = videos[:, :3].mean(dim=2).flatten(2).transpose(0, 1).contiguous()
        return self.second(self.first(tokens).tanh()).square().mean(dim=0)


class Regions(Frames):
    """Reads the frames that are brighter than the mean of their video: any number of them."""

    def forward(self, videos):
        bright = videos.mean(dim=(2, 3, 4))
        chosen = videos[bright > bright.mean()]
        return self.score(self.middle(self.stem(chosen).relu())).mean() + 0 * videos


def losses(outputs):
    weights = torch.linspace(-1, 2, outputs[0].numel()).view(outputs[0].shape)
    return ((weights * outputs).flatten(1) + outputs.flatten(1).square()).sum(dim=1)


def collected(model, kind, groups):
    collector = SignalCollector(groups, kind)
    with collector.watch(model):
        losses(model(VIDEOS)).mean().backward()
    return collector, collector.signals(model)


@pytest.mark.parametrize("create", [Frames, TimeFirst, Pair, Sequence])
def test_rows_of_an_example_are_summed_before_squaring(create):
    model = create()
    groups = find_groups(model, VIDEOS)
    expected = {group.name: torch.zeros(group.size) for group in groups.prunable}
    for video in VIDEOS:
        gates = ones(groups)
        with gated(model, groups, gates):
            loss = losses(model(video[None].expand(1, *video.shape))).sum()
        for name, gradient in zip(
            gates, torch.autograd.grad(loss, list(gates.values())), strict=True
        ):
            expected[name] += gradient.square() / (2 * len(VIDEOS))
    collector, signals = collected(model, "fisher", groups)
    assert collector.examples == len(VIDEOS)
    for name, signal in signals.items():
        assert signal == pytest.approx(expected[name].numpy(), rel=1e-3)


def test_activation_of_folded_rows_is_their_mean():
    model = Frames()
    _, signals = collected(model, "activation", find_groups(model, VIDEOS))
    sizes = model.stem(VIDEOS.flatten(0, 1)).relu().mean(dim=(0, 2, 3)).detach()
    assert signals["stem"] == pytest.approx((sizes / sizes.mean()).numpy(), rel=1e-5)


def test_rows_of_unknown_examples_are_named_once():
    model = Regions()
    groups = find_groups(model, VIDEOS)
    collector = SignalCollector(groups, "fisher")
    message = "middle, score read rows of which the example is unknown"
    with pytest.warns(UserWarning, match=message), collector.watch(model):
        losses(model(VIDEOS)).mean().backward()
    assert collector.unattributed == {"middle", "score"}
    with collector.watch(model):  # of further batches there is no warning, which were an error
        losses(model(2 * VIDEOS.flip(0))).mean().backward()
    assert all((signal > 0).all() for signal in collector.signals(model).values())


def test_number_of_examples_can_be_given():
    """A network whose input is already folded: 12 frames, of which 4 each are a video."""
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Tanh(), nn.Conv2d(4, 2, 1), nn.Flatten())
    frames = VIDEOS.flatten(0, 1)
    groups = find_groups(model, frames)
    collector = SignalCollector(groups, "fisher")
    with collector.watch(model, examples=3):
        model(frames).sum(dim=1).unflatten(0, (3, 4)).sum(dim=1).mean().backward()
    each = SignalCollector(groups, "fisher")
    for video in VIDEOS:
        with each.watch(model, examples=1):
            model(video).sum().backward()
    assert collector.examples == each.examples == 3
    assert collector.signals(model)["0"] == pytest.approx(each.signals(model)["0"], rel=1e-4)


def test_trial_leaves_random_numbers_and_the_network_as_they_were():
    model = Frames().train()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    collected(model, "fisher", find_groups(model, VIDEOS))
    assert torch.equal(torch.rand(2), expected)
    assert model.training


def test_gates_for_each_example_of_folded_rows_are_refused():
    model = Frames()
    groups = find_groups(model, VIDEOS)
    message = "expected middle to read 3 rows, as there are gates for, got 12"
    with gated(model, groups, ones(groups, batch=3)), pytest.raises(ValueError, match=message):
        model(VIDEOS)
