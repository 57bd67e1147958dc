"""How many lines of text crops slice through, and what detectors of text change about that.

    python benchmarks/text.py [--count N] [--db FILE] [--photos FOLDER] [--timing]

Crops to five ratios of N posters, screenshots and signs that are drawn (drawn_text.py). A line is
sliced if a crop shows between 5 and 95 % of its box. A line that a detector finds costs a window
5 % of the density if it is cut, as a head does, and the middle window moves to cut fewer. Printed
are the sliced lines of each 100 crops, and the part of the drawn lines that the detector finds:

  none       the windows as they are
  drawn      the lines that were drawn: a detector without errors
  gradient   places where the brightness changes strongly and often along a row, joined into lines
  hats       the same with thin light or dark strokes (top hat and black hat)
  mser       OpenCV's MSER regions, joined into lines
  db         a DB text model, if `--db` names one, such as ch_PP-OCRv4_det_infer.onnx of the package
             rapidocr-onnxruntime (Apache licence)

All look at 320 pixels. `--photos` counts, with the DB model at 640 pixels as judge, the lines in
photos of a folder. `--timing` prints the milliseconds of each detector on one thread instead.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from drawn_text import KINDS, Drawn
from numpy.typing import NDArray
from PIL import Image

from saliency.crop_windows.best_windows import centred
from saliency.crop_windows.confidence import gather_evidence
from saliency.crop_windows.search import Wishes, best_place, nearest_place
from saliency.crop_windows.summed_area_table import ShareTable
from saliency.crop_windows.window_score import WindowScore
from saliency.geometry import Size, Window, largest_size, parse_aspect
from saliency.photo.pixels import shrunk
from saliency.photo.reading import read_photo
from saliency.prediction.predictor import Predictor

RATIOS = ("1:1", "9:16", "16:9", "4:5", "1.91:1")
SEEN_SIDE, JUDGE_SIDE = 320, 640
MOST_LINES = 40
Picture = NDArray[np.uint8]
Detector = Callable[[Picture], list[tuple[int, int, int, int]]]
"""From a small picture to x, y, width and height of each line."""


def joined(strokes: Picture, *, flips: float = 0.5) -> list[tuple[int, int, int, int]]:
    """Return the lines that strokes make: long, of one height, and with many strokes in a row."""
    height, width = strokes.shape
    short, reach = min(height, width), max(3, round(0.035 * max(height, width)))
    closed = cv2.morphologyEx(strokes, cv2.MORPH_CLOSE, np.ones((1, reach), np.uint8))
    closed = cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((2, reach // 2), np.uint8))
    lines = []
    for x, y, wide, high, area in cv2.connectedComponentsWithStats(closed)[2][1:].tolist():
        inside = strokes[y : y + high, x : x + wide].astype(np.int8)
        changes = np.median(np.abs(np.diff(inside, axis=1)).sum(axis=1))
        if (
            0.012 * short <= high <= 0.2 * short
            and wide >= 1.3 * high
            and area >= 0.55 * wide * high
            and 0.2 <= inside.mean() <= 0.95
            and changes >= max(3, flips * wide / high)
        ):
            lines.append((x, y, wide, high))
    return lines


def gradient(picture: Picture) -> list[tuple[int, int, int, int]]:
    """Find lines by strong changes of brightness."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    change = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8))
    return joined((change > 40).astype(np.uint8))


def hats(picture: Picture) -> list[tuple[int, int, int, int]]:
    """Find lines by thin strokes that are lighter, or darker, than their surroundings."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    around = np.ones((9, 9), np.uint8)
    return [
        line
        for kind in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT)
        for line in joined((cv2.morphologyEx(grey, kind, around) > 45).astype(np.uint8), flips=0.4)
    ]


def mser(picture: Picture) -> list[tuple[int, int, int, int]]:
    """Find lines by regions of even brightness that are as high as letters, in rows."""
    height, width, _ = picture.shape
    short, reach = min(height, width), max(3, round(0.03 * max(height, width)))
    regions = cv2.MSER_create(5, 8, int(0.02 * width * height), 0.3)
    _, boxes = regions.detectRegions(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
    letters = np.zeros((height, width), np.uint8)
    for x, y, wide, high in boxes:
        if 0.01 * short <= high <= 0.18 * short and wide < 3 * high:
            letters[y : y + high, x : x + wide] = 1
    closed = cv2.morphologyEx(letters, cv2.MORPH_CLOSE, np.ones((1, reach), np.uint8))
    found = cv2.connectedComponentsWithStats(closed)[2][1:].tolist()
    return [(x, y, wide, high) for x, y, wide, high, _ in found if wide > 1.3 * high < 0.2 * short]


class TextModel:
    """A DB model (Liao et al. 2020): for each pixel, whether it lies in the core of a line."""

    def __init__(self, path: Path) -> None:
        """Load the model."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        self._session = onnxruntime.InferenceSession(path, options)

    def __call__(self, picture: Picture) -> list[tuple[int, int, int, int]]:
        """Find lines, each wider than its core on all sides."""
        height, width, _ = picture.shape
        size = max(32, round(width / 32) * 32), max(32, round(height / 32) * 32)
        values = cv2.resize(picture, size).astype(np.float32) / 255
        values = (values - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
        blue_first = np.ascontiguousarray(values[:, :, ::-1].transpose(2, 0, 1)[np.newaxis])
        (output,) = self._session.run(None, {self._session.get_inputs()[0].name: blue_first})
        chance = output[0, 0]
        _, labels, boxes, _ = cv2.connectedComponentsWithStats((chance > 0.3).astype(np.uint8))
        scale = width / size[0], height / size[1]
        lines = []
        for label, (x, y, wide, high, _) in enumerate(boxes.tolist()):
            part = slice(y, y + high), slice(x, x + wide)
            if label and min(wide, high) > 1 and chance[part][labels[part] == label].mean() > 0.6:
                more = 0.6 * min(wide, high)
                left, top = max(0.0, x - more), max(0.0, y - more)
                right, bottom = min(size[0], x + wide + more), min(size[1], y + high + more)
                edges = (left, top, right - left, bottom - top)
                lines.append(
                    tuple(int(edge * scale[index % 2]) for index, edge in enumerate(edges))
                )
        return lines


def lines_in(photo: Picture, detector: Detector, side: int = SEEN_SIDE) -> list[Window]:
    """Return the lines that a detector finds at a size, in pixels of the photo."""
    height, width, _ = photo.shape
    factor = min(1.0, side / max(width, height))
    view = np.asarray(shrunk(photo, (round(width * factor), round(height * factor))))
    across, down = width / view.shape[1], height / view.shape[0]
    whole = Window(0, 0, width, height)
    found = (
        Window(
            int(x * across), int(y * down), max(1, int(wide * across)), max(1, int(high * down))
        ).common(whole)
        for x, y, wide, high in detector(view)
    )
    return [line for line in found if line is not None][:MOST_LINES]


def sliced(window: Window, lines: Iterable[Window]) -> int:
    """Return how many lines a window slices."""
    commons = ((window.common(line), line) for line in lines)
    shown = (
        0.0 if common is None else common.width * common.height / (line.width * line.height)
        for common, line in commons
    )
    return sum(0.05 < part < 0.95 for part in shown)


def part_found(drawn: Iterable[Window], found: list[Window], size: Size) -> list[bool]:
    """Return of each drawn line whether more than half of it is found."""
    mask = np.zeros((size[1], size[0]), dtype=np.bool_)
    for line in found:
        mask[line.y : line.y + line.height, line.x : line.x + line.width] = True
    return [
        bool(mask[line.y : line.y + line.height, line.x : line.x + line.width].mean() > 0.5)
        for line in drawn
    ]


def chosen(
    lines: list[Window], predictor: Predictor, score: WindowScore, table: ShareTable
) -> Iterator[Window]:
    """Yield the window of each ratio that cuts few lines: the best one, or that near the middle."""
    size = table.photo_size
    wishes = Wishes(heads=tuple(line.box for line in lines))
    for ratio in RATIOS:
        window_size = largest_size(size, parse_aspect(ratio))
        best, centre = (
            best_place(table, window_size, wishes, score=score),
            centred(window_size, size),
        )
        sure = predictor.calibration.probability(gather_evidence(table, best, centre))
        if best == centre or sure >= 0.5:
            yield best
        else:
            yield nearest_place(window_size, size, wishes, target=(centre.x, centre.y))


def measure(
    pictures: Iterable[Drawn], detectors: dict[str, Detector], predictor: Predictor
) -> dict[str, tuple[float, float, float]]:
    """Return of each detector the sliced lines per 100 crops, the lines found, the share kept."""
    rows: dict[str, list[tuple[float, float]]] = {
        name: [] for name in ("none", "drawn", *detectors)
    }
    hits: dict[str, list[bool]] = {name: [] for name in rows}
    for picture, lines in pictures:
        photo = np.asarray(picture)
        density = predictor.density(photo)
        table = ShareTable(density, picture.size)
        score = WindowScore(density, table)
        for name in rows:
            found = {"none": [], "drawn": lines}.get(name)
            found = lines_in(photo, detectors[name]) if found is None else found
            hits[name] += part_found(lines, found, picture.size)
            rows[name] += [
                (sliced(window, lines), table.share(window))
                for window in chosen(found, predictor, score, table)
            ]
    return {
        name: (
            100 * np.mean(values, axis=0)[0],
            float(np.mean(hits[name] or [0])),
            np.mean(values, axis=0)[1],
        )
        for name, values in rows.items()
    }


def drawn(kind: str, count: int) -> Iterator[Drawn]:
    """Yield pictures of a kind, the same ones every time."""
    for one in range(count):
        yield KINDS[kind](np.random.default_rng([list(KINDS).index(kind), one]))


def judged(paths: list[Path], judge: Detector) -> Iterator[Drawn]:
    """Yield photos with the lines that a judge finds in them; those without lines are left out."""
    for path in paths:
        photo = read_photo(path)
        lines = lines_in(photo, judge, JUDGE_SIDE)
        if lines:
            yield Drawn(Image.fromarray(photo), lines)


def print_timing(detectors: dict[str, Detector]) -> None:
    """Print the median milliseconds of each detector, over pictures of every kind."""
    cv2.setNumThreads(1)
    pictures = [np.asarray(draw(np.random.default_rng(0)).picture) for draw in KINDS.values()]
    views = [np.asarray(shrunk(one, (320, 240))) for one in pictures]
    for name, detector in detectors.items():
        spent = []
        for _ in range(15):
            for view in views:
                start = time.perf_counter()
                detector(view)
                spent.append((time.perf_counter() - start) * 1000)
        print(f"{name:10} {statistics.median(spent):6.2f} ms")


def main() -> None:
    """Print the table, or the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--db", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--timing", action="store_true")
    arguments = parser.parse_args()
    detectors: dict[str, Detector] = {"gradient": gradient, "hats": hats, "mser": mser}
    if arguments.db is not None:
        detectors["db"] = TextModel(arguments.db)
    if arguments.timing:
        print_timing(detectors)
        return
    predictor = Predictor("default", threads=1)
    sets: dict[str, Iterable[Drawn]] = {kind: drawn(kind, arguments.count) for kind in KINDS}
    if arguments.photos is not None:
        paths = sorted(arguments.photos.glob("*.jpg"))[::3]
        sets = {"photos": judged(paths, detectors["db"])}
    for kind, pictures in sets.items():
        for name, (count, part, kept) in measure(pictures, detectors, predictor).items():
            print(f"{kind:12} {name:10} {count:6.1f} sliced  {part:5.0%} found  {kept:6.1%} kept")


if __name__ == "__main__":
    main()
