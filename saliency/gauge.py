"""How a pruned model does beside the unpruned one: its time and its figures."""

import numpy as np
import onnx

from saliency.center_bias import fit_center_bias
from saliency.export import saliency_graph
from saliency.model import SaliencyModel
from saliency.pruning.engines import Engine
from saliency.pruning.network_graph import simplify
from saliency.pruning.timing import measure_networks_ms
from saliency.training_data import TrainingData
from saliency.validation import validate

Point = dict[str, float]
"""`measured_ms`, `speedup` over the unpruned model, and the figures of `validate`."""


class Gauge:
    """Measures and validates models of one origin.

    Times are taken in turns with the unpruned model's, and are told in its milliseconds, so that
    the machine's pace at the moment cancels out.

    Attributes:
        unpruned_ms: time of the unpruned model.
    """

    def __init__(
        self,
        unpruned: onnx.ModelProto,
        data: TrainingData,
        engine: Engine,
        *,
        size: tuple[int, int],
        reference_ms: float,
    ) -> None:
        """Prepare the unpruned model.

        Args:
            unpruned: its graph.
            data: the validation scenes are what figures are for.
            engine: what times are of.
            size: height and width of the photo that is timed.
            reference_ms: pace at which the unpruned model is timed (`timing`).
        """
        self.shape = (1, *size, 3)
        self.graph = simplify(unpruned, input_shape=self.shape)
        self.engine, self.data, self.reference_ms = engine, data, reference_ms
        self.baseline = fit_center_bias(data.train, is_symmetric=True)
        self._inputs = {"photos": np.random.default_rng(0).integers(0, 256, self.shape, np.uint8)}
        (self.unpruned_ms,) = self._times_ms()

    def measure(self, model: SaliencyModel, *, is_unpruned: bool = False) -> Point:
        """Return the time, speedup and figures of a model on the CPU."""
        speedup = 1.0
        if not is_unpruned:
            unpruned_ms, pruned_ms = self._times_ms(model)
            speedup = unpruned_ms / pruned_ms
        figures = validate(model, self.data.validation, baseline=self.baseline)
        return {"measured_ms": self.unpruned_ms / speedup, "speedup": speedup, **figures}

    def _times_ms(self, *models: SaliencyModel) -> list[float]:
        graphs = [simplify(saliency_graph(model), input_shape=self.shape) for model in models]
        return measure_networks_ms(
            [self.graph, *graphs],
            self.engine,
            inputs=[self._inputs] * (1 + len(graphs)),
            reference_ms=self.reference_ms,
        )
