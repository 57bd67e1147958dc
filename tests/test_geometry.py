from fractions import Fraction

import pytest

from saliency.geometry import largest_size, parse_aspect


@pytest.mark.parametrize(
    ("text", "ratio"),
    [
        ("16:9", Fraction(16, 9)),
        ("1.91:1", Fraction(191, 100)),
        ("1200x630", Fraction(40, 21)),
        ("1200X630", Fraction(40, 21)),
        ("4/5", Fraction(4, 5)),
    ],
)
def test_aspect_is_the_exact_fraction_of_what_is_written(text, ratio):
    assert parse_aspect(text) == ratio


@pytest.mark.parametrize("text", ["", "16", "16:9:1", "0:1", "1:0", "0:0", "-1:1", "a:b", "1e9:1"])
def test_aspect_that_is_no_ratio_is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        parse_aspect(text)


@pytest.mark.parametrize(
    ("photo_size", "ratio", "size"),
    [
        ((4000, 3000), Fraction(16, 9), (4000, 2250)),
        ((4000, 3000), Fraction(1), (3000, 3000)),
        ((3000, 4000), Fraction(9, 16), (2250, 4000)),
        ((100, 100), Fraction(3, 2), (100, 67)),
        ((1, 1), Fraction(16, 9), (1, 1)),
        ((30_000, 2), Fraction(1, 9), (1, 2)),
        ((2, 30_000), Fraction(9), (2, 1)),
    ],
)
def test_largest_size_fills_one_side_and_keeps_the_ratio_to_a_pixel(photo_size, ratio, size):
    assert largest_size(photo_size, ratio) == size
