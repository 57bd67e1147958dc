import pytest

from saliency.crop_windows.options import (
    Box,
    ChoiceOptions,
    parse_box,
    parse_share,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "edges"),
    [
        ("40,10,200,120", (40, 10, 240, 130)),
        ("50%,0,50%,100%", (200, 0, 400, 300)),
        ("25%,30,10,50%", (100, 30, 110, 180)),
        (" 1.5, 2.5, 3, 4 ", (1, 2, 5, 7)),
        ("390,290,500,500", (390, 290, 400, 300)),
    ],
)
def test_box_covers_whole_pixels_inside_the_photo(text, edges):
    assert parse_box(text).edges((400, 300)) == edges


@pytest.mark.parametrize("text", ["400,0,10,10", "0,100%,10,10"])
def test_box_outside_the_photo_has_no_edges(text):
    assert parse_box(text).edges((400, 300)) is None


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "1,2,3,4,5", "1,2,0,4", "1,2,3,0%", "-1,2,3,4", "a,b,c,d", "1;2;3;4"]
)
def test_text_that_is_no_box_is_refused(text):
    with pytest.raises(ValueError, match="expected X,Y,W,H in pixels or percent"):
        parse_box(text)


def test_box_is_shown_as_it_is_written():
    assert str(Box((50.0, 0.0, 12.5, 100.0), (True, False, False, True))) == "50%,0,12.5,100%"


@pytest.mark.parametrize(("text", "share"), [("0.8", 0.8), ("80%", 0.8), ("0", 0.0), ("1", 1.0)])
def test_share_is_a_number_or_a_percentage(text, share):
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "80", "101%", "-0.1", "nan", "half"])
def test_text_that_is_no_share_is_refused(text):
    with pytest.raises(ValueError, match=r"expected a share such as 0\.8 or 80%"):
        parse_share(text)


def test_size_is_width_and_height():
    assert parse_size("640X360") == (640, 360)


@pytest.mark.parametrize("text", ["640", "0x360", "640x", "640:360", "-1x5"])
def test_text_that_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match="expected WxH in pixels"):
        parse_size(text)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"min_gain": 1.5}, "min_gain from 0 to 1"),
        ({"zoom": -0.1}, "zoom from 0 to 1"),
        ({"margin": 2.0}, "margin from 0 to 1"),
        ({"candidates": 0}, "at least 1 candidate"),
        ({"min_size": (0, 10)}, "at least 1x1"),
    ],
)
def test_option_that_cannot_be_meant_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        ChoiceOptions(**wrong)


def test_confidence_asked_for_goes_before_the_default():
    assert ChoiceOptions(min_confidence=0.9).least_confidence == 0.9
    assert ChoiceOptions(min_confidence=0.9, place="left").least_confidence == 0.9


def test_place_asked_for_needs_no_confidence_by_default():
    assert ChoiceOptions().least_confidence == 0.5
    assert ChoiceOptions(place="left").least_confidence == 0.0
