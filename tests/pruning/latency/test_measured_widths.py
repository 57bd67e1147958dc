from itertools import product

import pytest

from saliency.pruning.latency.measured_widths import alignment, fine_counts, width_pairs, widths


@pytest.mark.parametrize(("count", "expected"), [(16, 8), (12, 4), (10, 1), (15, 1), (0, 8)])
def test_class_of_a_count_is_the_largest_block_that_divides_it(count, expected):
    assert alignment(count) == expected


def test_fine_counts_are_every_step_of_a_narrow_layer():
    assert fine_counts(40) == (8, 16, 24, 32, 40)


def test_odd_counts_just_below_a_step_are_measured():
    assert {7, 8, 15, 16, 31, 32} <= set(widths([32]))


@pytest.mark.parametrize("full", [1, 3, 8, 10, 42, 96, 320])
def test_every_count_has_a_measured_one_of_its_class_above(full):
    counts = widths([full])
    for count in range(1, full + 1):
        assert any(other >= count and alignment(other) == alignment(count) for other in counts)


@pytest.mark.parametrize("sides", [([3], [32]), ([96], [24, 40]), ([32], [1])])
def test_pairs_of_each_class_are_a_full_grid(sides):
    pairs = width_pairs(*sides)
    assert max(reads for reads, _ in pairs) == max(sides[0])
    assert max(writes for _, writes in pairs) == max(sides[1])
    for step_in, step_out in product((8, 4, 1), (8, 4, 1)):
        grid = {(i, o) for i, o in pairs if (alignment(i), alignment(o)) == (step_in, step_out)}
        ins, outs = {i for i, _ in grid}, {o for _, o in grid}
        assert grid == set(product(ins, outs))


def test_stem_that_reads_three_channels_is_measured_at_every_step_it_writes():
    pairs = width_pairs([3], [32])
    assert {(3, 8), (3, 16), (3, 24), (3, 32)} <= set(pairs)
