"""Attention: opened it computes the same, and heads are removed whole."""

import copy

import pytest
import torch
from pruning_fixtures import assert_prunable, third_of
from torch import nn
from torch.nn import functional
from torchvision.models.maxvit import RelativePositionalMultiHeadAttention
from torchvision.models.swin_transformer import ShiftedWindowAttention, ShiftedWindowAttentionV2

from saliency.pruning.channels.open_attention import open_heads, opened
from saliency.pruning.compensation import remove_and_compensate
from saliency.pruning.groups import find_groups
from saliency.pruning.signals import SignalCollector
from saliency.pruning.surgery import remove_channels

TOKENS = torch.randn(2, 16, 12, generator=torch.Generator().manual_seed(0))


def windows(kind, **options):
    return lambda: kind(12, [4, 4], [2, 2], 3, **options)


class TimmLike(nn.Module):
    """Attention as timm has it, with queries, keys and values from one layer."""

    def __init__(self):
        super().__init__()
        self.num_heads, self.attn_dim = 3, 12
        self.qkv, self.proj = nn.Linear(12, 36), nn.Linear(12, 12)

    def forward(self, tokens):
        batch, count, _ = tokens.shape
        heads = self.qkv(tokens).reshape(batch, count, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        made = functional.scaled_dot_product_attention(*heads.unbind(0))
        return self.proj(made.transpose(1, 2).reshape(batch, count, self.attn_dim))


class Multihead(nn.Module):
    def __init__(self, *, need_weights=False):
        super().__init__()
        self.attention = nn.MultiheadAttention(12, 3, batch_first=True)
        self.need_weights = need_weights

    def forward(self, tokens):
        return self.attention(tokens, tokens, tokens, need_weights=self.need_weights)[0]


class Block(nn.Module):
    """Attention behind a layer norm and before two linear layers, as in a transformer."""

    def __init__(self, create, shape=(2, 16, 12)):
        super().__init__()
        torch.manual_seed(0)
        self.norm, self.attention, self.shape = nn.LayerNorm(12), create(), shape
        self.wide, self.narrow = nn.Linear(12, 8), nn.Linear(8, 12)
        with torch.no_grad():
            for value in self.parameters():
                value.normal_(0, 0.4)
        self.eval()

    def forward(self, tokens):
        tokens = tokens.view(self.shape)
        tokens = tokens + self.attention(self.norm(tokens))
        return tokens + self.narrow(functional.gelu(self.wide(tokens)))


MAPS = (2, 4, 4, 12)
BLOCKS = {
    "of timm's kind": lambda: Block(TimmLike),
    "torch's": lambda: Block(Multihead),
    "torch's with weights": lambda: Block(lambda: Multihead(need_weights=True)),
    "torch's layer": lambda: Block(lambda: nn.TransformerEncoderLayer(12, 3, 8, batch_first=True)),
    "Swin": lambda: Block(windows(ShiftedWindowAttention), MAPS),
    "Swin V2": lambda: Block(windows(ShiftedWindowAttentionV2), MAPS),
    "MaxViT": lambda: Block(lambda: RelativePositionalMultiHeadAttention(12, 4, 4), (2, 4, 4, 12)),
}


@pytest.mark.parametrize("kind", BLOCKS)
def test_attention_without_some_heads_equals_closed_gates(kind):
    network = BLOCKS[kind]()
    groups = find_groups(network, TOKENS)
    sizes = sorted(size for name, size in groups.sizes().items() if "attention" in name)
    assert sizes == {"torch's layer": [3, 8], "Swin V2": [3, 512]}.get(kind, [3])
    assert groups.sizes()["wide"] == 8
    assert_prunable(network, TOKENS)


@pytest.mark.parametrize("kind", BLOCKS)
def test_opened_attention_computes_the_same_and_closes_again(kind):
    network = BLOCKS[kind]()
    kinds = [type(part) for part in network.modules()]
    with torch.no_grad():
        closed = network(TOKENS)
        with opened(network):
            is_open = kinds != [type(part) for part in network.modules()]
            assert torch.allclose(network(TOKENS), closed, atol=1e-5)
    assert is_open == (kind != "of timm's kind")
    assert kinds == [type(part) for part in network.modules()]


@pytest.mark.parametrize("size", [(8, 8), (10, 7), (4, 9)])
@pytest.mark.parametrize("kind", [ShiftedWindowAttention, ShiftedWindowAttentionV2])
def test_windows_are_padded_and_shifted_as_by_torchvision(kind, size):
    torch.manual_seed(0)
    attention = kind(12, [4, 4], [2, 1], 3).eval()
    maps = torch.randn(2, *size, 12)
    with torch.no_grad():
        for value in attention.parameters():
            value.normal_(0, 0.5)
        wanted = attention(maps)
        assert torch.allclose(open_heads(copy.deepcopy(attention))(maps), wanted, atol=1e-4)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("masks", ["none", "positions", "padding", "both", "each head"])
def test_masks_are_those_of_torch(batch_first, masks):
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(12, 3, batch_first=batch_first).eval()
    query, key = torch.randn(4, 5, 12), torch.randn(4, 5, 12)
    batch, count = (4, 5) if batch_first else (5, 4)
    hidden = torch.rand(count, count) > 0.6
    hidden[:, 0] = False
    padding = torch.zeros(batch, count, dtype=torch.bool)
    padding[0, -1] = True
    given = {
        "none": {},
        "positions": {"attn_mask": hidden},
        "padding": {"key_padding_mask": padding},
        "both": {"attn_mask": hidden, "key_padding_mask": padding},
        "each head": {"attn_mask": torch.randn(3 * batch, count, count)},
    }[masks]
    with torch.no_grad():
        for more in ({}, {"average_attn_weights": False}, {"need_weights": False}):
            wanted = attention(query, key, key, **given, **more)
            with opened(attention):
                made = attention(query, key, key, **given, **more)
            for one, other in zip(wanted, made, strict=True):
                assert (one is None and other is None) or torch.allclose(one, other, atol=1e-5)


# Swin V2 computes its biases from a table, whose rows are of no example.
@pytest.mark.filterwarnings("ignore:attention.cpb_mlp.2 read rows")
@pytest.mark.parametrize("kind", BLOCKS)
def test_head_that_nothing_reads_has_no_signal(kind):
    network = BLOCKS[kind]()
    groups = find_groups(network, TOKENS)
    name = next(n for n, size in groups.sizes().items() if "attention" in n and size == 3)
    reader = next(p for p in groups.by_name()[name].slices if p.side == "in")
    with torch.no_grad():
        network.get_submodule(reader.layer).weight[:, list(reader.channels[1])] = 0
    collector = SignalCollector(groups, "fisher")
    with collector.watch(network):
        network(TOKENS).square().sum(dim=-1).flatten(1).mean(dim=1).mean().backward()
    signals = collector.signals(network)[name]
    assert signals[1] == 0
    assert min(signals[0], signals[2]) > 0


def test_compensation_takes_networks_with_heads():
    network = BLOCKS["torch's"]()
    groups = find_groups(network, TOKENS)
    removals = third_of(groups)
    with torch.no_grad():
        wanted = network(TOKENS)
        plain = (remove_channels(network, groups, removals)(TOKENS) - wanted).square().mean()
        refitted = remove_and_compensate(network, groups, removals, [TOKENS])(TOKENS) - wanted
    assert refitted.square().mean() < plain


def test_heads_that_are_mixed_are_kept():
    class Talking(TimmLike):
        def __init__(self):
            super().__init__()
            self.talk = nn.Linear(3, 3)

        def forward(self, tokens):
            batch, count, _ = tokens.shape
            parts = self.qkv(tokens).reshape(batch, count, 3, self.num_heads, -1)
            q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
            scores = self.talk((q @ k.mT).movedim(1, -1)).movedim(-1, 1)
            made = (scores.softmax(-1) @ v).transpose(1, 2)
            return self.proj(made.reshape(batch, count, -1))

    groups = find_groups(Block(Talking), TOKENS)
    assert groups.sizes() == {"wide": 8}
    reasons = {group.name: reason for group, reason in groups.unprunable}
    assert "the network fails" in reasons["attention.qkv"]
