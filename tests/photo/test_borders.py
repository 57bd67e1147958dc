from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor, ImageOps

from saliency.geometry import Window
from saliency.photo.borders import find_picture

PHOTO = Path(__file__).parents[2] / "data" / "photos" / "rocket.jpg"


@pytest.fixture(scope="module")
def picture():
    with Image.open(PHOTO) as image:
        return image.convert("RGB")


def bordered(image, *widths, fill="black"):
    return ImageOps.expand(image, widths, fill=fill)


def stored(image, quality):
    buffer = BytesIO()
    image.save(buffer, "jpeg", quality=quality)
    return Image.open(buffer)


@pytest.mark.parametrize("name", [file.name for file in sorted(PHOTO.parent.glob("*.jpg"))])
def test_photo_without_a_border_is_all_picture(name):
    with Image.open(PHOTO.with_name(name)) as image:
        assert find_picture(image) == Window(0, 0, *image.size)


@pytest.mark.parametrize("fill", ["black", "white", (200, 30, 90)])
@pytest.mark.parametrize("edges", [(1, 1, 1, 1), (0, 8, 0, 8), (12, 0, 0, 0), (3, 0, 90, 200)])
def test_border_of_one_colour_is_left_out(picture, edges, fill):
    expected = Window(edges[0], edges[1], *picture.size)
    assert find_picture(bordered(picture, *edges, fill=fill)) == expected
    assert find_picture(np.asarray(bordered(picture, *edges, fill=fill))) == expected


def test_frame_inside_of_a_frame_is_left_out_too(picture):
    framed = bordered(bordered(picture, 3, 3, 3, 3, fill="white"), 12, 9, 12, 9)
    assert find_picture(framed) == Window(15, 12, *picture.size)


def test_dark_side_is_left_out_with_the_others(picture):
    values = np.array(picture)
    values[:, :5] = 0
    values[100:300, :5] = (200, 160, 90)
    framed = bordered(Image.fromarray(values), 10, 10, 10, 10)
    assert find_picture(framed) == Window(10, 10, *picture.size)
    assert find_picture(bordered(Image.fromarray(values), 10, 0, 0, 0)).x == 0


@pytest.mark.parametrize("quality", [95, 75])
def test_border_in_a_jpeg_is_left_out_to_within_its_blur(picture, quality):
    found = find_picture(stored(bordered(picture, 20, 13, 20, 0), quality))
    assert found.box == pytest.approx((20, 13, 20 + picture.width, 13 + picture.height), abs=2)


@pytest.mark.parametrize("count", [1, 8, 31])
def test_repeated_lines_are_left_out(picture, count):
    # The sky above is one colour over long stretches, so that its repetition cannot be told.
    wider = np.pad(np.asarray(picture), ((0, count), (count, 0), (0, 0)), mode="edge")
    assert find_picture(wider) == Window(count, 0, *picture.size)


def test_transparent_border_is_left_out(picture):
    canvas = Image.new("RGBA", (picture.width + 60, picture.height + 40))
    canvas.paste(picture, (50, 10))
    assert find_picture(canvas) == Window(50, 10, *picture.size)


@pytest.mark.parametrize("mode", ["L", "CMYK", "P"])
def test_border_is_found_in_every_mode(picture, mode):
    image = bordered(picture, 12, 0, 12, 0)
    assert find_picture(image.quantize(64) if mode == "P" else image.convert(mode)) == Window(
        12, 0, *picture.size
    )


def test_object_on_an_even_background_keeps_it():
    image = Image.new("RGB", (300, 200), "white")
    image.paste((200, 40, 40), (100, 50, 200, 150))
    assert find_picture(image) == Window(0, 0, 300, 200)


def test_even_slope_of_light_is_no_border():
    levels = np.linspace(120, 250, 200).astype(np.uint8)
    sky = np.repeat(levels[:, np.newaxis], 300, axis=1)
    assert find_picture(Image.fromarray(sky)) == Window(0, 0, 300, 200)


def test_lines_of_a_drawing_that_repeat_are_no_border():
    drawing = Image.new("RGB", (300, 200), "white")
    drawing.paste("navy", (60, 0, 140, 100))
    assert find_picture(drawing) == Window(0, 0, 300, 200)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (2, 2), (300, 200)])
def test_what_is_of_one_colour_is_all_picture(size):
    assert find_picture(Image.new("RGB", size, "green")) == Window(0, 0, *size)


def sea(colour, horizon=0.45):
    """Return a photo of 300 x 200 pixels: one colour above a straight line, grain below it."""
    values = np.random.default_rng(0).integers(60, 120, size=(200, 300, 3), dtype=np.uint8)
    values[: round(200 * horizon)] = colour
    return Image.fromarray(values)


@pytest.mark.parametrize("colour", ["white", "black", (120, 170, 230)])
@pytest.mark.parametrize("horizon", [0.1, 0.45])
@pytest.mark.parametrize("turns", range(4))
def test_clear_sky_above_a_straight_horizon_is_no_border(colour, horizon, turns):
    image = sea(ImageColor.getrgb(colour) if isinstance(colour, str) else colour, horizon)
    turned = image.rotate(90 * turns, expand=True)
    assert find_picture(turned) == Window(0, 0, *turned.size)


def test_object_in_a_band_that_may_be_border_makes_it_picture():
    values = np.array(sea(0, 0.3))
    values[140:] = 0  # black below too, as a letter box is
    letter_box = Image.fromarray(values)
    assert find_picture(letter_box) == Window(0, 60, 300, 80)
    letter_box.paste("white", (100, 20, 106, 26))  # the moon, 2 % of the width
    assert find_picture(letter_box) == Window(0, 0, 300, 200)


@pytest.mark.parametrize("edges", [(0, 0, 40, 100), (0, 0, 100, 40), (0, 0, 40, 40)])
def test_two_colours_side_by_side_are_no_border_of_each_other(edges):
    image = Image.new("RGB", (100, 100), "white")
    image.paste("black", edges)
    assert find_picture(image) == Window(0, 0, 100, 100)


def test_sliver_between_wide_borders_is_no_picture(picture):
    sliver = picture.crop((0, 200, picture.width, 220))
    image = bordered(sliver, 0, 200, 0, 200)
    assert find_picture(image) == Window(0, 0, *image.size)
