"""An evaluation as a page of its own: one file, with its figures inside."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from saliency.evaluation.map_folder import MapFolder
from saliency.evaluation.report.figures import draw_calibration, draw_scatter, draw_scene
from saliency.evaluation.report.table import explained_lines, table_cells
from saliency.evaluation.run import Result
from saliency.evaluation.scoring import SceneScores, read_photo_of
from saliency.fixations.density import empirical_density
from saliency.fixations.scene import Scene
from saliency.model.loading import Predict

SHOWN_COUNT = 4
"""Images among the worst, and among the best, that are shown."""

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 1200px; padding: 0 1em; }
table { border-collapse: collapse; font-size: 14px; display: block; overflow-x: auto; }
th, td { padding: 4px 9px; text-align: right; white-space: nowrap; vertical-align: top; }
th:nth-child(1), td:nth-child(1), th:nth-child(3), td:nth-child(3) { text-align: left; }
tr { border-bottom: 1px solid #ddd; }
td small { display: block; color: #666; font-size: 11px; }
img { max-width: 100%; }
figure { margin: 1em 0; } figcaption { color: #444; font-size: 13px; }
"""


def render_report(results: Sequence[Result], asked: Mapping[str, Any]) -> str:
    """Return the page: table, scatter, calibration, worst and best images of each data set.

    It loads nothing from elsewhere.

    Args:
        results: as `evaluate_all` gives them; their models predict the shown images once more.
        asked: what the command was told, shown as it is.
    """
    told = "; ".join(
        f"{escape(name.replace('_', ' '))}: {escape(_shown(value))}"
        for name, value in asked.items()
        if value is not None
    )
    parts = [
        "<h1>How well people's fixations are predicted</h1>",
        f"<p>{told}</p>",
        _table(results),
        *(f"<p>{escape(line)}</p>" for line in explained_lines(results)),
        "<p>Means over images with their 95 % intervals (bootstrap over images). IG is in bits per "
        "fixation over the center bias of the other images; less is better for KL only.</p>",
    ]
    for result in results:
        parts += _section(result)
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>Evaluation</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _table(results: Sequence[Result]) -> str:
    header, *rows = table_cells(results)
    lines = ["".join(f"<th>{escape(cell)}</th>" for cell in header)]
    lines += ["".join(f"<td>{_cell(cell)}</td>" for cell in row) for row in rows]
    return "<table>\n" + "\n".join(f"<tr>{line}</tr>" for line in lines) + "\n</table>"


def _cell(cell: str) -> str:
    """Return a cell of the table, the interval of a mean on a line below it."""
    mean, bracket, ends = cell.partition(" [")
    return f"{escape(mean)}<small>[{escape(ends)}</small>" if bracket else escape(cell)


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _section(result: Result) -> list[str]:
    names = tuple(result.models)
    first = names[0]
    order = sorted(range(len(result.rows)), key=lambda number: _merit(result.rows[number], first))
    half = min(SHOWN_COUNT, (len(order) + 1) // 2)  # no image is shown twice
    worst, best = order[:half], order[max(half, len(order) - half) :][::-1]
    parts = [
        f"<h2>{escape(result.name)}</h2>",
        "<h3>Every image</h3>",
        _figure(draw_scatter(result.rows, names), "A point is an image."),
    ]
    if any(row.levels for row in result.rows):
        caption = (
            "Calibration: the densest parts of the prediction that together hold a share of it "
            "should hold that share of the fixations. Below the line, the model is too sure."
        )
        parts += [
            "<h3>Calibration of the density</h3>",
            _figure(draw_calibration(result.rows, names), caption),
        ]
    for title, numbers in (("Worst images", worst), ("Best images", best)):
        if numbers:
            parts.append(f"<h3>{title}</h3>")
            shown = ", ".join(["photo with fixations", "density of the fixations", *names])
            parts.append(f"<p>By {escape(first)}. From left to right: {escape(shown)}.</p>")
        parts += [_scene(result.scenes[n], result.rows[n], result.models) for n in numbers]
    return parts


def _merit(row: SceneScores, model: str) -> float:
    """Return what images are ordered by: information gain, or NSS where there is none."""
    scores = row.predictions[model]
    value = scores.information_gain_bits
    return float(scores.nss or 0.0) if value is None else value


def _scene(scene: Scene, row: SceneScores, models: Mapping[str, Predict | MapFolder]) -> str:
    photo = read_photo_of(scene)
    seen = empirical_density(
        scene.fixations, width=scene.width, height=scene.height, sigma_px=scene.sigma_px
    )
    maps = [seen, *(_map_of(model, scene, photo) for model in models.values())]
    scores = row.predictions[next(iter(models))]
    gain = scores.information_gain_bits
    figures = [] if gain is None else [f"IG {gain:.2f} bit"]
    figures += [f"NSS {scores.nss:.2f}", f"{row.fixation_count} fixations"]
    return _figure(draw_scene(photo, scene, maps), f"{scene.name}: {', '.join(figures)}")


def _map_of(
    model: Predict | MapFolder, scene: Scene, photo: UInt8[ndarray, "height width 3"]
) -> Float[ndarray, "height width"]:
    if isinstance(model, MapFolder):
        return model.read(scene).astype(np.float64)
    return np.exp(model(photo))


def _figure(picture: str, caption: str) -> str:
    return (
        f'<figure><img src="{picture}" alt="{escape(caption, quote=True)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
