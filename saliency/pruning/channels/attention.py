"""Heads of attention, which are removed whole: their queries, keys and values, and what reads them.

Attention of timm, and of networks with the usual names, calls layers for this. torch's and
torchvision's do so once they are opened (`open_attention`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torchvision.models.swin_transformer import (  # type: ignore[import-untyped]
    ShiftedWindowAttentionV2,
)

from saliency.pruning.channels.open_attention import open_heads
from saliency.pruning.channels.weights import select

COUNTS = ("num_heads", "n_heads", "heads", "num_attention_heads")
WIDTHS = ("attn_dim", "inner_dim", "all_head_size")
LAYERS = (
    (("qkv",), "proj"),
    (("to_qkv",), "merge"),
    (("to_qkv",), "to_out"),
    (("q", "k", "v"), "proj"),
    (("q_proj", "k_proj", "v_proj"), "out_proj"),
    (("query", "key", "value"), "out"),
)
"""Names of the layers that make queries, keys and values, and of the one that reads the heads."""


@dataclass(frozen=True)
class Heads:
    """The heads of one module.

    Attributes:
        count: how many there are.
        width: channels of each, of queries as of values.
        makers: the layers that make queries, keys and values: each once, or all three in turn.
        reader: the layer that reads what the heads give.
        numbered: parameters with one channel for each head.
        single: layers that make one.
    """

    count: int
    width: int
    makers: tuple[str, ...]
    reader: str
    numbered: tuple[str, ...] = ()
    single: tuple[str, ...] = ()


def heads_of(module: nn.Module) -> Heads | None:
    """Return the heads of an attention module; None for another, or one of an unknown kind."""
    name = _count_name(module)
    if name is None:
        return None
    count: int = getattr(module, name)
    parts = dict(module.named_children())
    if isinstance(module, nn.MultiheadAttention):
        if module.in_proj_weight is None or module.bias_k is not None or module.add_zero_attn:
            return None
        return Heads(count, module.head_dim, (), "out_proj")
    for makers, reader in LAYERS:
        layers: list[Any] = [parts.get(one) for one in (*makers, reader)]
        if not all(isinstance(layer, nn.Linear) for layer in layers):
            continue
        width, rest = divmod(layers[-1].in_features, count)
        wanted = count * width * 3 // len(makers)
        if not rest and all(one.out_features == wanted for one in layers[:-1]):
            single = ("cpb_mlp.2",) if isinstance(module, ShiftedWindowAttentionV2) else ()
            return Heads(count, width, makers, reader, _numbered(module, count), single)
    return None


class HeadLayers:
    """The layers of a network that make and read heads, by dotted name.

    Attributes:
        counts: by module, its heads.
        makers: by layer, the module, and how many neighbouring channels belong to each head.
        readers: the same of the layers that read heads.
        numbered: by module, the parameters with a channel for each head.
    """

    def __init__(self, model: nn.Module) -> None:
        """Find them."""
        self.counts = head_counts(model)
        self.makers: dict[str, tuple[str, int]] = {}
        self.readers: dict[str, tuple[str, int]] = {}
        self.numbered: dict[str, list[str]] = {}
        for name in self.counts:
            heads, place = heads_of(model.get_submodule(name)), f"{name}." if name else ""
            assert heads is not None
            self.makers |= {place + maker: (name, heads.width) for maker in heads.makers}
            self.makers |= {place + maker: (name, 1) for maker in heads.single}
            self.readers[place + heads.reader] = (name, heads.width)
            self.numbered[name] = [place + one for one in heads.numbered]


def _count_name(module: nn.Module) -> str | None:
    found = (name for name in COUNTS if type(vars(module).get(name)) is int)
    return next((name for name in found if vars(module)[name] > 0), None)


def _numbered(module: nn.Module, count: int) -> tuple[str, ...]:
    """Return what has a number for each head: tables of biases, and scales."""
    return tuple(
        name
        for name, value in module.named_parameters(recurse=False)
        if (name.endswith("bias_table") and value.shape[-1] == count)
        or (name == "logit_scale" and len(value) == count)
    )


def cut_heads(module: nn.Module, removed: Iterable[int]) -> None:
    """Note in a module that it has fewer heads, and cut what no layer of it has, in place."""
    gone, name = set(removed), _count_name(module)
    if not gone or name is None:
        return
    open_heads(module)
    count: int = getattr(module, name)
    if isinstance(module, nn.MultiheadAttention):
        part = torch.arange(3 * count * module.head_dim).view(3, count, module.head_dim)
        rest = part[:, [k for k in range(count) if k not in gone]].flatten()
        for weight in ("in_proj_weight", "in_proj_bias"):
            select(module, weight, rest)
    setattr(module, name, count - len(gone))
    for width in WIDTHS:
        if type(vars(module).get(width)) is int:
            setattr(module, width, vars(module)[width] * (count - len(gone)) // count)


def head_counts(model: nn.Module) -> dict[str, int]:
    """Return how many heads the modules of a network have that may lose some, by name."""
    found = {name: heads_of(module) for name, module in model.named_modules()}
    return {name: heads.count for name, heads in found.items() if heads}
