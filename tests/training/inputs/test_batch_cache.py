import pytest
import torch

from saliency.errors import CheckpointError
from saliency.training.inputs.batch import Batch
from saliency.training.inputs.batch_cache import BatchCache

COUNT = 6
MADE_OF = {"seed": 1}


class Maker:
    """Makes batches that tell their number, and remembers which were asked for."""

    def __init__(self):
        self.made = []

    def __call__(self, first):
        for number in range(first, COUNT):
            self.made.append(number)
            photos = torch.full((2, 4, 6, 3), number, dtype=torch.uint8)
            photos[:, :, 0] = 100 + number  # the left border, to be told from the right one
            target = torch.rand(2, 4, 6, generator=torch.Generator().manual_seed(number)) + 0.01
            yield Batch(photos, target / target.sum(dim=(1, 2), keepdim=True))


def numbers(batches):
    return [int(photos[0, 0, 2, 0]) for photos, _, _ in batches]


def kept(folder, maker=None, **changes):
    options = {"count": COUNT, "made_of": MADE_OF, **changes}
    return BatchCache(folder, maker or Maker(), **options)


def test_first_round_shows_the_batches_in_order(tmp_path):
    assert numbers(kept(tmp_path).steps(0, COUNT)) == list(range(COUNT))


def test_later_rounds_show_each_batch_once_in_another_order(tmp_path):
    batches = kept(tmp_path)
    second = numbers(batches.steps(COUNT, 2 * COUNT))
    third = numbers(batches.steps(2 * COUNT, 3 * COUNT))
    assert sorted(second) == sorted(third) == list(range(COUNT))
    assert second != third


def test_every_batch_is_made_once(tmp_path):
    maker = Maker()
    list(kept(tmp_path, maker).steps(0, 3 * COUNT))
    list(kept(tmp_path, maker).steps(0, COUNT))
    assert maker.made == list(range(COUNT))


def test_only_missing_batches_are_made_again(tmp_path):
    list(kept(tmp_path).steps(0, COUNT))
    (tmp_path / "000002-0.safetensors").unlink()
    maker = Maker()
    list(kept(tmp_path, maker).steps(0, COUNT))
    assert maker.made == [2]


def test_what_is_shown_again_is_what_was_shown_or_its_mirror_image(tmp_path):
    batches = kept(tmp_path)
    first = {int(photos[0, 0, 2, 0]): (photos, target) for photos, target, _ in batches.steps(0, 6)}
    mirrored = 0
    for photos, target, _ in batches.steps(COUNT, 5 * COUNT):
        then, wanted = first[int(photos[0, 0, 2, 0])]
        if int(photos[0, 0, 0, 0]) < 100:
            then, wanted, mirrored = then.flip(2), wanted.flip(2), mirrored + 1
        assert torch.equal(photos, then)
        assert torch.equal(target, wanted)
    assert 0 < mirrored < 4 * COUNT


def test_a_resumed_run_sees_what_the_uninterrupted_one_saw(tmp_path):
    whole = list(kept(tmp_path / "whole").steps(0, 3 * COUNT))
    parts = kept(tmp_path / "parts")
    list(parts.steps(0, 4))
    resumed = list(kept(tmp_path / "parts").steps(4, 3 * COUNT))
    for (photos, target, _), (others, wanted, _) in zip(resumed, whole[4:], strict=True):
        assert torch.equal(photos, others)
        assert torch.equal(target, wanted)


def test_targets_sum_to_one_and_are_those_made(tmp_path):
    for (_, target, _), (_, wanted, _) in zip(
        kept(tmp_path).steps(0, COUNT), Maker()(0), strict=True
    ):
        torch.testing.assert_close(target.sum(dim=(1, 2)), torch.ones(2))
        torch.testing.assert_close(target, wanted, rtol=2e-3, atol=0)  # half precision


def test_batches_made_of_something_else_are_refused(tmp_path):
    kept(tmp_path)
    with pytest.raises(CheckpointError, match="keeps batches of other data"):
        kept(tmp_path, made_of={"seed": 2})


def test_damaged_batch_is_named(tmp_path):
    batches = kept(tmp_path)
    list(batches.steps(0, COUNT))
    (tmp_path / "000003-0.safetensors").write_bytes(b"no tensors")
    with pytest.raises(CheckpointError, match=r"000003-0\.safetensors"):
        list(batches.steps(0, COUNT))
