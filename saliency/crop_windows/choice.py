"""Choose the window of each aspect ratio, and whether it is worth leaving the middle for.

The rule. A window is placed where it keeps most of the predicted fixations, less a cost for leaving
the middle and for being out of balance (`window_score`). If not all subjects fit, it shows those
that together attract most. Boxes to keep and to avoid come first, and faces, which are not cut if
that is possible (`search`); a place for the subject is applied last. The window is compared with
the one of the same size in the middle (with boxes or faces: the one nearest the middle that meets
them equally well). It is taken if it gains enough and people are likely enough to prefer it;
otherwise the fallback is taken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from saliency.crop_windows.candidates import (
    WindowTask,
    propose,
    propose_middle,
    propose_more,
    read_task,
)
from saliency.crop_windows.confidence import Calibration, gather_evidence
from saliency.crop_windows.crop_confidence import PEOPLES_CROPS
from saliency.crop_windows.free_window import best_of, propose_free
from saliency.crop_windows.options import LEAST_GAIN, ChoiceOptions
from saliency.geometry import Aspect, Frame, Padding, Size, Window, largest_size

__all__ = [
    "Alternative",
    "Choice",
    "ChoiceOptions",
    "Outcome",
    "Padding",
    "candidates_of",
    "choose",
]

Outcome = Literal["moved", "centred", "padded", "skipped"]

_DIGITS = 6  # of a share in JSON
_FACES = "faces are kept whole there, as far as they can be"
_PLACED = "the subject is where it was asked to be, as far as the photo has room"
_FREE = "of all sizes and ratios it holds most for its room"
_WHOLE = "it is the whole picture"
_BALANCED = "the subject is balanced there"
_REASONS = {"moved": "most density is there", "centred": "nothing is better than the middle"}


@dataclass(frozen=True)
class Alternative:
    """A window that was not chosen, and the share of the density that it would keep."""

    window: Window
    share: float


@dataclass(frozen=True)
class Choice:
    """A window chosen for an aspect ratio, and what it is worth.

    Attributes:
        aspect: the ratio as it was asked for, `16:9`.
        outcome: `moved` for a window beside the middle, `centred` for one in the middle, `padded`
            for the whole photo with borders, `skipped` if no crop is made.
        reason: why, in a few words for people.
        window: the window, inside the photo; the whole photo if padded; what would have been
            taken if skipped.
        share: of the density, in the window, 0 to 1.
        centre: the window that it was compared with.
        centre_share: of the density, in that one.
        gain: what the best window keeps more than that one, whether or not it was taken.
        confidence: probability that fixations prefer the best window to that one; None where
            they are the same, and where the model has no calibration.
        padding: the borders wanted if padded, else None.
        alternatives: other windows, the best one first where it was not taken; with the one chosen
            no more than the candidates asked for, but always the best one.
        crop_confidence: probability that a person's crop overlaps the best window more than that
            in the middle, of the crops that overlap them differently; None where they are the same.
    """

    aspect: str
    outcome: Outcome
    reason: str
    window: Window
    share: float
    centre: Window
    centre_share: float
    gain: float
    confidence: float | None
    padding: Padding | None = None
    alternatives: tuple[Alternative, ...] = ()
    crop_confidence: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the choice as `saliency crop --json` prints it, always the same keys in order."""
        return {
            "aspect": self.aspect,
            "outcome": self.outcome,
            "reason": self.reason,
            **asdict(self.window),
            "share": round(self.share, _DIGITS),
            "centre_share": round(self.centre_share, _DIGITS),
            "gain": round(self.gain, _DIGITS),
            "confidence": _rounded(self.confidence),
            "crop_confidence": _rounded(self.crop_confidence),
            "padding": None if self.padding is None else asdict(self.padding),
            "alternatives": [
                {**asdict(one.window), "share": round(one.share, _DIGITS)}
                for one in self.alternatives
            ],
        }


def choose(
    density: NDArray[np.floating],
    aspects: Mapping[str, Aspect],
    frame: Frame,
    options: ChoiceOptions,
    calibration: Calibration | None = None,
    *,
    faces: Sequence[tuple[Window, Window]] = (),
) -> tuple[Choice, ...]:
    """Return the choice for each aspect ratio, in their order.

    Args:
        density: what each cell of a grid over the picture holds, at least 0; any scale.
        aspects: how each ratio is written, and its value; of several the best one is chosen, and
            of none the ratio and size are free.
        frame: the size of the upright photo, and the part of it that is its picture
            (`borders.find_picture`).
        options: how to choose.
        calibration: of the model that predicted the density (`Predictor.calibration`).
        faces: of people, in pixels of the photo, each with its head, that no window is to cut.

    Raises:
        PhotoError: a box lies outside the photo.
        ValueError: the density or the photo's size is unusable.
    """
    task = read_task(density, frame, options, faces=faces)
    return tuple(
        _on_photo(_choose(task, label, ratio, calibration), frame)
        for label, ratio in aspects.items()
    )


def _choose(
    task: WindowTask, label: str, wanted: Aspect, calibration: Calibration | None
) -> Choice:
    """Return the choice for one ratio, for the best of several, or for any."""
    is_free = wanted == ()
    if isinstance(wanted, Fraction):
        ratio, best = wanted, propose(task, wanted)
    elif is_free:
        best = propose_free(task)
        ratio = Fraction(*best.size)
    else:
        ratio, best = best_of(task, [(each, propose(task, each)) for each in wanted])
    centre = propose_middle(task, (best.width, best.height))
    evidence = gather_evidence(task.table, best, centre)
    confidence, crop_confidence, score_gain = None, None, 0.0
    if best != centre:
        confidence = None if calibration is None else calibration.probability(evidence)
        score_gain = task.score.score(best) - task.score.score(centre)
        crop_confidence = PEOPLES_CROPS.probability(evidence, score_gain=score_gain)
    doubt = _unmet(task, best)
    if doubt is None and not is_free:  # of a free window the size is as much a choice as the place
        doubt = _doubt(task, best, centre, gain=evidence.gain, confidence=confidence)
    outcome: Outcome = "centred" if best == centre else "moved"
    window, padding = best, None
    if doubt is not None:
        outcome, window, padding = _fall_back(task, ratio, best)
    count = task.options.candidates - 1
    others = [one for one in (best, *propose_more(task, best, count)) if one != window]
    return Choice(
        aspect=label,
        outcome=outcome,
        reason=doubt
        or (
            _FREE
            if is_free
            else _reason(task, ratio, outcome, window, is_balance=score_gain > 2 * evidence.gain)
        ),
        window=window,
        share=task.table.share(window),
        centre=centre,
        centre_share=task.table.share(centre),
        gain=evidence.gain,
        confidence=confidence,
        padding=padding,
        alternatives=tuple(
            Alternative(other, task.table.share(other)) for other in others[: max(count, 1)]
        ),
        crop_confidence=crop_confidence,
    )


def _rounded(value: float | None) -> float | None:
    """Return a probability as it is printed in JSON."""
    return None if value is None else round(value, _DIGITS)


def _on_photo(choice: Choice, frame: Frame) -> Choice:
    """Return a choice on the picture of a photo as one on the photo."""
    return replace(
        choice,
        window=frame.on_photo(choice.window),
        centre=frame.on_photo(choice.centre),
        alternatives=tuple(
            Alternative(frame.on_photo(one.window), one.share) for one in choice.alternatives
        ),
    )


def candidates_of(choice: Choice) -> list[Choice]:
    """Return a choice, and after it each of its alternatives as if that had been chosen.

    A skipped photo has no alternatives.
    """
    others = () if choice.outcome == "skipped" else choice.alternatives
    return [choice] + [
        replace(choice, outcome="moved", window=one.window, share=one.share, padding=None)
        for one in others
    ]


def _reason(
    task: WindowTask, ratio: Fraction, outcome: Outcome, window: Window, *, is_balance: bool
) -> str:
    """Return why the best window is taken.

    Args:
        task: the photo and the wishes.
        ratio: of the window.
        outcome: `moved` or `centred`.
        window: the best one.
        is_balance: its score is higher than that of the middle by its balance more than by what it
            keeps.
    """
    if (window.width, window.height) == task.photo_size:
        return _WHOLE
    if task.options.place is not None:
        return _PLACED
    if task.wishes.faces and window != propose(task.without_faces(), ratio):
        return _FACES
    return _BALANCED if is_balance and outcome == "moved" else _REASONS[outcome]


def _unmet(task: WindowTask, best: Window) -> str | None:
    """Return the options that no window meets, in words; None if the best one meets all."""
    width, height = task.options.min_size or (1, 1)
    if best.width < width or best.height < height:
        return f"the photo has no window of {width}x{height}"
    return None if task.wishes.are_met(best) else "no window holds all boxes to keep"


def _doubt(
    task: WindowTask, best: Window, centre: Window, *, gain: float, confidence: float | None
) -> str | None:
    """Return why the best window is not worth leaving the middle for, None if it is."""
    options = task.options
    if best == centre:
        return None
    if options.min_gain is not None and gain < options.min_gain:
        return f"it gains {gain:.1%}, less than the {options.min_gain:.1%} asked for"
    least = options.least_confidence
    if confidence is None:
        too_little = least > 0 and gain < LEAST_GAIN
        return f"it gains {gain:.1%}, the model has no calibration" if too_little else None
    return f"confidence {confidence:.1%}, below {least:.1%}" if confidence < least else None


def _fall_back(
    task: WindowTask, ratio: Fraction, best: Window
) -> tuple[Outcome, Window, Padding | None]:
    """Return the fallback: outcome, window and padding."""
    if task.options.fallback == "skip":
        return "skipped", best, None
    if task.options.fallback == "pad":
        whole = Window(0, 0, *task.photo_size)
        return "padded", whole, _padding(task.photo_size, ratio)
    return "centred", propose_middle(task, largest_size(task.photo_size, ratio)), None


def _padding(photo_size: Size, ratio: Fraction) -> Padding:
    """Return the borders that make the least canvas of a ratio around a photo, even on both sides.

    An odd pixel is added on the right or at the bottom.
    """
    width, height = photo_size
    across = max(0, round(height * ratio) - width)
    down = max(0, round(width / ratio) - height)
    return Padding(across // 2, down // 2, across - across // 2, down - down // 2)
