import dataclasses

import pytest

from saliency.errors import LatencyTableError
from saliency.pruning.latency.operations import Operation
from saliency.pruning.latency.table import Conditions, LatencyTable, Row

CONDITIONS = Conditions("onnxruntime", "1.20", "Processor X", 1, "float32", (240, 320))


def convolution(reads, writes):
    return Operation("convolution", "a", reads, writes, (4, 4), (1, 1), (1, 1), (0,) * 4, (1, 1))


def relu(count):
    return Operation("Relu", "b", count, count, (4, 4))


DENSE, SINGLE = convolution(1, 1).signature, relu(1).signature


def table(times):
    rows = tuple(Row(*key, median_ms=time, spread_ms=0.0, runs=5) for key, time in times.items())
    return LatencyTable(CONDITIONS, reference_ms=2.0, call_ms=0.5, rows=rows)


@pytest.fixture
def written():
    """A staircase for a pointwise convolution of 32 channels, and one for an activation."""
    return table(
        {
            (DENSE, 8, 16): 1.0,
            (DENSE, 8, 32): 2.0,
            (DENSE, 32, 16): 4.0,
            (DENSE, 32, 32): 8.0,
            (SINGLE, 16, 16): 0.25,
            (SINGLE, 32, 32): 0.75,
            (SINGLE, 31, 31): 3.0,
            (SINGLE, 28, 28): 1.0,
        }
    )


def test_network_costs_the_sum_of_its_operations_and_one_call(written):
    operations = [convolution(8, 32), convolution(32, 16), relu(16), relu(16)]
    assert written.network_latency_ms(operations) == 0.5 + 2.0 + 4.0 + 0.25 + 0.25


def test_count_that_was_not_measured_costs_what_the_next_measured_one_does(written):
    assert written.latency_ms(convolution(8, 24)) == written.latency_ms(convolution(8, 32))
    assert written.latency_ms(relu(24)) == 0.75
    assert written.latency_ms(relu(8)) == 0.25


@pytest.mark.parametrize(("count", "expected"), [(32, 0.75), (31, 3.0), (17, 3.0), (20, 1.0)])
def test_count_off_the_blocks_costs_what_its_class_was_measured_to_cost(written, count, expected):
    assert written.latency_ms(relu(count)) == expected


def test_blocks_read_between_measured_counts_lie_on_a_line(written):
    assert written.latency_ms(convolution(16, 32)) == pytest.approx(2.0 + (8.0 - 2.0) / 3)


def test_activation_between_measured_counts_does_not_lie_on_a_line(written):
    assert written.latency_ms(relu(24)) == written.latency_ms(relu(32))


def test_counts_off_the_blocks_lie_on_a_line_between_those_of_their_class():
    measured = table({(SINGLE, 1, 1): 1.0, (SINGLE, 31, 31): 3.0, (SINGLE, 32, 32): 0.5})
    assert measured.latency_ms(relu(16 + 5)) == pytest.approx(1 + 2 * 20 / 30)
    assert measured.latency_ms(relu(8)) == 0.5


def test_depthwise_convolution_of_one_channel_costs_what_it_was_measured_to_cost():
    depthwise = dataclasses.replace(convolution(1, 1), groups=0)
    measured = table({(depthwise.signature, 1, 1): 0.25})
    assert measured.latency_ms(convolution(1, 1)) == 0.25
    assert table({(DENSE, 1, 1): 0.5}).latency_ms(depthwise) == 0.5


def test_scaled_table_costs_as_many_times_more(written):
    operations = [convolution(8, 32), relu(16), relu(31)]
    assert written.scaled(3.0).network_latency_ms(operations) == pytest.approx(
        3 * written.network_latency_ms(operations)
    )


@pytest.mark.parametrize("operation", [convolution(40, 8), convolution(8, 40), relu(40), relu(30)])
def test_count_above_the_measured_ones_of_its_class_is_refused(operation):
    with pytest.raises(LatencyTableError, match="measure the unpruned network again"):
        table({(DENSE, 32, 32): 8.0, (SINGLE, 32, 32): 1.0}).latency_ms(operation)


def test_operation_that_was_not_measured_is_refused(written):
    other = dataclasses.replace(relu(8), kind="Sigmoid", layer="head")
    with pytest.raises(LatencyTableError, match=r"no time for head \(Sigmoid 4x4\)"):
        written.latency_ms(other)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("engine", "torch"),
        ("engine_version", "1.21"),
        ("device", "Processor Y"),
        ("threads", 2),
        ("dtype", "bfloat16"),
        ("input_size", (320, 240)),
    ],
)
def test_another_setting_is_refused_in_one_line(written, name, value):
    with pytest.raises(LatencyTableError, match="measure a new one") as caught:
        written.require(dataclasses.replace(CONDITIONS, **{name: value}))
    assert "\n" not in str(caught.value)
    assert str(value) in str(caught.value)


def test_same_setting_is_accepted(written):
    assert written.require(dataclasses.replace(CONDITIONS)) is None


def test_counts_written_further_apart_than_a_step_lie_on_a_line():
    measured = table({(SINGLE, 8, 8): 1.0, (SINGLE, 40, 40): 3.0, (SINGLE, 80, 80): 13.0})
    assert measured.latency_ms(relu(16)) == 3.0
    assert measured.latency_ms(relu(60 + 4)) == pytest.approx(3 + 10 * 24 / 40)


def test_error_between_rows_is_that_of_each_row_from_its_neighbours_weighted_by_time():
    """The convolution's middle row lies on the line; the activation's is 4, where the line is 2."""
    measured = table(
        {
            **{(DENSE, reads, 8): time for reads, time in ((8, 1.0), (16, 8.0), (24, 15.0))},
            **{(SINGLE, count, count): time for count, time in ((8, 1.0), (16, 4.0), (24, 3.0))},
        }
    )
    assert measured.interpolation_error([convolution(24, 8)]) == 0
    assert measured.interpolation_error([relu(24)]) == pytest.approx(0.5)
    both = measured.interpolation_error([convolution(24, 8), relu(24)])
    assert both == pytest.approx(0.5 * 3 / (3 + 15))
