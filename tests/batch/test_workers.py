import threading
from pathlib import Path

import pytest

from saliency.batch.cropper import Cropper
from saliency.batch.listing import ListedPhoto
from saliency.batch.plan import Plan
from saliency.batch.workers import crop_all
from saliency.cropping.report import CropReport
from saliency.errors import PhotoError
from saliency.geometry import Frame

PHOTOS = [ListedPhoto(Path(f"{number}.jpg")) for number in range(9)]


class StandIn(Cropper):
    """A cropper without a model: photo 2 has no plan, 3 is done, 5 fails."""

    def __init__(self):
        self.planned, self.cropped, self.threads = [], [], set()

    def plan(self, photo):
        self.planned.append(photo)
        if photo is PHOTOS[2]:
            raise PhotoError("it exists already")
        return Plan(photo, (), None, is_done=photo is PHOTOS[3])

    def crop(self, plan, data=None):
        self.threads.add(threading.get_ident())
        if plan.photo is PHOTOS[5]:
            raise PhotoError("it is damaged")
        self.cropped.append(plan.photo)
        return CropReport(plan.photo.path, Frame.whole((1, 1)), (), (), None, {}, None)


@pytest.mark.parametrize("worker_count", [1, 2, 20])
def test_each_photo_has_its_outcome_in_their_order(worker_count):
    outcomes = list(crop_all(StandIn(), PHOTOS, worker_count=worker_count))
    assert [one.photo for one in outcomes] == PHOTOS
    errors = {index: one.error for index, one in enumerate(outcomes) if one.error}
    assert errors == {2: "it exists already", 5: "it is damaged"}
    reported = [one.report.photo for one in outcomes if one.report]
    assert reported == [PHOTOS[index].path for index in (0, 1, 4, 6, 7, 8)]


@pytest.mark.parametrize(("worker_count", "most"), [(1, 2), (2, 5)])
def test_no_photo_is_begun_long_before_the_caller_wants_it(worker_count, most):
    cropper = StandIn()
    outcomes = crop_all(cropper, PHOTOS, worker_count=worker_count)
    next(outcomes)
    assert len(cropper.planned) <= most
    outcomes.close()
    assert len(cropper.cropped) <= most


def test_one_worker_is_the_callers_own_thread():
    cropper = StandIn()
    list(crop_all(cropper, PHOTOS, worker_count=1))
    assert cropper.threads == {threading.get_ident()}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError()])
def test_a_fault_of_the_machine_fails_one_photo_and_not_the_others(error):
    class Broken(StandIn):
        def crop(self, plan, data=None):
            if plan.photo is PHOTOS[4]:
                raise error
            return super().crop(plan)

    outcomes = list(crop_all(Broken(), PHOTOS, worker_count=1))
    assert [one.photo for one in outcomes] == PHOTOS
    assert "cannot crop 4.jpg" in outcomes[4].error
    assert outcomes[6].error is None
