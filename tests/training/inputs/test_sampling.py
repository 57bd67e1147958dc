import dataclasses
import math
from collections import Counter
from dataclasses import dataclass

import pytest

from saliency.training.inputs.sampling import ASPECTS, SCALES, BatchSampler


@dataclass(frozen=True)
class Plan:
    """What `BatchSampler` is given."""

    source_count: int = 11
    batch_size: int = 4
    pixels: int = 128 * 96
    size_multiple: int = 32
    seed: int = 0
    first_step: int = 0
    last_step: int = 6
    rank: int = 0
    world_size: int = 1

    def batches(self, **changes):
        values = dataclasses.asdict(dataclasses.replace(self, **changes))
        return BatchSampler(values.pop("source_count"), **values)


def test_every_epoch_shows_each_source_once_but_for_the_incomplete_batch():
    planned = Plan(last_step=20).batches()
    assert planned.steps_per_epoch == 2
    steps = list(planned)
    for epoch in range(10):
        shown = [draw.source for step in steps[2 * epoch : 2 * epoch + 2] for draw in step]
        assert len(set(shown)) == len(shown) == 8
        assert set(shown) <= set(range(11))


def test_over_the_epochs_every_source_has_its_turn():
    shown = Counter(draw.source for step in Plan(last_step=100).batches() for draw in step)
    assert set(shown) == set(range(11))  # 400 draws of 11: none is left out for ever


def test_epochs_differ_in_order_and_in_variants():
    first, second = (list(Plan().batches())[2 * epoch : 2 * epoch + 2] for epoch in (0, 1))
    assert [draw.source for draw in first[0]] != [draw.source for draw in second[0]]
    seeds = [draw.seed for step in Plan(last_step=40).batches() for draw in step]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize("step", [0, 1, 2, 3, 5, 6])
def test_plan_from_a_step_on_is_the_tail_of_the_whole(step):
    whole = list(Plan().batches())
    rest = Plan().batches(first_step=step)
    assert list(rest) == whole[step:]
    assert len(rest) == len(whole) - step


def test_seed_decides_the_plan():
    assert list(Plan().batches()) == list(Plan().batches())
    assert list(Plan().batches()) != list(Plan().batches(seed=1))


def test_sizes_are_multiples_and_one_per_batch():
    sizes = []
    for step in Plan(last_step=60).batches():
        (size,) = {draw.size for draw in step}
        sizes.append(size)
    assert all(side % 32 == 0 and side > 0 for size in sizes for side in size)
    assert len(set(sizes)) > 5


def test_areas_are_about_what_was_asked_for():
    pixels = 512 * 384
    steps = list(Plan(pixels=pixels, last_step=200).batches())
    areas = [math.prod(step[0].size) / pixels for step in steps]
    assert min(areas) > 0.8 * min(SCALES)  # rounded to multiples of 32
    assert max(areas) < 1.2 * max(SCALES)
    assert sum(areas) / len(areas) == pytest.approx(sum(SCALES) / len(SCALES), rel=0.05)


def test_size_is_never_empty():
    assert all(step[0].size == (32, 32) for step in Plan(pixels=1).batches())


def test_shares_of_the_proportions_sum_to_one():
    assert sum(share for _, share in ASPECTS) == pytest.approx(1)


@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_processes_share_a_batch_between_them(world_size):
    whole = list(Plan().batches())
    parts = [list(Plan().batches(rank=rank, world_size=world_size)) for rank in range(world_size)]
    for step, draws in enumerate(whole):
        shared = [draw for part in parts for draw in part[step]]
        assert sorted(shared) == sorted(draws)


@pytest.mark.parametrize("batch_size", [0, 12])
def test_batch_that_the_sources_do_not_fill_is_refused(batch_size):
    with pytest.raises(ValueError, match="expected a batch size from 1 to the 11 images"):
        Plan(batch_size=batch_size).batches()
