import pytest

from saliency.cropping.focal_point import focal_point, service_values
from saliency.geometry import Window

WINDOW, PHOTO_SIZE = Window(100, 0, 400, 600), (900, 600)


def test_focal_point_is_the_middle_of_the_window():
    assert focal_point(WINDOW, PHOTO_SIZE) == pytest.approx((1 / 3, 0.5))


def test_css_position_shows_the_window():
    # CSS lays the point at p % of the image on the point at p % of the frame.
    share = float(service_values(WINDOW, PHOTO_SIZE)["css"].split()[1].rstrip("%")) / 100
    assert share * 900 - share * 400 == pytest.approx(100)


def test_css_position_of_a_window_without_room_is_the_middle():
    assert service_values(WINDOW, PHOTO_SIZE)["css"].endswith(" 50%")


def test_services_get_what_they_understand():
    values = service_values(WINDOW, PHOTO_SIZE)
    assert values["thumbor"] == "100x0:500x600"
    assert values["imgproxy"] == "gravity:fp:0.3333:0.5"
    assert values["imgix"] == "fit=crop&crop=focalpoint&fp-x=0.3333&fp-y=0.5"
    assert values["sharp"] == {"left": 100, "top": 0, "width": 400, "height": 600}
