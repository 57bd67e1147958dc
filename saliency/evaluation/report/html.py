"""An evaluation as a page of its own: one file, with its figures inside."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from jinja2 import Environment, PackageLoader, StrictUndefined
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


def render_report(results: Sequence[Result], asked: Mapping[str, Any]) -> str:
    """Return the page: table, scatter, calibration, worst and best images of each data set.

    It loads nothing from elsewhere.

    Args:
        results: as `evaluate_all` returns them; their models predict the shown images once more.
        asked: the options of the evaluation, shown as they are.
    """
    environment = Environment(
        loader=PackageLoader("saliency.evaluation.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    header, *rows = table_cells(results)
    return environment.get_template("report.html.j2").render(
        asked=[
            (name.replace("_", " "), _shown(value))
            for name, value in asked.items()
            if value is not None
        ],
        header=header,
        rows=[[_mean_and_interval(cell) for cell in row] for row in rows],
        explained=explained_lines(results),
        data_sets=[_data_set(result) for result in results],
    )


def _mean_and_interval(cell: str) -> tuple[str, str]:
    """Return a cell of the table as the mean, and its interval for the line below."""
    mean, bracket, ends = cell.partition(" [")
    return mean, f"[{ends}" if bracket else ""


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _data_set(result: Result) -> dict[str, Any]:
    """Return what the page shows of a data set."""
    names = tuple(result.models)
    order = sorted(
        range(len(result.rows)), key=lambda number: _merit(result.rows[number], names[0])
    )
    half = min(SHOWN_COUNT, (len(order) + 1) // 2)  # no image is shown twice
    chosen = {
        "Worst images": order[:half],
        "Best images": order[max(half, len(order) - half) :][::-1],
    }
    has_levels = any(row.levels for row in result.rows)
    return {
        "name": result.name,
        "model": names[0],
        "scatter": draw_scatter(result.rows, names),
        "calibration": draw_calibration(result.rows, names) if has_levels else None,
        "groups": [
            {
                "title": title,
                "panels": ["photo with fixations", "density of the fixations", *names],
                "scenes": [
                    _scene(result.scenes[n], result.rows[n], result.models) for n in numbers
                ],
            }
            for title, numbers in chosen.items()
            if numbers
        ],
    }


def _merit(row: SceneScores, model: str) -> float:
    """Return what images are ordered by: information gain, or NSS where there is none."""
    scores = row.predictions[model]
    value = scores.information_gain_bits
    return float(scores.nss or 0.0) if value is None else value


def _scene(
    scene: Scene, row: SceneScores, models: Mapping[str, Predict | MapFolder]
) -> tuple[str, str]:
    """Return the picture of a scene and its caption."""
    photo = read_photo_of(scene)
    seen = empirical_density(
        scene.fixations, width=scene.width, height=scene.height, sigma_px=scene.sigma_px
    )
    maps = [seen, *(_map_of(model, scene, photo) for model in models.values())]
    scores = row.predictions[next(iter(models))]
    gain = scores.information_gain_bits
    figures = [] if gain is None else [f"IG {gain:.2f} bit"]
    figures += [f"NSS {scores.nss:.2f}", f"{row.fixation_count} fixations"]
    return draw_scene(photo, scene, maps), f"{scene.name}: {', '.join(figures)}"


def _map_of(
    model: Predict | MapFolder, scene: Scene, photo: UInt8[ndarray, "height width 3"]
) -> Float[ndarray, "height width"]:
    if isinstance(model, MapFolder):
        return model.read(scene).astype(np.float64)
    return np.exp(model(photo))
