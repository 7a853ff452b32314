"""Tensors and examples from JSON values."""

from typing import Any

import numpy as np
import pytest

from serving.tfs_api import messages
from serving.tfs_api.rest_json import errors, examples, requests


@pytest.mark.parametrize(
    ("instances", "names", "expected"),
    [
        ([1, 2], ["x"], {"x": [1, 2]}),
        ([{"b64": "YQ=="}], ["x"], {"x": [{"b64": "YQ=="}]}),
        ([{"x": 1, "y": 2}, {"y": 4, "x": 3}], ["x", "y"], {"x": [1, 3], "y": [2, 4]}),
        ([{"x": 1}], ["x", "y"], {"x": [1]}),
    ],
)
def test_by_row(instances: list[Any], names: list[str], expected: dict[str, Any]) -> None:
    assert requests.values_by_row(instances, names) == expected


@pytest.mark.parametrize(
    ("instances", "error"),
    [
        ([1], errors.Unnamed),
        ([{"x": 1}, {"y": 1}], errors.RowNames),
        ([{"x": 1}, 1], errors.RowNames),
        ([{"z": 1}], errors.UnknownInput),
    ],
)
def test_wrong_rows(instances: list[Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        requests.values_by_row(instances, ["x", "y"])


def test_by_column() -> None:
    assert requests.values_by_column([1], ["x"]) == {"x": [1]}
    assert requests.values_by_column({"x": 1, "more": 2}, ["x", "y"]) == {"x": 1}
    with pytest.raises(errors.Unnamed):
        requests.values_by_column([1], ["x", "y"])


@pytest.mark.parametrize(
    ("value", "data_type", "expected"),
    [
        (1.5, messages.DT_FLOAT, np.float32(1.5)),
        ([[1, 2], [3, 4]], messages.DT_INT8, np.int8([[1, 2], [3, 4]])),
        ([np.int16([1, 2]), [3, 4]], messages.DT_FLOAT, np.float32([[1, 2], [3, 4]])),
        ([float("nan"), float("-inf")], messages.DT_HALF, np.float16([np.nan, -np.inf])),
        ([True], messages.DT_BOOL, np.array([True])),
        ([["é"], [{"b64": " /w "}]], messages.DT_STRING, np.array([["é".encode()], [b"\xff"]], object)),
        ([[], []], messages.DT_STRING, np.empty((2, 0), object)),
    ],
)
def test_tensor(value: Any, data_type: int, expected: Any) -> None:
    array = requests.tensor(value, data_type, "x")
    assert array.dtype == expected.dtype
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize(
    ("value", "data_type", "error", "index"),
    [
        ([[1, 2], [3, "4"]], messages.DT_FLOAT, errors.WrongKind, 3),
        ([1, True], messages.DT_FLOAT, errors.WrongKind, 1),
        ([1, 2.0], messages.DT_INT32, errors.WrongKind, 1),
        ([0, 256], messages.DT_UINT8, errors.NumberTooLarge, 1),
        ([0, 1e39], messages.DT_FLOAT, errors.NumberTooLarge, 1),
        ([0, 2**24], messages.DT_FLOAT, errors.NotExact, 1),
        ([0, -(2**53)], messages.DT_DOUBLE, errors.NotExact, 1),
        (["a", 1], messages.DT_STRING, errors.WrongKind, 1),
        (["a", {"b64": "?"}], messages.DT_STRING, errors.BadBase64, None),
        ([[1], [1, 2]], messages.DT_FLOAT, errors.Ragged, None),
        ([[1], 1], messages.DT_FLOAT, errors.Ragged, None),
        ([1, [1]], messages.DT_FLOAT, errors.Ragged, None),
        ([1], messages.DT_COMPLEX64, errors.RestJsonError, None),
    ],
)
def test_wrong_tensors(value: Any, data_type: int, error: type[errors.RestJsonError], index: int | None) -> None:
    with pytest.raises(error) as raised:
        requests.tensor(value, data_type, "x", exact=True)
    assert getattr(raised.value, "index", None) == index


def test_large_whole_numbers_are_rounded_unless_they_must_be_exact() -> None:
    np.testing.assert_array_equal(requests.tensor([2**24 + 1], messages.DT_FLOAT, "x"), np.float32([2**24]))
    np.testing.assert_array_equal(
        requests.tensor([2**24 - 1, 1e30], messages.DT_FLOAT, "x", exact=True), np.float32([2**24 - 1, 1e30])
    )


def test_example() -> None:
    found = messages.Example.FromString(
        examples.example({"i": [1, True], "f": [0.5, float("nan")], "s": ["é", {"b64": "YQ=="}], "one": 2, "none": []})
    ).features.feature
    assert list(found["i"].int64_list.value) == [1, 1]
    np.testing.assert_array_equal(found["f"].float_list.value, [0.5, np.nan])
    assert list(found["s"].bytes_list.value) == ["é".encode(), b"a"]
    assert list(found["one"].int64_list.value) == [2]
    assert found["none"].WhichOneof("kind") is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1], "must be an object of features by name, not a list"),
        ({"x": [1, 1.5]}, "x mixes numbers with a fraction and whole numbers"),
        ({"x": [2**63]}, "x holds a whole number that does not fit 64 bits"),
        ({"x": [1e39]}, "too large for float32"),
        ({"x": [float("inf")]}, "not finite"),
        ({"x": [None]}, "but null is in it"),
        ({"x": {"b64": "?"}}, "not base64"),
    ],
)
def test_wrong_examples(value: Any, message: str) -> None:
    with pytest.raises(errors.RestJsonError, match=message):
        examples.example(value, finite=True)
