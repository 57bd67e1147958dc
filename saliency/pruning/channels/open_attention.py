"""Attention that calls the layers that it keeps, and works with any number of heads.

torch's multi-head attention and torchvision's in windows do not call their layers, and compute the
size of a head from that of their input. Each class here computes the same from the same parameters.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.maxvit import (  # type: ignore[import-untyped]
    RelativePositionalMultiHeadAttention,
)
from torchvision.models.swin_transformer import (  # type: ignore[import-untyped]
    ShiftedWindowAttention,
    ShiftedWindowAttentionV2,
)


def open_heads(model: nn.Module) -> nn.Module:
    """Let attention call its layers, in place, computing what it computed before."""
    for module in model.modules():
        if type(module) in OPEN:
            module.__class__ = OPEN[type(module)]
    return model


@contextmanager
def opened(model: nn.Module) -> Iterator[None]:
    """Let attention call its layers for a while, so that their hooks see what they read."""
    closed = [(module, type(module)) for module in model.modules() if type(module) in OPEN]
    open_heads(model)
    try:
        yield
    finally:
        for module, kind in closed:
            module.__class__ = kind


class OpenMultiheadAttention(nn.MultiheadAttention):
    """torch's attention, for any number of heads."""

    _qkv_same_embed_dim = property(lambda _: False)  # no fast path

    def __setattr__(self, name: str, value: Any) -> None:
        """Leave the property as it is."""
        if name != "_qkv_same_embed_dim":
            super().__setattr__(name, value)

    def forward(  # noqa: PLR0917  as of torch
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,  # noqa: ARG002  a hint, the mask says it
    ) -> tuple[Tensor, Tensor | None]:
        """Return what torch's attention does."""
        is_batched = query.ndim == 3
        axis = 1 if is_batched and not self.batch_first else 0  # of the examples
        given = [one.movedim(axis, 0) if is_batched else one[None] for one in (query, key, value)]
        weights = self.in_proj_weight.chunk(3)
        biases = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        q, k, v = (
            _in_heads(functional.linear(*one), self.num_heads)
            for one in zip(given, weights, biases, strict=True)
        )
        mask = _added_mask(q, attn_mask, key_padding_mask)
        dropout = self.dropout if self.training else 0.0
        scores = None
        if need_weights:
            scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
            scores = (scores if mask is None else scores + mask).softmax(dim=-1)
            scores = functional.dropout(scores, dropout)
            made = scores @ v
            scores = scores.mean(dim=1) if average_attn_weights else scores
        else:
            made = functional.scaled_dot_product_attention(q, k, v, mask, dropout)
        result = self.out_proj(made.transpose(1, 2).flatten(2))
        if not is_batched:
            return result[0], None if scores is None else scores[0]
        return result.movedim(0, axis), scores


def _in_heads(values: Tensor, count: int) -> Tensor:
    """Return (batch, heads, positions, channels) for (batch, positions, channels of all heads)."""
    return values.reshape(*values.shape[:2], count, -1).transpose(1, 2)


def _added_mask(query: Tensor, mask: Tensor | None, padding: Tensor | None) -> Tensor | None:
    """Return what is added to scores of shape (batch, heads, queries, keys)."""

    def added(one: Tensor) -> Tensor:
        if one.dtype != torch.bool:
            return one.to(query)
        return query.new_zeros(one.shape).masked_fill(one, float("-inf"))

    if mask is not None:
        mask = added(mask if mask.ndim == 2 else mask.view(len(query), -1, *mask.shape[1:]))
    if padding is not None:
        of_keys = added(padding)[..., None, None, :]
        mask = of_keys if mask is None else mask + of_keys
    return mask


class OpenWindowAttention(ShiftedWindowAttention):  # type: ignore[misc]
    """torchvision's attention within windows, for any number of heads."""

    def forward(self, x: Tensor) -> Tensor:
        """Return what torchvision's does: maps of shape (batch, rows, columns, channels)."""
        batch, rows, columns, _ = x.shape
        height, width = self.window_size
        padded = functional.pad(x, (0, 0, 0, -columns % width, 0, -rows % height))
        size = padded.shape[1:3]
        shifts = [
            0 if window >= side else shift
            for window, side, shift in zip(self.window_size, size, self.shift_size, strict=True)
        ]
        grid = (size[0] // height, height, size[1] // width, width)
        moved = padded.roll([-shift for shift in shifts], (1, 2))
        windows = moved.view(batch, *grid, -1).transpose(2, 3).flatten(3, 4).flatten(0, 2)
        mask = self._mask(x, size, shifts, grid) if any(shifts) else None
        made = self._attend(windows, mask, batch)
        tiles = made.view(batch, grid[0], grid[2], height, width, -1).transpose(2, 3)
        whole = tiles.reshape(batch, *size, -1).roll(shifts, (1, 2))
        inside: Tensor = whole[:, :rows, :columns].contiguous()
        return inside

    def _attend(self, windows: Tensor, mask: Tensor | None, batch: int) -> Tensor:
        heads = self._project(windows).view(*windows.shape[:2], 3, self.num_heads, -1)
        q, k, v = heads.permute(2, 0, 3, 1, 4).unbind(0)
        scores = self._scores(q, k) + self.get_relative_position_bias()
        if mask is not None:
            scores = (scores.unflatten(0, (batch, -1)) + mask[:, None]).flatten(0, 1)
        shares = functional.dropout(scores.softmax(-1), self.attention_dropout, self.training)
        made: Tensor = self.proj((shares @ v).transpose(1, 2).flatten(2))
        result: Tensor = functional.dropout(made, self.dropout, self.training)
        return result

    def _project(self, windows: Tensor) -> Tensor:
        made: Tensor = self.qkv(windows)
        return made

    def _scores(self, q: Tensor, k: Tensor) -> Tensor:
        scores: Tensor = q * q.shape[-1] ** -0.5 @ k.transpose(-2, -1)
        return scores

    def _mask(
        self, x: Tensor, size: Iterable[int], shifts: Iterable[int], grid: tuple[int, ...]
    ) -> Tensor:
        """Return −100 for positions of a window that were not neighbours before the shift."""
        regions = []
        for side, window, shift in zip(size, self.window_size, shifts, strict=True):
            place = torch.arange(side, device=x.device)
            region = (place >= side - window).int() + (place >= side - shift).int()
            regions.append(region if shift else region * 0)
        labels = (regions[0][:, None] * 3 + regions[1]).view(grid).transpose(1, 2)
        labels = labels.flatten(2, 3).flatten(0, 1)
        mask: Tensor = (labels[:, None] != labels[:, :, None]).to(x) * -100.0
        return mask


class OpenWindowAttentionV2(OpenWindowAttention, ShiftedWindowAttentionV2):  # type: ignore[misc]
    """The same by the cosine of queries and keys, and keys without a bias."""

    def _project(self, windows: Tensor) -> Tensor:
        made = super()._project(windows)
        if self.qkv.bias is None:
            return made
        bias = self.qkv.bias.unflatten(0, (3, -1))
        return made - torch.stack((bias[0] * 0, bias[1], bias[2] * 0)).flatten()

    def _scores(self, q: Tensor, k: Tensor) -> Tensor:
        cosines = functional.normalize(q, dim=-1) @ functional.normalize(k, dim=-1).transpose(
            -2, -1
        )
        scale: Tensor = self.logit_scale.clamp(max=math.log(100.0)).exp()
        return cosines * scale


class OpenRelativeAttention(RelativePositionalMultiHeadAttention):  # type: ignore[misc]
    """torchvision's attention of MaxViT, for any number of heads."""

    def forward(self, x: Tensor) -> Tensor:
        """Return what torchvision's does: (batch, windows, positions, channels)."""
        heads = self.to_qkv(x).unflatten(-1, (3, self.n_heads, -1))
        q, k, v = heads.permute(3, 0, 1, 4, 2, 5).unbind(0)
        scores = q @ k.transpose(-2, -1) * self.scale_factor + self.get_relative_positional_bias()
        made: Tensor = self.merge((scores.softmax(-1) @ v).transpose(2, 3).flatten(3))
        return made


OPEN: dict[type[nn.Module], type[nn.Module]] = {
    nn.MultiheadAttention: OpenMultiheadAttention,
    ShiftedWindowAttention: OpenWindowAttention,
    ShiftedWindowAttentionV2: OpenWindowAttentionV2,
    RelativePositionalMultiHeadAttention: OpenRelativeAttention,
}
