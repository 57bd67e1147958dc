"""Networks small enough to write their channel groups out, one for each way channels couple."""

import torch
from torch import nn
from torch.nn import functional

from saliency.pruning.gates import gated, ones
from saliency.pruning.groups import find_groups
from saliency.pruning.latency.exporting import nested_tensors
from saliency.pruning.surgery import channel_counts, remove_channels, resize_layers

PHOTO = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Toy(nn.Module):
    """Layers by name; the last one, `score`, gives one map."""

    def __init__(self, **layers):
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        generator = torch.Generator().manual_seed(0)
        for parameter in self.parameters():
            nn.init.normal_(parameter, 0, 0.5, generator=generator)
        randomise(self, seed=0)
        self.eval()


class Residual(Toy):
    def __init__(self):
        super().__init__(
            stem=nn.Conv2d(3, 4, 1), branch=nn.Conv2d(4, 4, 3, padding=1), score=nn.Conv2d(4, 1, 1)
        )

    def forward(self, photo):
        stem = functional.relu(self.stem(photo))
        return self.score(functional.hardswish(stem + self.branch(stem)))


class Concatenation(Toy):
    def __init__(self):
        super().__init__(
            first=nn.Conv2d(3, 2, 1),
            second=nn.Conv2d(2, 3, 1),
            norm=nn.BatchNorm2d(5),
            score=nn.Conv2d(5, 1, 1),
        )

    def forward(self, photo):
        first = self.first(photo)
        return self.score(torch.sigmoid(self.norm(torch.cat((first, self.second(first)), dim=1))))


class Grouped(Toy):
    """A grouped convolution between two plain ones; as many groups as inputs: depthwise."""

    def __init__(self, *, groups, reads=4, makes):
        super().__init__(
            stem=nn.Conv2d(3, reads, 1),
            grouped=nn.Conv2d(reads, makes, 3, padding=1, groups=groups),
            score=nn.Conv2d(makes, 1, 1),
        )

    def forward(self, photo):
        return self.score(functional.relu6(self.grouped(self.stem(photo))))


class SqueezeExcite(Toy):
    def __init__(self):
        super().__init__(
            stem=nn.Conv2d(3, 4, 1),
            reduce=nn.Conv2d(4, 2, 1),
            expand=nn.Conv2d(2, 4, 1),
            score=nn.Conv2d(4, 1, 1),
        )

    def forward(self, photo):
        stem = functional.silu(self.stem(photo))
        squeezed = functional.relu(self.reduce(stem.mean((2, 3), keepdim=True)))
        return self.score(stem * torch.sigmoid(self.expand(squeezed)))


class Lateral(Toy):
    def __init__(self):
        super().__init__(
            fine=nn.Conv2d(3, 4, 3, stride=2, padding=1),
            coarse=nn.Conv2d(4, 6, 3, stride=2, padding=1),
            fine_lateral=nn.Conv2d(4, 3, 1),
            coarse_lateral=nn.Conv2d(6, 3, 1),
            score=nn.Conv2d(3, 1, 1),
        )

    def forward(self, photo):
        fine = functional.relu(self.fine(photo))
        coarse = self.coarse_lateral(functional.relu(self.coarse(fine)))
        resized = functional.interpolate(coarse, scale_factor=2.0, mode="bilinear")
        return self.score(torch.sigmoid(self.fine_lateral(fine) + resized))


class Flattened(Toy):
    """A linear layer that reads two positions of each channel."""

    def __init__(self):
        super().__init__(stem=nn.Conv2d(3, 2, 1), score=nn.Linear(4, 1))

    def forward(self, photo):
        return self.score(functional.adaptive_avg_pool2d(self.stem(photo), (1, 2)).flatten(1))


class Twice(Toy):
    """A layer that reads its own output."""

    def __init__(self):
        super().__init__(
            stem=nn.Conv2d(3, 4, 1), again=nn.Conv2d(4, 4, 1), score=nn.Conv2d(4, 1, 1)
        )

    def forward(self, photo):
        return self.score(
            functional.relu(self.again(functional.relu(self.again(self.stem(photo)))))
        )


class Between(Toy):
    """Two convolutions and any function between them, beside two that can be pruned."""

    def __init__(self, between, *, makes=4, reads=4):
        super().__init__(stem=nn.Conv2d(3, makes, 1), score=nn.Conv2d(reads, 1, 1))
        self.hidden = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Conv2d(2, 1, 1))
        self.between = between

    def forward(self, photo):
        return self.score(self.between(self.stem(photo))), self.hidden(photo)


def randomise(model, *, seed):
    """Give every bias and batch norm values that no mistake in its indexes would leave alike."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.2, generator=generator)
                layer.running_var.uniform_(0.5, 1.5, generator=generator)
                layer.weight.uniform_(0.5, 1.5, generator=generator)
            if isinstance(getattr(layer, "bias", None), nn.Parameter):
                layer.bias.normal_(0, 0.3, generator=generator)
            if isinstance(layer, nn.Conv2d | nn.Linear) and not layer.weight.any():
                layer.weight.normal_(0, 0.01, generator=generator)


def third_of(groups, *, seed=0):
    """Return a random third of the channels of every group, one at least."""
    generator = torch.Generator().manual_seed(seed)
    return {
        group.name: torch.randperm(group.size, generator=generator)[
            : max(1, group.size // 3)
        ].tolist()
        for group in groups.prunable
    }


def closed_and_removed(model, *inputs):
    """Remove a third of every group; return how far that is from closed gates, and these from open.

    Differences are shares of the largest output. The pruned network is returned too.
    """
    groups = find_groups(model, *inputs)
    removals = third_of(groups)
    gates = {name: gate.detach() for name, gate in ones(groups).items()}
    for name, removed in removals.items():
        gates[name][removed] = 0.0
    pruned = remove_channels(model, groups, removals)
    with torch.no_grad():
        full = model(*inputs)
        with gated(model, groups, gates):
            closed = model(*inputs)
        left = pruned(*inputs)
    largest = closed.abs().max()
    error, effect = (closed - left).abs().max() / largest, (closed - full).abs().max() / largest
    return error.item(), effect.item(), pruned


def trained(network, *inputs, steps=2):
    """Train a network in training mode for some steps, which must lower the mean square."""
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), 0.01)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        outputs = network(*inputs)
        loss = sum(one.square().mean() for one in nested_tensors(outputs))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    return network.eval()


def assert_prunable(network, *inputs, tolerance=1e-5):
    """Check that a network without a third of each group does what closed gates do.

    It can be trained, and its weights fit the unpruned network resized to its channel counts.
    """
    error, effect, pruned = closed_and_removed(network, *inputs)
    assert error < tolerance  # float32 sums in another order
    assert effect > 1e-2  # the removed channels mattered
    trained(pruned, *inputs)
    resized = resize_layers(network, channel_counts(pruned))
    resized.load_state_dict(pruned.state_dict())
    assert torch.equal(resized(*inputs), pruned(*inputs))
