"""Numbers for channels: which of them belong together, and which must stay."""

from collections.abc import Iterable

from saliency.pruning.channels.layers import Side


class ChannelNumbers:
    """A number for each channel, and the layers and parameters that have it.

    Attributes:
        members: the channel numbers of each side of each layer, in order of execution.
        barred: why a channel must stay, by number; the first reason found.
    """

    def __init__(self) -> None:
        """Start without channels."""
        self.members: dict[tuple[str, Side], tuple[int, ...]] = {}
        self.barred: dict[int, str] = {}
        self._parent: list[int] = []

    def find(self, channel: int) -> int:
        """Return the number that represents all channels coupled with `channel`."""
        while self._parent[channel] != channel:
            self._parent[channel] = self._parent[self._parent[channel]]
            channel = self._parent[channel]
        return channel

    def _fresh(self, count: int) -> tuple[int, ...]:
        first = len(self._parent)
        self._parent.extend(range(first, first + count))
        return tuple(range(first, first + count))

    def _foreign(self, count: int) -> tuple[int, ...]:
        ids = self._fresh(count)
        self.barred |= dict.fromkeys(ids, "it comes from outside of the layers that can be cut")
        return ids

    def _couple(self, one: Iterable[int], other: Iterable[int]) -> None:
        if one is other:
            return
        for first, second in zip(one, other, strict=True):
            low, high = sorted((self.find(first), self.find(second)))
            self._parent[high] = low

    def _record(self, layer: str, side: Side, ids: tuple[int, ...]) -> tuple[int, ...]:
        """Note a layer's channels; those of a layer that runs twice are the same channels."""
        known = self.members.setdefault((layer, side), ids)
        self._couple(known, ids)
        return known


def repeat(ids: Iterable[int], times: int) -> tuple[int, ...]:
    """Return each number several times, one behind the other."""
    return tuple(channel for channel in ids for _ in range(times))
