"""How well a map predicts where people looked: the metrics of the field, one image at a time.

Maps are arrays of (height, width) at the image's own size, in any real type; all arithmetic is in
float64. Fixations are (x, y) in pixels, origin at the top left corner of the top left pixel; each
scores the pixel it lies in, (floor(x), floor(y)). A repeated fixation counts repeatedly, and every
fixation of an image weighs the same.

Each metric wants its own map, made from one density: see `saliency.evaluation.optimal_maps`.

The definitions are those of the MIT/Tübingen saliency benchmark (Kümmerer, Wallis & Bethge, ECCV
2018) and agree with pysaliency, under the names that the docstrings give.
"""

import math

import numpy as np
from jaxtyping import Float64, Real

Map = Real[np.ndarray, "height width"]
OtherMap = Real[np.ndarray, "other_height other_width"]  # own axes: another size is a ValueError
Fixations = Real[np.ndarray, "fixations xy=2"]
NonFixations = Real[np.ndarray, "non_fixations xy=2"]

KL_EPSILON = 2.2204e-16
"""Regularisation of `kl_divergence`: float64's epsilon, to the digits that the benchmark uses."""


def information_gain_bits(log_density: Map, fixations: Fixations, *, baseline: OtherMap) -> float:
    """Return how much better than a baseline the fixations were predicted, in bits per fixation.

    Positive when people looked where `log_density` puts more mass than `baseline` does. The usual
    baseline is the center bias of the other images. pysaliency: `Model.information_gain`.

    Args:
        log_density: natural log of the probability of each pixel; `exp` of it sums to one.
        fixations: (x, y) of each fixation in pixels.
        baseline: a log density of the same size, for the prediction to beat.

    Raises:
        ValueError: there is no fixation, one lies outside the image, the maps differ in size, or
            one holds NaN.
    """
    _check_pair(log_density, baseline)
    predicted = values_at(log_density, fixations)
    return float((predicted - values_at(baseline, fixations)).mean() / math.log(2))


def auc(saliency_map: Map, fixations: Fixations) -> float:
    """Return the area under the ROC curve of fixations against uniform samples, from 0 to 1.

    The chance that a fixation's value is above that of a pixel drawn evenly from the *whole* image,
    the fixated ones included; ties count half. Exact: every pixel is a sample and every value a
    threshold. pysaliency: `AUC(nonfixations="uniform")`.

    Raises:
        ValueError: there is no fixation, one lies outside the image, or the map holds NaN.
    """
    positives = values_at(saliency_map, fixations)
    return _area_under_roc(positives, saliency_map.ravel())


def judd_auc(saliency_map: Map, fixations: Fixations) -> float:
    """Return the area under the ROC curve of fixations against pixels that none hit, from 0 to 1.

    As Judd's code computes it: the curve is straight between thresholds at the fixations' values.
    Her random noise, which breaks ties, is left out. pysaliency: `AUC_Judd(jitter=False)`.

    Raises:
        ValueError: there is no fixation or one on every pixel, one lies outside, the map holds NaN.
    """
    positives = values_at(saliency_map, fixations)
    is_missed = np.ones(saliency_map.shape, dtype=bool)
    columns, rows = fixations.astype(np.int64).T
    is_missed[rows, columns] = False
    missed = np.sort(saliency_map[is_missed])
    if not missed.size:
        raise ValueError("expected a pixel without fixations to compare with, got none")
    thresholds = np.unique(positives)[::-1]
    hits = len(positives) - np.searchsorted(np.sort(positives), thresholds)
    alarms = len(missed) - np.searchsorted(missed, thresholds.astype(missed.dtype))
    hit_rates = np.concatenate([[0.0], hits / len(positives), [1.0]])
    alarm_rates = np.concatenate([[0.0], alarms / len(missed), [1.0]])
    return float((np.diff(alarm_rates) * (hit_rates[1:] + hit_rates[:-1])).sum() / 2)


def shuffled_auc(saliency_map: Map, fixations: Fixations, *, non_fixations: NonFixations) -> float:
    """Return the area under the ROC curve of fixations against non-fixations, from 0 to 1.

    As `auc`, with the map's values at `non_fixations` (fixations of other images, scaled to this
    image) in the place of all pixels: a map that knows the center bias alone scores about a half.
    pysaliency: `AUC(nonfixations="shuffled")`.

    Raises:
        ValueError: there is no fixation or no non-fixation, one lies outside, the map holds NaN.
    """
    positives = values_at(saliency_map, fixations)
    return _area_under_roc(positives, values_at(saliency_map, non_fixations))


def nss(saliency_map: Map, fixations: Fixations) -> float:
    """Return the mean z-score of the map's values at the fixations.

    Mean and population deviation are those over all pixels. A constant map scores 0. pysaliency:
    `NSS`, which agrees but for constant maps whose mean rounding moves off their value.

    Raises:
        ValueError: there is no fixation, one lies outside the image, or the map holds NaN.
    """
    values = values_at(saliency_map, fixations)
    if saliency_map.min() == saliency_map.max():
        return 0.0
    full = saliency_map.astype(np.float64)
    return float((values.mean() - full.mean()) / full.std())


def cc(density: Map, empirical: OtherMap) -> float:
    """Return Pearson's correlation of two maps over their pixels, from -1 to 1.

    A constant map on either side scores 0. pysaliency: `CC`, which gives NaN where `empirical` is
    constant.

    Raises:
        ValueError: the maps differ in size, or one holds NaN.
    """
    _check_pair(density, empirical)
    if density.min() == density.max() or empirical.min() == empirical.max():
        return 0.0
    first = density.astype(np.float64).ravel()
    second = empirical.astype(np.float64).ravel()
    first -= first.mean()
    second -= second.mean()
    norms = math.sqrt((first * first).sum() * (second * second).sum())
    return float((first * second).sum() / norms)


def kl_divergence(density: Map, empirical: OtherMap) -> float:
    """Return the Kullback-Leibler divergence of `density` from `empirical`, in nats; 0 is best.

    Σ Q log(ε + Q / (P + ε)) with Q the empirical density, P the predicted one, both divided by
    their sum, and ε = `KL_EPSILON`. pysaliency: `MIT_KLDiv`.

    Raises:
        ValueError: the maps differ in size, one is negative somewhere, sums to 0 or holds NaN.
    """
    _check_pair(density, empirical)
    predicted, observed = _normalised(density), _normalised(empirical)
    return float((observed * np.log(KL_EPSILON + observed / (predicted + KL_EPSILON))).sum())


def similarity(density: Map, empirical: OtherMap) -> float:
    """Return the mass that two densities share, from 0 to 1: the sum of the smaller at each pixel.

    Both are divided by their sum first. pysaliency: `SIM`.

    Raises:
        ValueError: the maps differ in size, one is negative somewhere, sums to 0 or holds NaN.
    """
    _check_pair(density, empirical)
    return float(np.minimum(_normalised(density), _normalised(empirical)).sum())


def values_at(saliency_map: Map, fixations: Fixations) -> Float64[np.ndarray, " fixations"]:
    """Return the map's value at each fixation, as float64.

    Raises:
        ValueError: there is no fixation, one lies outside the image, or the map holds NaN.
    """
    _check_map(saliency_map)
    height, width = saliency_map.shape
    if len(fixations) == 0:
        raise ValueError(f"expected at least one fixation of the {width}x{height} image, got none")
    inside = (fixations >= 0) & (fixations < (width, height))  # NaN compares false
    if not inside.all():
        x, y = fixations[~inside.all(axis=1)][0]
        raise ValueError(f"fixation ({x:g}, {y:g}) lies outside the {width}x{height} image")
    columns, rows = fixations.astype(np.int64).T
    values: Float64[np.ndarray, " fixations"] = saliency_map[rows, columns].astype(np.float64)
    return values


def _area_under_roc(
    positives: Float64[np.ndarray, " positives"], negatives: Real[np.ndarray, " negatives"]
) -> float:
    """Return the share of (positive, negative) pairs in the right order; ties count half.

    The rank statistic of Mann and Whitney, equal to the trapezoids under the ROC curve.
    """
    ordered = np.sort(negatives)
    values = positives.astype(ordered.dtype)  # they come from the same map: nothing is rounded
    below = np.searchsorted(ordered, values, side="left")
    not_above = np.searchsorted(ordered, values, side="right")
    return float((below + not_above).mean() / (2 * len(ordered)))


def _normalised(saliency_map: Map) -> Float64[np.ndarray, "height width"]:
    """Return the map divided by its sum."""
    full = saliency_map.astype(np.float64)
    if full.min() < 0:
        raise ValueError(f"a density is nowhere negative, got a value of {full.min():g}")
    total = full.sum()
    if not 0 < total < math.inf:
        raise ValueError(f"expected a density with a positive, finite sum, got {total:g}")
    density: Float64[np.ndarray, "height width"] = full / total
    return density


def _check_map(saliency_map: Map) -> None:
    """Refuse an empty map and one that holds NaN."""
    height, width = saliency_map.shape
    if saliency_map.size == 0:
        raise ValueError(f"expected a map with pixels, got one of {width}x{height}")
    if np.isnan(saliency_map.min()):  # the minimum of anything with NaN is NaN
        raise ValueError(f"the {width}x{height} map holds NaN: there is no order to score")


def _check_pair(first: Map, second: OtherMap) -> None:
    """Refuse maps of different sizes, empty ones and those that hold NaN."""
    if first.shape != second.shape:
        sizes = [f"{array.shape[1]}x{array.shape[0]}" for array in (first, second)]
        raise ValueError(f"expected two maps of one size, got {sizes[0]} and {sizes[1]}")
    _check_map(first)
    _check_map(second)
