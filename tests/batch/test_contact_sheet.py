from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saliency.batch.contact_sheet import (
    COLUMNS,
    ROWS,
    draw_sheets,
    encode_sheet,
    make_cell,
    page_name,
)
from saliency.crop_windows.choice import Choice
from saliency.cropping.report import CropReport
from saliency.geometry import Frame, Window


def report(name="photo.jpg", *, window=Window(0, 0, 200, 200), size=(400, 200), has_preview=True):  # noqa: B008
    choice = Choice("1:1", "moved", "", window, 0.9, window, 0.5, 0.4, None)
    preview = np.full((48, 96, 3), 200, dtype=np.uint8) if has_preview else None
    return CropReport(Path(name), Frame.whole(size), (choice,), ((None,),), None, {}, preview)


def test_cell_is_darker_outside_of_the_window():
    picture = np.asarray(make_cell(report()).picture)
    assert picture.shape == (120, 240, 3)
    assert picture[60, 60].tolist() == [200] * 3
    assert picture[60, 180].tolist() == [90] * 3


def test_cell_needs_a_preview():
    with pytest.raises(ValueError, match="a report with a preview"):
        make_cell(report(has_preview=False))


def test_page_has_room_for_the_photos_on_it_only():
    cells = [make_cell(report())] * (COLUMNS * ROWS + 2)
    first, last = draw_sheets(cells)
    assert first.width > last.width
    assert first.height > last.height


def test_photos_of_every_shape_and_name_are_drawn():
    cells = [
        make_cell(report("very long name " * 20 + "😀\n.jpg")),
        make_cell(report(window=Window(0, 0, 1, 1), size=(1, 1))),
        make_cell(report(window=Window(100, 0, 20, 20), size=(30_000, 20))),
    ]
    (page,) = draw_sheets(cells)
    assert len(np.unique(np.asarray(page))) > 2


@pytest.mark.parametrize(("name", "kind"), [("a.png", "PNG"), ("a.jpg", "JPEG"), ("a", "JPEG")])
def test_page_is_a_png_where_its_name_says_so(name, kind):
    data = encode_sheet(Image.new("RGB", (8, 8)), Path(name))
    assert Image.open(BytesIO(data)).format == kind


def test_further_pages_are_numbered():
    assert [str(page_name(Path("x/all.png"), n)) for n in (1, 2)] == ["x/all.png", "x/all-2.png"]
