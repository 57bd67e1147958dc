"""How photos are cropped, and at which size crops are written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from saliency.crop_windows.options import ChoiceOptions
from saliency.geometry import Aspect, Size, fitting_size
from saliency.photo.damage import DEFAULT_FAIL_ON, FailOn
from saliency.photo.formats import CropFormat, Encoding


@dataclass(frozen=True, kw_only=True)
class Output:
    """The size of crops; at most one field is given, none for the photo's own resolution.

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

    def size_of(self, window_size: Size, ratio: Fraction | None = None) -> Size:
        """Return the size at which a window is written.

        Args:
            window_size: width and height of the window, with its borders if it has any.
            ratio: the one asked for, so that one `max_size` gives one size whatever the photo;
                None for the window's own.
        """
        if self.exact_size is not None:
            return self.exact_size
        width, height = window_size
        if self.max_size is not None and max(window_size) > self.max_size:
            return fitting_size((self.max_size, self.max_size), ratio or Fraction(width, height))
        if self.bounds is not None:
            return fitting_size(self.bounds, ratio or Fraction(width, height))
        factor = 1.0 if self.scale is None else self.scale
        return max(1, round(width * factor)), max(1, round(height * factor))


@dataclass(frozen=True, kw_only=True)
class CropOptions:
    """How photos are cropped.

    Attributes:
        aspects: how each ratio is written, and its value; several to choose from, or none for any.
        choice: how the windows are chosen.
        output: the size of the crops.
        as_format: format of the crops; None for the photo's own.
        encoding: quality and the like.
        is_lossless: cut JPEGs on the borders of their blocks, without re-encoding.
        fail_on: which faults are refused in a photo that can be decoded in spite of them.
        is_stripped: leave out EXIF, XMP, IPTC and the resolution.
    """

    aspects: Mapping[str, Aspect]
    choice: ChoiceOptions = field(default_factory=ChoiceOptions)
    output: Output = field(default_factory=Output)
    as_format: CropFormat | None = None
    encoding: Encoding = field(default_factory=Encoding)
    is_lossless: bool = False
    is_stripped: bool = False
    fail_on: FailOn = DEFAULT_FAIL_ON

    @property
    def needs_all_pixels(self) -> bool:
        """Whether crops are made of all pixels of their part of the photo."""
        return self.output == Output() and not self.is_lossless

    def ratio_of(self, label: str) -> Fraction | None:
        """Return the ratio that was asked for by a label; None where it depends on the photo."""
        ratio = self.aspects.get(label)
        return ratio if isinstance(ratio, Fraction) else None
