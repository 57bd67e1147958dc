import cv2
import numpy as np
import pytest
import torch

from saliency.training.area_resize import shrink_densities, shrink_photos

PHOTOS = torch.randint(
    0, 256, (2, 96, 128, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)


def test_photos_are_those_that_a_predictor_would_look_at():
    small = shrink_photos(PHOTOS, share=0.55, size_multiple=32)
    assert small.shape == (2, 64, 96, 3)
    assert small.dtype == torch.uint8
    for photo, shrunk in zip(PHOTOS, small, strict=True):
        wanted = cv2.resize(photo.numpy(), (96, 64), interpolation=cv2.INTER_AREA)
        assert np.abs(wanted.astype(int) - shrunk.numpy()).max() <= 1


@pytest.mark.parametrize("share", [1.0, 1.5])
def test_photos_are_never_enlarged(share):
    assert shrink_photos(PHOTOS, share=share, size_multiple=32) is PHOTOS


def test_photos_keep_at_least_one_multiple():
    assert shrink_photos(PHOTOS, share=0.01, size_multiple=32).shape == (2, 32, 32, 3)


def test_each_part_of_a_density_keeps_its_share():
    density = torch.rand(2, 96, 128, generator=torch.Generator().manual_seed(1))
    small = shrink_densities(density, (64, 96))
    torch.testing.assert_close(small.sum(dim=(1, 2)), density.sum(dim=(1, 2)))
    torch.testing.assert_close(small[:, :32, :48].sum(), density[:, :48, :64].sum())


def test_zero_densities_stay_zero():
    assert not shrink_densities(torch.zeros(1, 96, 128), (64, 96)).any()
