"""The figure of `saliency inspect`."""

from collections.abc import Sequence
from io import BytesIO

from matplotlib.figure import Figure

from saliency.compression.inspection import InspectedLayer


def draw_layers(rows: Sequence[InspectedLayer]) -> bytes:
    """Return a PNG with bars for each layer: time, Fisher–Rao norm, removable share.

    Args:
        rows: from `inspect_model`; the last one, for the whole network, is left out.
    """
    layers = [row for row in rows[:-1] if row.macs]
    names = [row.name for row in layers]
    columns = (
        ("milliseconds", [row.ms or 0.0 for row in layers]),
        ("Fisher–Rao norm", [row.fisher_rao for row in layers]),
        ("share that could go for 1 %", [row.removable for row in layers]),
    )
    figure = Figure(figsize=(12, 1.5 + 0.17 * len(layers)), layout="constrained")
    axes = figure.subplots(1, len(columns), sharey=True)
    for axis, (title, values) in zip(axes, columns, strict=True):
        axis.barh(range(len(values)), values, color="#0072b2")
        axis.set_title(title, fontsize=9)
        axis.margins(y=0.01)
    axes[0].set_yticks(range(len(names)), names, fontsize=6)
    axes[0].invert_yaxis()
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
