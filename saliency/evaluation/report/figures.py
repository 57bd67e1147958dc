"""The figures of an evaluation's report, each as a picture for a page."""

import base64
import io
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Real, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from numpy import ndarray
from PIL import Image

from saliency.colour_map import colours_of
from saliency.evaluation.reliability import LEVEL_COUNT
from saliency.evaluation.scoring import CEILING, CENTER_BIAS, UNIFORM, SceneScores
from saliency.fixations.scene import Scene

PANEL_HEIGHT = 240
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Colours that people with any colour vision can distinguish (Okabe & Ito)."""


def draw_scatter(rows: Sequence[SceneScores], models: Sequence[str]) -> str:
    """Return plots of every image: information gain and NSS of models against a reference.

    The reference is the first model if there are several, else the ceiling if all images have one,
    else a baseline. Above the diagonal a model is better than the reference.
    """
    has_ceiling = all(CEILING in row.predictions for row in rows)
    single = {name: CEILING if has_ceiling else name for name in (UNIFORM, CENTER_BIAS)}
    kinds = (
        ("information_gain_bits", "information gain, bits per fixation", single[UNIFORM]),
        ("nss", "NSS", single[CENTER_BIAS]),
    )
    canvas = Canvas(figsize=(9, 4.3), layout="constrained")
    for number, (metric, label, baseline) in enumerate(kinds, start=1):
        against = models[0] if len(models) > 1 else baseline
        axes = canvas.add_subplot(1, 2, number)
        for model, colour in zip(models[1:] or models, COLOURS * len(models), strict=False):
            pairs = [
                tuple(getattr(row.predictions[name], metric) for name in (against, model))
                for row in rows
            ]
            known = [pair for pair in pairs if None not in pair]
            if known:
                across, up = np.array(known).T
                axes.scatter(across, up, s=14, alpha=0.6, color=colour, label=model)
                axes.legend(fontsize="small")
        _add_diagonal(axes)
        axes.set(title=label, xlabel=against)
    return _embedded_canvas(canvas)


def draw_calibration(rows: Sequence[SceneScores], models: Sequence[str]) -> str:
    """Return a plot of the share of fixations in the densest parts that hold a share of the mass.

    Every image weighs the same. Below the diagonal a model is over-confident.
    """
    canvas = Canvas(figsize=(4.6, 4.3), layout="constrained")
    axes = canvas.add_subplot()
    predicted = np.linspace(0, 1, LEVEL_COUNT + 1)
    for model, colour in zip(models, COLOURS * len(models), strict=False):
        levels = [row.levels[model] for row in rows if model in row.levels]
        if levels:
            seen = np.concatenate([[0.0], np.mean(levels, axis=0).cumsum()])
            axes.plot(predicted, seen, "o-", markersize=3, color=colour, label=model)
            axes.legend(fontsize="small")
    _add_diagonal(axes)
    axes.set(xlabel="predicted share", ylabel="share of fixations", xlim=(0, 1), ylim=(0, 1))
    return _embedded_canvas(canvas)


def draw_scene(
    photo: UInt8[ndarray, "height width 3"],
    scene: Scene,
    maps: Sequence[Real[ndarray, "height width"]],
) -> str:
    """Return photo with fixations, the fixations' density and the models' maps, side by side.

    Args:
        photo: of the scene.
        scene: with its fixations.
        maps: densities or saliency maps of the photo's size, the fixations' density first.
    """
    width = max(1, round(PANEL_HEIGHT * scene.width / scene.height))
    size = (width, PANEL_HEIGHT)
    seen = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    for x, y in scene.fixations * (width / scene.width, PANEL_HEIGHT / scene.height):
        place = (int(x), int(y))
        cv2.circle(seen, place, 3, (0, 0, 0), cv2.FILLED, cv2.LINE_AA)
        cv2.circle(seen, place, 2, (255, 220, 0), cv2.FILLED, cv2.LINE_AA)
    panels = [seen, *(_coloured(one, size) for one in maps)]
    gap = np.full((PANEL_HEIGHT, 4, 3), 255, np.uint8)
    separated = [part for panel in panels for part in (panel, gap)][:-1]
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(separated, axis=1)).save(buffer, "JPEG", quality=85)
    return _embedded(buffer.getvalue(), "jpeg")


def _coloured(
    values: Real[ndarray, "height width"], size: tuple[int, int]
) -> UInt8[ndarray, "rows columns 3"]:
    """Return a map in inferno, its square root between its least and its greatest value."""
    small = cv2.resize(values.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    span = max(float(small.max() - small.min()), 1e-30)
    return colours_of(np.sqrt(np.clip((small - small.min()) / span, 0, 1)))


def _add_diagonal(axes: Axes) -> None:
    axes.axline((0, 0), slope=1, color="#999999", linewidth=1, zorder=0)
    axes.grid(color="#eeeeee")
    axes.set_axisbelow(True)


def _embedded_canvas(canvas: Canvas) -> str:
    buffer = io.BytesIO()
    # No date and fixed names inside: the same scores give the same bytes.
    canvas.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return _embedded(buffer.getvalue(), "png")


def _embedded(picture: bytes, kind: str) -> str:
    """Return a picture as the address of an image that holds it."""
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
