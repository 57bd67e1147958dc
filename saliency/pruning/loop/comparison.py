"""Any network compared with what is left of it: its time and its score."""

import math
from collections.abc import Callable
from typing import Any

import onnx
from torch import nn

from saliency.errors import PruningError
from saliency.pruning.latency.engines import Engine
from saliency.pruning.latency.onnx_graph import simplify
from saliency.pruning.latency.pace import measure_networks_ms
from saliency.pruning.loop.example import Example
from saliency.pruning.loop.run import Point

Validate = Callable[[Any], float]
"""Given a network in evaluation mode, its score: the higher, the better."""


class NetworkComparison:
    """Measures and validates networks of one origin.

    Times are taken in turns with the unpruned network's, and are given in its milliseconds, so that
    the machine's pace at the moment cancels out.

    Attributes:
        graph: of the unpruned network.
        shape: of each of its inputs.
        unpruned_ms: its time.
    """

    is_smaller = False

    def __init__(
        self,
        unpruned: nn.Module,
        example: Example,
        engine: Engine,
        *,
        validate: Validate | None,
    ) -> None:
        """Take the unpruned network.

        Args:
            unpruned: on the CPU.
            example: its input, of the size that is timed.
            engine: in which networks are timed.
            validate: gives their score; None without.

        Raises:
            PruningError: the network cannot be exported, or the engine cannot run it.
        """
        self.unpruned, self.example, self.engine = unpruned, example, engine
        self.shape, self._inputs = example.shapes(), example.inputs()
        self.graph = self._graph_of(unpruned)
        self.reference_ms: float | None = None
        self.unpruned_ms = 0.0
        self._validate = validate

    def measure_unpruned(self) -> Point:
        """Return the time, speedup and score of the unpruned network."""
        (self.unpruned_ms,) = self._times_ms()
        return self._point(self.unpruned, speedup=1.0)

    def measure(self, model: nn.Module) -> Point:
        """Return the time, speedup and score of a network on the CPU."""
        unpruned_ms, pruned_ms = self._times_ms(model)
        return self._point(model, speedup=unpruned_ms / pruned_ms)

    def score(self, model: nn.Module) -> float | None:
        """Return the score of a network; None without `validate`.

        Raises:
            PruningError: what `validate` returns is no number.
        """
        if self._validate is None:
            return None
        score: Any = self._validate(model.eval())
        try:
            number = float(score)
        except (TypeError, ValueError, RuntimeError) as error:
            raise PruningError(
                f"expected validate to return a number, got {type(score).__name__}"
            ) from error
        if math.isnan(number):
            raise PruningError("expected validate to return a number, got nan")
        return number

    def _point(self, model: nn.Module, *, speedup: float) -> Point:
        score = self.score(model)
        shown = {} if score is None else {"score": score}
        return {"measured_ms": self.unpruned_ms / speedup, "speedup": speedup, **shown}

    def _times_ms(self, *models: nn.Module) -> list[float]:
        graphs = [self._graph_of(model) for model in models]
        return measure_networks_ms(
            [self.graph, *graphs],
            self.engine,
            inputs=[self._inputs] * (1 + len(graphs)),
            reference_ms=self.reference_ms,
        )

    def _graph_of(self, model: nn.Module) -> onnx.ModelProto:
        return simplify(self.example.graph_of(model), input_shape=self.shape)
