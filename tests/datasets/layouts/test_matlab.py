"""Facts about MATLAB files: both formats give the same values."""

import numpy as np
import pytest
from matlab_fixtures import column_of, struct_array, write_v73
from scipy.io import savemat

from saliency.datasets.layouts.matlab import field, items, read_matlab, rows, variable
from saliency.errors import DatasetError

MATRIX = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


@pytest.fixture(params=["v5", "v7.3"])
def contents(request, tmp_path):
    """The same variables, read from a file of each format."""
    path = tmp_path / "x.mat"
    people = [{"name": "eve", "fix": MATRIX}, {"name": "bob", "fix": np.zeros((0, 0))}]
    if request.param == "v5":
        values = {"m": MATRIX, "t": "text", "one": people[0]}
        savemat(path, {**values, "c": column_of([MATRIX, "a"]), "s": struct_array(people)})
    else:
        values = {"m": MATRIX, "t": "text", "one": people[0]}
        write_v73(path, {**values, "c": [MATRIX, "a"], "s": tuple(people)})
    return read_matlab(path)


def test_matrix_lies_as_in_matlab(contents):
    np.testing.assert_array_equal(contents["m"], MATRIX)


def test_text_is_text(contents):
    assert contents["t"] == "text"


def test_cells_keep_their_order(contents):
    first, second = contents["c"]
    np.testing.assert_array_equal(first, MATRIX)
    assert second == "a"


def test_struct_is_a_dict_and_several_are_a_list(contents):
    assert contents["one"]["name"] == "eve"
    np.testing.assert_array_equal(contents["one"]["fix"], MATRIX)
    assert [struct["name"] for struct in contents["s"]] == ["eve", "bob"]
    assert rows(contents["s"][1]["fix"], 2, "here").shape == (0, 2)


def test_one_struct_and_several_are_taken_alike():
    assert items({"a": 1}) == [{"a": 1}]
    assert items([{"a": 1}, {"a": 2}]) == [{"a": 1}, {"a": 2}]
    assert items(np.zeros((0, 0))) == []


def test_unknown_variable_is_refused_with_those_there_are(tmp_path):
    savemat(tmp_path / "x.mat", {"gaze": MATRIX})
    with pytest.raises(DatasetError, match=r"x\.mat: expected the variable `white`, got gaze"):
        variable(tmp_path / "x.mat", "white")


def test_field_that_is_not_there_is_named():
    with pytest.raises(DatasetError, match="here: expected a struct with the field `fix`"):
        field({"name": "eve"}, "fix", "here")


@pytest.mark.parametrize("value", ["text", np.zeros((3, 1)), np.zeros(4)])
def test_what_is_no_matrix_of_so_many_columns_is_refused(value):
    with pytest.raises(DatasetError, match="here: expected a matrix of numbers with 2 columns"):
        rows(value, 2, "here")


@pytest.mark.parametrize("kept_share", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("form", ["v5", "v7.3"])
def test_file_that_is_cut_off_is_refused(tmp_path, form, kept_share):
    path = tmp_path / "x.mat"
    if form == "v5":
        savemat(path, {"m": np.arange(999.0)})
    else:
        write_v73(path, {"m": np.arange(999.0)[None]})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept_share)])
    with pytest.raises(DatasetError, match=r"x\.mat: expected a MATLAB file"):
        read_matlab(path)


def test_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"nowhere\.mat: .* whole archive was unpacked"):
        read_matlab(tmp_path / "nowhere.mat")
