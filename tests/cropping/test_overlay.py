from dataclasses import replace

import numpy as np
import pytest

from saliency.crop_windows.choice import Choice
from saliency.cropping.overlay import draw_overlay
from saliency.geometry import Frame, Window


def choice(window, centre, aspect="1:1"):
    return Choice(
        aspect=aspect,
        outcome="moved",
        reason="",
        window=window,
        share=0.75,
        centre=centre,
        centre_share=0.5,
        gain=0.25,
        confidence=0.875,
    )


def grey_photo(width, height):
    return np.full((height, width, 3), 128, dtype=np.uint8)


@pytest.mark.parametrize(
    ("photo_size", "drawn"),
    [
        ((4000, 3000), (1600, 1200)),
        ((800, 600), (800, 600)),
        ((64, 48), (720, 540)),
        ((1, 1), (720, 720)),
        ((30_000, 20), (1600, 1)),
        ((20, 30_000), (1, 1600)),
    ],
)
def test_overlay_is_drawn_at_a_size_at_which_text_is_legible(photo_size, drawn):
    window = Window(0, 0, *photo_size)
    photo = grey_photo(*(max(1, side // 10) for side in photo_size))
    picture = draw_overlay(
        photo, np.ones((3, 4)), [choice(window, window)], frame=Frame.whole(photo_size)
    )
    assert picture.dtype == np.uint8
    assert picture.shape == (drawn[1] + 64, max(drawn[0], 720), 3)


def test_overlay_is_brightest_where_the_density_is():
    density = np.full((6, 8), 0.01)
    density[1, 6] = 1
    picture = draw_overlay(grey_photo(800, 600), density, [], frame=Frame.whole((800, 600)))
    row, column = np.unravel_index(picture[:600].sum(axis=2).argmax(), (600, 800))
    assert (row // 100, column // 100) == (1, 6)


def test_legend_says_why():
    frame, window = Frame.whole((800, 600)), Window(0, 0, 600, 600)
    dull, said = (
        draw_overlay(
            grey_photo(800, 600),
            np.ones((6, 8)),
            [replace(choice(window, window), reason=reason)],
            frame=frame,
        )
        for reason in ("", "most density is there")
    )
    changed = np.nonzero((dull != said).any(axis=(1, 2)))[0]
    assert 600 + 32 < changed.min() < changed.max() < 664


def test_frames_lie_where_the_windows_are():
    photo_size = (1600, 1200)
    wanted = choice(Window(400, 0, 1200, 1200), Window(200, 0, 1200, 1200))
    frame = Frame.whole(photo_size)
    plain, framed = (
        draw_overlay(grey_photo(800, 600), np.ones((3, 4)), choices, frame=frame)[:1200]
        for choices in ([], [wanted])
    )
    changed_columns = np.flatnonzero((plain != framed)[20:-20].any(axis=(0, 2)))
    left_edges = {200, *range(398, 407)}  # a frame's width
    right_edges = {1399, *range(1593, 1600)}
    assert {200, 402, 1399, 1597} <= set(changed_columns) <= left_edges | right_edges


def test_each_choice_has_a_line_of_its_own():
    window = Window(0, 0, 800, 600)
    heights = [
        draw_overlay(
            grey_photo(800, 600),
            np.ones((3, 4)),
            [choice(window, window)] * n,
            frame=Frame.whole((800, 600)),
        ).shape[0]
        for n in (0, 1, 7)
    ]
    assert heights == [610, 664, 988]


def test_overlay_leaves_the_photo_as_it_is():
    photo = grey_photo(800, 600)
    window = Window(0, 0, 600, 600)
    draw_overlay(photo, np.ones((3, 4)), [choice(window, window)], frame=Frame.whole((800, 600)))
    assert (photo == 128).all()
