"""The input of any network, of the size that is timed."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map

from saliency.errors import PruningError, first_line
from saliency.pruning.groups import ChannelGroups, find_groups
from saliency.pruning.latency.exporting import export_copy


class Example(NamedTuple):
    """The arguments of a network, tensors on the CPU.

    Attributes:
        args: by position.
        keywords: by keyword.
    """

    args: tuple[Any, ...]
    keywords: dict[str, Any]

    @classmethod
    def of(cls, given: Any) -> "Example":
        """Return an input, a tuple of arguments, or a mapping of them by keyword, as an example.

        Raises:
            ValueError: there is no tensor among them.
        """
        moved = tree_map(_on_cpu, given)
        if isinstance(given, Mapping):
            example = cls((), dict(moved))
        else:
            example = cls(tuple(moved) if isinstance(given, tuple | list) else (moved,), {})
        if not example.tensors():
            raise ValueError(
                "expected the network's input as a tensor, or a tuple or a mapping of its "
                f"arguments, got {type(given).__name__}"
            )
        return example

    def tensors(self) -> list[Tensor]:
        """Return the tensors among the arguments, in the order of the inputs of its graph."""
        leaves, _ = tree_flatten((self.args, self.keywords))
        return [leaf for leaf in leaves if isinstance(leaf, Tensor)]

    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Return the shape of each tensor."""
        return tuple(tuple(tensor.shape) for tensor in self.tensors())

    def inputs(self) -> dict[str, np.ndarray]:
        """Return the tensors by the names of the inputs of its graph (`export_copy`)."""
        found = [tensor.numpy() for tensor in self.tensors()]
        names = ["input"] if len(found) == 1 else [f"input{k}" for k in range(len(found))]
        return dict(zip(names, found, strict=True))

    def try_out(self, model: nn.Module) -> None:
        """Refuse an example that a network on the CPU cannot take.

        Raises:
            PruningError: it raised something.
        """
        try:
            with torch.no_grad():
                model(*self.args, **self.keywords)
        except Exception as error:
            shapes = ", ".join("x".join(map(str, shape)) for shape in self.shapes())
            raise PruningError(
                f"the network cannot take the example ({shapes}): {first_line(error)}"
            ) from error

    def graph_of(self, model: nn.Module) -> onnx.ModelProto:
        """Return the ONNX graph of a network for this input.

        Raises:
            PruningError: torch cannot export it.
        """
        return export_copy(model, *self.args, **self.keywords)

    def groups_of(self, model: nn.Module) -> ChannelGroups:
        """Return the channel groups of a network on the CPU.

        Raises:
            PruningError: it has nothing to prune.
        """
        return find_groups(model, *self.args, **self.keywords)


def _on_cpu(value: Any) -> Any:
    return value.detach().cpu() if isinstance(value, Tensor) else value
