import dataclasses
import json

import pytest

from saliency.errors import LatencyTableError
from saliency.pruning.latency.table import Conditions, LatencyTable, Row
from saliency.pruning.latency.table_file import read_table, table_from_json, table_to_json

CONDITIONS = Conditions("onnxruntime", "1.20", "Processor X", 1, "float32", (240, 320))
PAIRS = ((8, 16), (8, 32), (32, 16), (32, 32))
WRITTEN = LatencyTable(
    CONDITIONS,
    reference_ms=2.5,
    call_ms=0.5,
    rows=tuple(
        Row("convolution", *pair, median_ms=0.1 * place, spread_ms=0.25, runs=5)
        for place, pair in enumerate(PAIRS)
    ),
)


def test_table_survives_json(tmp_path):
    (tmp_path / "table.json").write_text(table_to_json(WRITTEN))
    assert read_table(tmp_path / "table.json") == WRITTEN


def test_table_in_json_has_a_row_on_a_line():
    lines = [line.strip(" ,") for line in table_to_json(WRITTEN).splitlines()]
    assert sum(line.startswith('{"signature"') for line in lines) == len(WRITTEN.rows)


def damaged(change):
    values = json.loads(table_to_json(WRITTEN))
    change(values)
    return json.dumps(values)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        damaged(lambda values: values.update(format_version=2)),
        damaged(lambda values: values.pop("rows")),
        damaged(lambda values: values.pop("reference_ms")),
        damaged(lambda values: values.update(reference_ms=-1.0)),
        damaged(lambda values: values.update(rows=[{}])),
        damaged(lambda values: values.update(rows=3)),
        damaged(lambda values: values.update(rows=[3])),
        damaged(lambda values: values.update(input_size=[240])),
        damaged(lambda values: values.update(threads="one")),
        damaged(lambda values: values.update(engine=1)),
        damaged(lambda values: values["rows"][0].update(median_ms=-1)),
        damaged(lambda values: values["rows"][0].update(median_ms="fast")),
        damaged(lambda values: values["rows"][0].update(in_channels=1.5)),
        damaged(lambda values: values["rows"][0].update(signature=3)),
    ],
)
def test_damaged_table_is_refused_in_one_line(text):
    with pytest.raises(LatencyTableError, match="measure a new one") as caught:
        table_from_json(text)
    assert "\n" not in str(caught.value)


def test_table_with_a_hole_in_its_grid_is_refused():
    holed = dataclasses.replace(WRITTEN, rows=WRITTEN.rows[1:])
    with pytest.raises(LatencyTableError, match="are missing"):
        table_from_json(table_to_json(holed))


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_table_that_cannot_be_read_is_named(content, tmp_path):
    path = tmp_path / "table.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LatencyTableError, match=r"cannot read the latency table .*table\.json"):
        read_table(path)
