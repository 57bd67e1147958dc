"""The operations on which a network spends its time, and the parts to build them again."""

from dataclasses import dataclass

import numpy as np
import onnx

Shape = tuple[int, ...]

CONVOLUTIONS = {"Conv": "convolution", "ConvTranspose": "transposed convolution"}
LINEAR = "linear"


@dataclass(frozen=True)
class Operation:
    """One step of a network at one input size.

    Attributes:
        kind: `convolution`, `transposed convolution`, `linear`, or the ONNX operator: `Add`,
            `Concat` (of channels), `Resize`, `Pad`, `ReduceMean`, …
        layer: dotted name of the module it belongs to; empty for the outermost one.
        in_channels: channels read (all inputs of a `Concat` together); 0 where nothing depends on
            channels, for example when bytes are turned into numbers.
        out_channels: channels written.
        input_size: height and width read, or the lengths of other numbers of axes; the rows that a
            linear layer reads; (0, 0) without channels.
        kernel: height and width of a convolution's kernel, else empty, as are the next three.
        stride: down and across.
        padding: top, left, bottom, right.
        dilation: down and across.
        groups: of a convolution; 0 for a depthwise one, which has as many as channels.
        activation: what a convolution applies to its result (`Relu`, `Clip`, …), or empty.
        input_count: tensors read that are not constants.
        details: digest of every other attribute and constant that shapes the work.
    """

    kind: str
    layer: str
    in_channels: int
    out_channels: int
    input_size: Shape
    kernel: Shape = ()
    stride: Shape = ()
    padding: Shape = ()
    dilation: Shape = ()
    groups: int = 1
    activation: str = ""
    input_count: int = 1
    details: str = ""

    @property
    def signature(self) -> str:
        """Everything but the channels and the name: what distinguishes the rows of a table."""
        parts = [self.kind, _by(self.input_size)]
        if self.kernel:
            groups = "depthwise" if self.is_depthwise else f"groups {self.groups}"
            parts += [f"kernel {_by(self.kernel)}", f"stride {_by(self.stride)}"]
            parts += [f"padding {_by(self.padding)}", f"dilation {_by(self.dilation)}", groups]
        if self.input_count != 1:
            parts.append(f"{self.input_count} inputs")
        return " ".join(part for part in (*parts, self.activation, self.details) if part)

    @property
    def is_depthwise(self) -> bool:
        """Whether it is a convolution of every channel by itself."""
        return self.groups == 0

    @property
    def has_two_widths(self) -> bool:
        """Whether channels read and written can differ: not of one for each channel by itself."""
        return self.has_weights and not self.is_depthwise

    @property
    def has_weights(self) -> bool:
        """Whether it is a convolution or a linear layer."""
        return bool(self.kernel) or self.kind == LINEAR


@dataclass(frozen=True)
class Template:
    """The parts to build an operation again, at any number of channels.

    Attributes:
        operation: as it is in the network.
        nodes: its nodes in order: a convolution and its activation, else a single one.
        inputs: name, shape and ONNX element type of each tensor read.
        output: name, shape and element type of the tensor written.
        constants: the constants read, by name; without the weights of convolutions and linear
            layers.
        opset: version of the operators.
    """

    operation: Operation
    nodes: tuple[onnx.NodeProto, ...]
    inputs: tuple[tuple[str, Shape, int], ...]
    output: tuple[str, Shape, int]
    constants: dict[str, np.ndarray]
    opset: int


def _by(sizes: Shape) -> str:
    return "x".join(str(size) for size in sizes)
