import types

import cv2

from saliency.quiet import quiet_opencv


def test_opencv_is_quiet_inside_and_as_before_afterwards():
    log = getattr(cv2.utils, "logging", cv2)
    before = log.getLogLevel()
    with quiet_opencv():
        assert log.getLogLevel() == 0
    assert log.getLogLevel() == before


def test_opencv_4_has_the_functions_elsewhere(monkeypatch):
    levels = [3]
    old = types.SimpleNamespace(
        utils=types.SimpleNamespace(),
        getLogLevel=lambda: levels[-1],
        setLogLevel=levels.append,
    )
    monkeypatch.setattr("saliency.quiet.cv2", old)
    with quiet_opencv():
        assert levels == [3, 0]
    assert levels == [3, 0, 3]
