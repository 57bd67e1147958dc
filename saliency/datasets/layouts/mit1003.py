"""The layout in which MIT1003 is published: photos, raw gaze of each observer, maps.

    ALLSTIMULI/*.jpeg
    DATA/<observer>/<image>.mat     a struct named like the image, with DATA(1).eyeData: (x, y) in
                                    pixels of the photo for each sample, 240 in a second; negative
                                    while the eye is shut
    ALLFIXATIONMAPS/*_fixPts.jpg    white where somebody fixated; read where DATA is not there

How samples become fixations is the rule of the authors' `checkFixations.m`, restated:

1.  The distance from the sample before is averaged over 4 samples. From two windows of 5 such
    averages, one sample apart, follow two speeds; their difference is the acceleration.
2.  A saccade begins where the acceleration exceeds 204 px/s (6 degrees of 34 px) in three samples
    or more one after the other, and ends at the last sample of the first deceleration below
    -204 px/s that ends within 25 samples; without one it was no saccade, unless it is the only one
    and the recording ends in it.
3.  Saccades with fewer than 12 samples (50 ms) between them are one, and a last fixation of 12 or
    fewer belongs to the saccade before it.
4.  What is left between saccades are fixations; each lies at the median of its samples.

As in the paper, the first fixation is left out, on which the observer still was when the photo
came up, even if it is a blink, and those outside the photo are. All others are read, where the
authors' maps show the first six of an observer. Coordinates are pixels from the photo's corner.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from saliency.datasets.dataset import Dataset
from saliency.datasets.images import upright_size
from saliency.datasets.layouts.collector import (
    Collector,
    check_unpacked,
    find_images,
    marked_pixels,
    viewings,
)
from saliency.datasets.layouts.matlab import field, items, read_matlab, rows
from saliency.errors import DatasetError
from saliency.photo.reading import read_photo

SAMPLES_PER_SECOND = 240
DEGREE_PX = 34.0
CRITICAL_ACCELERATION = 6 * DEGREE_PX
WINDOW = 4
FEWEST_FAST = 3
SHORTEST_FIXATION = 12
LONGEST_SEARCH = 25


def read_mit1003(root: Path) -> Dataset:
    """Return MIT1003 (Judd et al. 2009): photos of up to 1024 px, 15 observers.

    Raises:
        DatasetError: a file is missing or damaged, or a map is not of its photo's size.
    """
    collector = Collector("mit1003", degree_px=DEGREE_PX)
    images = find_images([root / "ALLSTIMULI"], collector.faults)
    observers = sorted(path for path in (root / "DATA").glob("*") if path.is_dir())
    maps = root / "ALLFIXATIONMAPS"
    if not observers and not maps.is_dir():
        raise DatasetError(
            f"{root / 'DATA'}: expected a folder for each observer, or {maps.name} beside it, "
            "found neither; unpack DATA.zip"
        )
    stems = [path.stem for path in images.values()]
    check_unpacked((folder / f"{stem}.mat" for folder in observers for stem in stems), root=root)
    for name, path in images.items():
        if observers:
            mats = [folder / f"{path.stem}.mat" for folder in observers]
            each = [(number, _fixations_of(mat)) for number, mat in enumerate(mats)]
            points, numbers = viewings(each)
            collector.add(name, path, points, numbers, first_pixel=0.5)
        else:
            points = _mapped_fixations(maps / f"{path.stem}_fixPts.jpg", path)
            collector.add(name, path, points, np.zeros(len(points), np.int64), first_pixel=0.0)
    return collector.dataset(root=root)


def _fixations_of(mat: Path) -> Float64[ndarray, "fixations 2"]:
    """Return one observer's fixations on one photo, without the first."""
    contents = list(read_matlab(mat).values())
    if not contents:
        raise DatasetError(f"{mat}: expected a struct, found none; unpack the archive again")
    data = items(field(contents[0], "DATA", mat))
    samples = rows(field(data[0] if data else None, "eyeData", f"{mat}, DATA(1)"), 2, mat)
    return fixations_of_gaze(samples)[1:]


def _mapped_fixations(map_path: Path, photo: Path) -> Float64[ndarray, "fixations 2"]:
    if not map_path.is_file():
        raise DatasetError(f"{map_path}: expected the fixations of {photo.name}, found no map")
    marks = read_photo(map_path)[..., 0] > 127
    width, height = upright_size(photo)
    if marks.shape != (height, width):
        raise DatasetError(
            f"{map_path}: expected a map of {width}x{height} like {photo}, got "
            f"{marks.shape[1]}x{marks.shape[0]}; take both from the set's own archive"
        )
    return marked_pixels(marks)


def fixations_of_gaze(
    samples: Float64[ndarray, "samples xy=2"],
) -> Float64[ndarray, "fixations 2"]:
    """Return where the gaze rested between saccades, by the rule of this module."""
    if len(samples) == 0:
        return np.empty((0, 2))
    acceleration = _acceleration(samples)
    saccades = _joined(_saccades(acceleration), len(samples))
    is_saccade = np.zeros(len(samples), bool)
    for start, stop in saccades:
        is_saccade[start : stop + 1] = True
    borders = np.flatnonzero(np.diff(np.concatenate([[True], is_saccade, [True]]).astype(int)))
    parts = [samples[start:stop] for start, stop in borders.reshape(-1, 2)]
    return np.array([_middle(part) for part in parts]).reshape(-1, 2)


def _middle(samples: Float64[ndarray, "samples 2"]) -> Float64[ndarray, " 2"]:
    """Return the median of the samples that are numbers; NaN where there are none."""
    known = samples[~np.isnan(samples).any(axis=1)]
    return np.median(known, axis=0) if len(known) else np.full(2, np.nan)


def _acceleration(samples: Float64[ndarray, "samples 2"]) -> Float64[ndarray, " samples"]:
    """Return the difference of the speeds of two windows from each sample on, in px/s."""
    distance = np.zeros(len(samples))
    distance[1:] = np.hypot(*np.diff(samples, axis=0).T)
    smooth = np.convolve(distance, np.full(WINDOW, 1 / WINDOW))[: len(samples)]
    acceleration = np.zeros(len(samples))
    # The difference of overlapping sums: what the second window has more than the first. The
    # authors leave out the first sample and the last windows.
    inner = np.arange(1, len(samples) - WINDOW - 1)
    gained = smooth[inner + WINDOW + 1] - smooth[inner]
    acceleration[inner] = gained * SAMPLES_PER_SECOND / WINDOW
    return acceleration


def _saccades(acceleration: Float64[ndarray, " samples"]) -> list[tuple[int, int]]:
    """Return the first and last sample of each saccade."""
    fast = np.concatenate([[False], acceleration > CRITICAL_ACCELERATION, [False]])
    starts, stops = np.flatnonzero(np.diff(fast.astype(int))).reshape(-1, 2).T
    active = np.flatnonzero(acceleration)
    is_long = stops - starts >= FEWEST_FAST
    saccades = []
    for start, stop in zip(starts[is_long].tolist(), stops[is_long].tolist(), strict=True):
        slow = acceleration[stop : stop + LONGEST_SEARCH + 1] < -CRITICAL_ACCELERATION
        ends = np.flatnonzero(slow[:-1] & ~slow[1:])
        if len(ends):
            saccades.append((start, stop + int(ends[0])))
        elif is_long.sum() == 1 and stop - 1 == active[-1]:
            saccades.append((start, len(acceleration) - 1))
    return saccades


def _joined(saccades: list[tuple[int, int]], sample_count: int) -> list[tuple[int, int]]:
    """Return the saccades, those joined that leave too short a fixation between them."""
    joined: list[tuple[int, int]] = []
    for start, stop in saccades:
        if joined and start - joined[-1][1] <= SHORTEST_FIXATION:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    if joined and sample_count - (joined[-1][1] + 1) <= SHORTEST_FIXATION:
        joined[-1] = (joined[-1][0], sample_count - 1)
    return joined
