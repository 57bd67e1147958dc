import numpy as np
import pytest
import torch
from pruning_fixtures import PHOTO, Concatenation, Residual, Toy
from torch import nn
from training_fixtures import random_model

from saliency.pruning.costs import ChannelCount
from saliency.pruning.gates import gated, ones
from saliency.pruning.groups import find_groups, remaining_groups
from saliency.pruning.selection import Selection
from saliency.pruning.signals import SignalCollector
from saliency.pruning.surgery import remove_channels

PHOTOS = torch.randint(
    0, 256, (3, 64, 96, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)


def losses(outputs):
    """Return a loss for each example that every position has its own part in."""
    weights = torch.linspace(-1, 2, outputs[0].numel()).view(outputs[0].shape)
    return (weights * outputs).flatten(1).sum(dim=1) + outputs.flatten(1).square().mean(dim=1)


def gate_gradients(model, groups, images):
    """Return each example's gradient in a gate of its own, by autograd."""
    gates = ones(groups, batch=len(images))
    with gated(model, groups, gates):
        total = losses(model(images)).sum()
    return dict(zip(gates, torch.autograd.grad(total, list(gates.values())), strict=True))


def collected(model, images, kind, *, batches=1):
    collector = SignalCollector(find_groups(model, images[:1]), kind)
    for part in images.chunk(batches):
        with collector.watch(model):
            losses(model(part)).mean().backward()
    return collector.signals(model)


@pytest.mark.parametrize(
    ("create", "images"),
    [(Residual, PHOTO), (Concatenation, PHOTO), (random_model, PHOTOS)],
)
def test_fisher_signal_is_half_the_mean_squared_gradient_in_the_gate(create, images):
    model = create()
    gradients = gate_gradients(model, find_groups(model, images[:1]), images)
    for name, signal in collected(model, images, "fisher").items():
        expected = gradients[name].double().square().mean(dim=0) / 2
        scale = float(expected.max()) or 1.0  # float32 sums in another order
        assert torch.from_numpy(signal) / scale == pytest.approx(expected / scale, abs=1e-5)


def test_taylor_signal_is_the_mean_size_of_the_gradient_in_the_gate():
    model = Residual()
    gradients = gate_gradients(model, find_groups(model, PHOTO), PHOTO)
    for name, signal in collected(model, PHOTO, "taylor").items():
        assert signal == pytest.approx(gradients[name].abs().mean(dim=0).numpy(), rel=1e-4)


def test_gradient_in_the_gate_is_the_slope_of_the_loss():
    model, step = Residual().double(), 1e-5
    groups = find_groups(model, PHOTO.double())
    (signal,) = collected(model, PHOTO[:1].double(), "fisher").values()
    (group,) = groups.prunable
    for channel in range(group.size):
        loss = []
        for change in (step, -step):
            gate = torch.ones(group.size, dtype=torch.float64)
            gate[channel] += change
            with gated(model, groups, {group.name: gate}):
                loss.append(losses(model(PHOTO[:1].double())).item())
        slope = (loss[0] - loss[1]) / (2 * step)
        assert signal[channel] == pytest.approx(slope**2 / 2, rel=1e-5)


class Offset(Toy):
    """Each channel is read once; the loss of an example is quadratic in every gate."""

    def __init__(self):
        super().__init__(stem=nn.Conv2d(3, 4, 1), score=nn.Conv2d(4, 1, 1, bias=False))

    def forward(self, photo):
        return self.score(self.stem(photo))


def test_signal_is_the_true_rise_of_a_quadratic_loss_at_its_minimum():
    """With L_n = ½ (y_n(gate) − y_n − ε_n)² and ε of ±1, the mean rises by ½ mean(w²a²)."""
    model = Offset()
    photo = PHOTO[:1, :, :1, :1].repeat(2, 1, 1, 1)
    target = model(photo).detach().flatten() + torch.tensor([1.0, -1.0])
    groups = find_groups(model, photo)
    collector = SignalCollector(groups, "fisher")
    with collector.watch(model):
        ((model(photo).flatten() - target).square() / 2).mean().backward()
    (signal,) = collector.signals(model).values()
    (group,) = groups.prunable
    before = ((model(photo).flatten() - target).square() / 2).mean()
    for channel in range(group.size):
        pruned = remove_channels(model, groups, {group.name: [channel]})
        after = ((pruned(photo).flatten() - target).square() / 2).mean()
        assert signal[channel] == pytest.approx((after - before).item(), rel=1e-4)


def test_members_of_a_residual_group_are_summed_before_squaring():
    """The score reads one sum; halves of it that come by two ways are one channel."""
    model = Residual()
    images = PHOTO[:1]
    groups = find_groups(model, images)
    (group,) = groups.prunable
    readers = [part.layer for part in group.slices if part.side == "in"]
    assert len(readers) == 2
    separately = []
    for reader in readers:
        reads = {}

        def keep(_, args, reads=reads):
            reads["read"] = args[0].clone()
            reads["read"].retain_grad()
            return (reads["read"],)

        handle = model.get_submodule(reader).register_forward_pre_hook(keep)
        losses(model(images)).mean().backward()
        handle.remove()
        separately.append((reads["read"] * reads["read"].grad).sum(dim=(0, 2, 3)))
    (signal,) = collected(model, images, "fisher").values()
    together = sum(separately).detach().square() / 2
    apart = sum(each.detach().square() for each in separately) / 2
    assert signal == pytest.approx(together.numpy(), rel=1e-4)
    assert signal != pytest.approx(apart.numpy(), rel=1e-2)


def test_four_examples_differ_from_the_last_one_alone():
    model, images = Residual(), torch.cat([PHOTO, 2 * PHOTO.flip(0)])
    (four,) = collected(model, images, "fisher").values()
    (last,) = collected(model, images[-1:], "fisher").values()
    assert np.abs(four - last).max() > 0.1 * np.abs(four).max()


@pytest.mark.parametrize("kind", ["fisher", "taylor", "activation"])
def test_batches_of_two_add_up_to_one_of_four(kind):
    model, images = Residual(), torch.cat([PHOTO, 2 * PHOTO.flip(0)])
    (whole,) = collected(model, images, kind).values()
    (parts,) = collected(model, images, kind, batches=2).values()
    assert parts == pytest.approx(whole, rel=1e-4)


def test_collecting_leaves_gradients_and_outputs_untouched():
    plain, watched = Concatenation(), Concatenation()
    losses(plain(PHOTO)).mean().backward()
    collector = SignalCollector(find_groups(watched, PHOTO), "fisher")
    with collector.watch(watched):
        outputs = watched(PHOTO)
        losses(outputs).mean().backward()
    assert torch.equal(outputs, plain(PHOTO))
    for one, other in zip(watched.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)


def test_no_hook_is_left_behind():
    model = Residual()
    collected(model, PHOTO, "fisher")
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_forgetting_halves_the_weight_of_the_past():
    model, groups = Residual(), find_groups(Residual(), PHOTO)
    collector = SignalCollector(groups, "fisher")
    with collector.watch(model):
        losses(model(PHOTO)).mean().backward()
    (past,) = collector.signals(model).values()
    collector.forget(0.5)
    with collector.watch(model):
        losses(model(3 * PHOTO)).mean().backward()
    (both,) = collector.signals(model).values()
    (new,) = collected(model, 3 * PHOTO, "fisher").values()
    assert both == pytest.approx((past + 2 * new) / 3, rel=1e-4)


def test_signals_of_the_channels_that_stay_are_kept():
    model = Residual()
    groups = find_groups(model, PHOTO)
    collector = SignalCollector(groups, "fisher")
    with collector.watch(model):
        losses(model(PHOTO)).mean().backward()
    (before,) = collector.signals(model).values()
    removals = {groups.prunable[0].name: [1]}
    collector.remove(remaining_groups(groups, removals), removals)
    (after,) = collector.signals(model).values()
    assert after.tolist() == before[[0, 2, 3]].tolist()


def test_magnitude_is_the_size_of_the_filter_in_shares_of_the_mean():
    model = Offset()
    groups = find_groups(model, PHOTO)
    (signal,) = SignalCollector(groups, "magnitude").signals(model).values()
    sizes = model.stem.weight.detach().abs().flatten(1).mean(dim=1)
    assert signal == pytest.approx((sizes / sizes.mean()).numpy())


def test_activation_is_the_mean_size_of_what_is_read_in_shares_of_the_mean():
    model = Offset()
    (signal,) = collected(model, PHOTO, "activation").values()
    sizes = model.stem(PHOTO).detach().abs().mean(dim=(0, 2, 3))
    assert signal == pytest.approx((sizes / sizes.mean()).numpy(), rel=1e-5)


def test_random_signal_follows_from_its_seed_and_changes_with_removals():
    model = Residual()
    groups = find_groups(model, PHOTO)
    one, other = (
        SignalCollector(groups, "random", seed=1),
        SignalCollector(groups, "random", seed=1),
    )
    (first,), (same,) = one.signals(model).values(), other.signals(model).values()
    removals = {groups.prunable[0].name: [0]}
    one.remove(remaining_groups(groups, removals), removals)
    (later,) = one.signals(model).values()
    assert first.tolist() == same.tolist()
    assert not set(later.tolist()) <= set(first.tolist())


class FrozenStem(nn.Module):
    """Two layers that learn nothing, and two that learn."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.second = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 5, 1)
        self.third, self.last = nn.Conv2d(5, 4, 1), nn.Conv2d(4, 2, 3)
        for layer in (self.stem, self.second):
            layer.requires_grad_(False)

    def forward(self, images):
        return self.last(self.third(self.second(self.stem(images)).relu()).relu())


@pytest.mark.parametrize("kind", ["fisher", "taylor"])
def test_groups_of_frozen_layers_have_no_signal_and_keep_their_channels(kind):
    model = FrozenStem()
    groups = find_groups(model, PHOTO[:1])
    collector = SignalCollector(groups, kind)
    with collector.watch(model):
        losses(model(PHOTO)).mean().backward()
    assert collector.unseen == {"stem", "second"}
    selection = Selection(collector.signals(model), ChannelCount(), sizes=groups.sizes())
    while selection.decide():
        pass
    assert selection.sizes == {"stem": 6, "second": 5, "third": 1}
    assert set(selection.removals) == {"third"}


def test_branch_that_does_not_run_counts_as_without_effect():
    class Branch(Toy):
        runs = True

        def forward(self, images):
            read = self.first(images)
            return self.last(self.other(read)) if self.runs else self.last(read[..., 1:-1, 1:-1])

    convolutions = {"first": (3, 4, 3), "other": (4, 4, 3), "last": (4, 2, 1)}
    model = Branch(**{name: nn.Conv2d(*sizes) for name, sizes in convolutions.items()})
    collector = SignalCollector(find_groups(model, PHOTO[:1]), "fisher")
    for model.runs in (True, False):
        with collector.watch(model):
            losses(model(PHOTO)).mean().backward()
        if model.runs:
            alone = collector.signals(model)["first"].copy()
    assert collector.unseen == set()
    assert collector.examples == 2 * len(PHOTO)
    assert (collector.signals(model)["first"] >= alone / 2 - 1e-12).all()


def test_signals_without_examples_are_refused():
    model = Residual()
    with pytest.raises(ValueError, match="examples"):
        SignalCollector(find_groups(model, PHOTO), "fisher").signals(model)
