"""How photos are to be cropped, and at which size crops are written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from saliency.crop_windows.options import ChoiceOptions
from saliency.geometry import Size
from saliency.photo.damage import DEFAULT_FAIL_ON, FailOn
from saliency.photo.formats import CropFormat
from saliency.photo.writing import Encoding


@dataclass(frozen=True, kw_only=True)
class Output:
    """At which size crops are written; at most one of the sizes is given, none for the photo's own.

    Attributes:
        max_size: longest side; a smaller window is left as it is.
        scale: factor of both sides.
        exact_size: width and height, whatever the window's.
        bounds: the crop is as large as fits into this width and height.
    """

    max_size: int | None = None
    scale: float | None = None
    exact_size: Size | None = None
    bounds: Size | None = None

    def size_of(self, window_size: Size) -> Size:
        """Return the size at which a window (with its borders, if any) is written."""
        if self.exact_size is not None:
            return self.exact_size
        longest = max(window_size)
        factor = 1.0
        if self.max_size is not None and longest > self.max_size:
            factor = self.max_size / longest
        elif self.scale is not None:
            factor = self.scale
        elif self.bounds is not None:
            factor = min(most / side for most, side in zip(self.bounds, window_size, strict=True))
        width, height = (max(1, round(side * factor)) for side in window_size)
        return width, height


@dataclass(frozen=True, kw_only=True)
class CropOptions:
    """How photos are to be cropped.

    Attributes:
        aspects: how each ratio is written, and its value.
        choice: how the windows are chosen.
        output: the size of the crops.
        as_format: format of the crops; None for the photo's own.
        encoding: quality and the like.
        is_lossless: cut JPEGs on the borders of their blocks, without re-encoding.
        fail_on: which faults of a photo that can be decoded all the same are refused.
        is_stripped: leave out EXIF, XMP, IPTC and the resolution.
    """

    aspects: Mapping[str, Fraction]
    choice: ChoiceOptions = field(default_factory=ChoiceOptions)
    output: Output = field(default_factory=Output)
    as_format: CropFormat | None = None
    encoding: Encoding = field(default_factory=Encoding)
    is_lossless: bool = False
    is_stripped: bool = False
    fail_on: FailOn = DEFAULT_FAIL_ON
