"""A pruned model compared with the unpruned one: its time and its figures."""

import numpy as np

from saliency.fixations.center_bias import fit_center_bias
from saliency.model.export import saliency_graph
from saliency.model.network import SaliencyModel
from saliency.prediction.processing import working_size
from saliency.pruning.latency.engines import Engine
from saliency.pruning.latency.onnx_graph import simplify
from saliency.pruning.latency.pace import measure_networks_ms
from saliency.pruning.loop.run import Point
from saliency.training.data import TrainingData
from saliency.training.validation import validate

PROPORTIONS = (4, 3)
"""Width and height of the photo that is timed, unless another size is given."""


class ModelComparison:
    """Measures and validates models of one origin.

    Times are taken in turns with the unpruned model's, and are given in its milliseconds, so that
    the machine's pace at the moment cancels out.

    Attributes:
        size: height and width of the photo as a pruned model gets it.
        graph: of the unpruned model at that size.
        unpruned_ms: time of the unpruned model, for the photo at its own size.
    """

    def __init__(
        self,
        unpruned: SaliencyModel,
        data: TrainingData,
        engine: Engine,
        *,
        size: tuple[int, int],
        input_pixels: int,
        reference_ms: float,
    ) -> None:
        """Prepare the unpruned model.

        Args:
            unpruned: on the CPU, in evaluation mode.
            data: its validation scenes give the figures.
            engine: in which models are timed.
            size: height and width of the photo that is timed, as a pruned model gets it.
            input_pixels: area at which pruned models look at photos; where it is not that of the
                unpruned model, that model sees the same photo larger.
            reference_ms: pace at which the unpruned model is timed (`timing`).
        """
        self.size, self.shape = size, (1, *size, 3)
        self.unpruned, self.is_smaller = unpruned, input_pixels != unpruned.config.input_pixels
        graph = saliency_graph(unpruned)
        self.graph = self._unpruned_graph = simplify(graph, input_shape=self.shape)
        unpruned_shape = self.shape
        if self.is_smaller:
            area = round(size[0] * size[1] * unpruned.config.input_pixels / input_pixels)
            unpruned_shape = (1, *_network_size(unpruned, size[::-1], area), 3)
            self._unpruned_graph = simplify(graph, input_shape=unpruned_shape)
        self.engine, self.data, self.reference_ms = engine, data, reference_ms
        self.baseline = fit_center_bias(data.train, is_symmetric=True)
        random = np.random.default_rng(0)
        self._inputs, self._unpruned_inputs = (
            {"photos": random.integers(0, 256, shape, np.uint8)}
            for shape in (self.shape, unpruned_shape)
        )
        (self.unpruned_ms,) = self._times_ms()

    def measure_unpruned(self) -> Point:
        """Return the time, speedup and figures of the unpruned model."""
        return self._point(self.unpruned, speedup=1.0)

    def measure(self, model: SaliencyModel) -> Point:
        """Return the time, speedup and figures of a model on the CPU."""
        unpruned_ms, pruned_ms = self._times_ms(model)
        return self._point(model, speedup=unpruned_ms / pruned_ms)

    def _point(self, model: SaliencyModel, *, speedup: float) -> Point:
        figures = validate(model, self.data.validation, baseline=self.baseline)
        return {"measured_ms": self.unpruned_ms / speedup, "speedup": speedup, **figures}

    def _times_ms(self, *models: SaliencyModel) -> list[float]:
        graphs = [simplify(saliency_graph(model), input_shape=self.shape) for model in models]
        return measure_networks_ms(
            [self._unpruned_graph, *graphs],
            self.engine,
            inputs=[self._unpruned_inputs, *[self._inputs] * len(graphs)],
            reference_ms=self.reference_ms,
        )


def timed_size(model: SaliencyModel, input_pixels: int | None = None) -> tuple[int, int]:
    """Return the height and width of a photo of 4:3 as a model, or one of another area, sees it."""
    return _network_size(model, PROPORTIONS, input_pixels or model.config.input_pixels)


def _network_size(
    model: SaliencyModel, photo: tuple[int, ...], input_pixels: int
) -> tuple[int, int]:
    width, height = photo
    columns, rows = working_size(
        (width, height), input_pixels=input_pixels, size_multiple=model.size_multiple
    )
    return rows, columns
