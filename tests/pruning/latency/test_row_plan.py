"""Facts about which rows are measured when there is not time for all."""

import dataclasses
from itertools import pairwise

import pytest
from latency_fixtures import toy_graph

from saliency.pruning.latency.measured_widths import thinned, width_pairs, widths
from saliency.pruning.latency.onnx_graph import find_templates
from saliency.pruning.latency.row_plan import choose_levels, find_ladders

EIGHTS = tuple(range(8, 81, 8))


@pytest.mark.parametrize(
    ("level", "expected"), [(0, [8, 40, 80]), (1, [8, 24, 40, 64, 80]), (None, list(EIGHTS))]
)
def test_fine_counts_are_halved_from_the_middle(level, expected):
    assert thinned(EIGHTS, level, is_fine=True) == expected


def test_coarse_counts_begin_with_their_ends():
    assert thinned((4, 12, 28, 60), 0, is_fine=False) == [4, 60]


def test_rows_of_a_level_are_among_those_of_the_next():
    grids = [set(width_pairs([96], [200], level=level)) for level in range(6)]
    assert all(one < other for one, other in pairwise(grids[:4]))
    assert grids[5] == set(width_pairs([96], [200]))


def test_widths_have_no_count_below_the_least_and_none_that_groups_do_not_divide():
    assert min(widths([40], least=3)) >= 3 > min(widths([40]))
    assert all(a % 4 == b % 4 == 0 for a, b in width_pairs([40], [40], multiple=4))


def ladders(*sizes):
    """Return ladders whose grids have these numbers of rows."""
    first = find_ladders(find_templates(toy_graph(), input_shape=(1, 3, 16, 24)))[0]
    return [
        dataclasses.replace(first, grids=tuple(tuple((k, k) for k in range(n)) for n in grid))
        for grid in sizes
    ]


def chosen(ladders, weights, row_seconds, *, seconds, most_rows=99):
    return choose_levels(
        ladders,
        [float(weight) for weight in weights],
        [float(each) for each in row_seconds],
        seconds=float(seconds),
        most_rows=most_rows,
    )


def test_all_rows_are_measured_where_there_is_time():
    levels = chosen(ladders((1, 5, 9), (2, 3)), [1, 1], [1, 1], seconds=12, most_rows=99)
    assert levels == [2, 1]


def test_operation_that_takes_longest_is_refined_first():
    """Of 13 seconds the coarsest rows take 3; one refinement of 8 more fits."""
    grids = ladders((1, 9), (2, 10))
    assert chosen(grids, [5, 1], [1, 1], seconds=13) == [1, 0]
    assert chosen(grids, [1, 5], [1, 1], seconds=13) == [0, 1]


def test_rows_that_take_longer_to_measure_come_later():
    grids = ladders((1, 9), (1, 9))
    assert chosen(grids, [1, 1], [3, 1], seconds=12) == [0, 1]


def test_number_of_rows_is_bounded():
    grids = ladders((1, 9), (1, 5))
    assert chosen(grids, [1, 1], [1e-3, 1e-3], seconds=9, most_rows=8) == [0, 1]


def test_operation_of_no_weight_stays_coarse():
    assert chosen(ladders((1, 9)), [0], [1], seconds=99) == [0]
