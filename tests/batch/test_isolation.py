import os
import signal
import time
from fractions import Fraction
from functools import partial
from pathlib import Path

import pytest
from cluster_fixtures import make_stand_in

from saliency.batch.isolation import IsolatedCropper
from saliency.batch.listing import ListedPhoto
from saliency.batch.options import BatchOptions
from saliency.cropping.options import CropOptions
from saliency.errors import CheckpointError, SaliencyError

CROPS = CropOptions(aspects={"1:1": Fraction(1)})


def refuse():
    raise CheckpointError("no such model")


@pytest.fixture
def cropper(tmp_path):
    options = BatchOptions(output_dir=tmp_path / "out", overwrite=True)
    (tmp_path / "out").mkdir()
    isolated = IsolatedCropper(partial(make_stand_in, None, CROPS, options), folder=tmp_path)
    yield isolated
    isolated.close()


def test_photo_that_ends_the_process_fails_and_the_next_is_cropped(cropper, tmp_path):
    outcome = cropper.crop(ListedPhoto(Path("poison.jpg")), b"\xff\xd8\xff")
    assert outcome.report is None
    assert "cannot crop poison.jpg: it ended the process that cropped it 2 times" in outcome.error
    assert "SIGSEGV" in outcome.error
    after = cropper.crop(ListedPhoto(Path("x.jpg")), b"\xff\xd8\xff good")
    assert after.error is None
    assert (tmp_path / "out" / "x-1x1.jpg").read_bytes() == b"\xff\xd8\xff good"


def test_relative_names_are_of_the_given_folder(cropper, tmp_path):
    (tmp_path / "own.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    outcome = cropper.crop(ListedPhoto(Path("own.png")))
    assert outcome.report.files == ((tmp_path / "out" / "own-1x1.png",),)


def test_process_that_is_killed_between_photos_is_started_again(cropper):
    os.kill(cropper._process.pid, signal.SIGKILL)
    time.sleep(0.05)
    assert cropper.crop(ListedPhoto(Path("x.jpg")), b"\xff\xd8\xff").error is None


def test_model_that_is_missing_is_an_error_at_the_start():
    with pytest.raises(SaliencyError, match="no such model"):
        IsolatedCropper(refuse)
