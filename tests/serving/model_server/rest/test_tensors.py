"""Tensors from and to JSON: values, and TensorFlow Serving's messages."""

from typing import Any

import numpy as np
import pytest

from serving.model_server.core.signature import ServableSignature, TensorInfo
from serving.model_server.rest import tensors
from serving.tfs_api import messages
from serving.tfs_api.status_codes import Code
from tests.serving.model_server.statuses import raises_status

TYPES = {
    "f": messages.DT_FLOAT,
    "d": messages.DT_DOUBLE,
    "i": messages.DT_INT32,
    "l": messages.DT_INT64,
    "u": messages.DT_UINT8,
    "s": messages.DT_STRING,
    "b": messages.DT_BOOL,
    "h": messages.DT_HALF,
}


def signature(names: str, **defaults: Any) -> ServableSignature:
    """Inputs that are each named by their type."""
    inputs = {name: TensorInfo(f"{name}:0", TYPES[name], None) for name in names}
    return ServableSignature("serving_default", "tensorflow/serving/predict", inputs, {}, defaults)


@pytest.mark.parametrize(
    ("names", "instances", "expected"),
    [
        ("f", [1, 2.5, 3], {"f": np.float32([1, 2.5, 3])}),
        ("f", [[1, float("nan")], [float("inf"), 1e-50]], {"f": np.float32([[1, np.nan], [np.inf, 0]])}),
        ("d", [[16777217]], {"d": np.float64([[16777217]])}),
        ("u", [[[0], [255]]], {"u": np.uint8([[[0], [255]]])}),
        ("l", [2**63 - 1], {"l": np.int64([2**63 - 1])}),
        ("b", [True, False], {"b": np.array([True, False])}),
        ("s", ["é", {"b64": "/w=="}, {"b64": " /w "}], {"s": np.array(["é".encode(), b"\xff", b"\xff"], object)}),
        ("fi", [{"f": 1, "i": [2]}, {"i": [3], "f": 4}], {"f": np.float32([1, 4]), "i": np.int32([[2], [3]])}),
        ("f", [{"f": [1]}], {"f": np.float32([[1]])}),
        ("f", [[], []], {"f": np.zeros((2, 0), np.float32)}),
    ],
)
def test_from_rows(names: str, instances: list[Any], expected: dict[str, Any]) -> None:
    np.testing.assert_equal(tensors.from_rows(instances, signature(names)), expected)


@pytest.mark.parametrize(
    ("names", "inputs", "expected"),
    [
        ("f", 1.5, {"f": np.float32(1.5)}),
        ("s", {"b64": "YQ=="}, {"s": np.array(b"a", object)}),
        ("fi", {"f": [1], "i": [[2]], "more": 3}, {"f": np.float32([1]), "i": np.int32([[2]])}),
    ],
)
def test_from_columns(names: str, inputs: Any, expected: dict[str, Any]) -> None:
    np.testing.assert_equal(tensors.from_columns(inputs, signature(names)), expected)


def test_an_input_with_a_default_may_be_missing_by_column() -> None:
    assert tensors.from_columns({"f": [1]}, signature("fi", i=np.int32(3))).keys() == {"f"}


ELEMENT = "Failed to process element: "


@pytest.mark.parametrize(
    ("names", "instances", "message"),
    [
        ("f", ["a"], ELEMENT + "0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: \"a\" Type: String "),
        ("f", [1, 2, "a"], ELEMENT + "2 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: \"a\" Type: String "),
        (
            "fi",
            [{"f": [1, 2], "i": 1}, {"f": [3, "a"], "i": 1}],
            ELEMENT + "1 key: f of 'instances' list. Error: INVAL",
        ),
        ("f", [1, [2]], "Encountered list at unexpected size: 1 at level: 1 expected size: 0"),
        ("f", [[1, 2], [1]], "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        ("f", [[[1, 2], [1]]], "Encountered list at unexpected size: 1 at level: 2 expected size: 2"),
        ("f", [[[1], 2]], "Encountered list at unexpected size: a value at level: 2 expected size: 1"),
        ("f", [None], "JSON Value: null Type: Null is not of expected type: float"),
        ("f", [True], "JSON Value: true Type: True is not of expected type: float"),
        ("f", [{"b64": "YQ=="}], "Type: Object is not of expected type: float"),
        ("f", [16777216], "Cannot convert JSON value: 16777216 to float without loss of precision."),
        ("f", [1e39], "Cannot convert JSON value: 1e+39 to float without loss of precision."),
        ("i", [1.0], "JSON Value: 1.0 Type: Number is not of expected type: int32"),
        ("i", [2**31], "JSON Value: 2147483648 Type: Number is not of expected type: int32"),
        ("u", [256], "JSON Value: 256 Type: Number is not of expected type: uint8"),
        ("s", [1], "JSON Value: 1 Type: Number is not of expected type: string"),
        ("s", [{"b64": "?"}], "Unable to base64 decode"),
        ("b", [1], "JSON Value: 1 Type: Number is not of expected type: bool"),
        ("h", [1], "UNIMPLEMENTED: Conversion of JSON Value: 1 to type: half"),
        ("f", [1, {"f": 1}], 'JSON Value: {"f": 1} Type: Object is not of expected type: float'),
        ("f", [{"f": 1}, 1], "Expecting object but got list at item 1 of input list"),
        ("fi", [1], "instances is a plain list, but expecting list of objects as multiple input tensors required as"),
        (
            "f",
            [{"g": 1}],
            ELEMENT
            + "0 key: g of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not have named input: g",
        ),
        ("fi", [{"f": 1}], 'JSON object: {"f": 1} keys must be equal to: f,i'),
    ],
)
def test_wrong_rows(names: str, instances: list[Any], message: str) -> None:
    with raises_status(Code.INVALID_ARGUMENT) as raised:
        tensors.from_rows(instances, signature(names))
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("names", "inputs", "code", "message"),
    [
        (
            "fi",
            [1],
            Code.INVALID_ARGUMENT,
            "inputs is a plain value/list, but expecting an object as multiple input",
        ),
        ("fi", {"f": 1}, Code.INVALID_ARGUMENT, "Missing named input: i in 'inputs' object."),
        ("h", [1], Code.UNIMPLEMENTED, "Conversion of JSON Value: 1 to type: half"),
        ("s", {"s": [{"b64": 1}]}, Code.INVALID_ARGUMENT, "Unable to base64 decode"),
        ("s", {"s": [{"c": 1}]}, Code.INVALID_ARGUMENT, "not formatted correctly for base64 data"),
    ],
)
def test_wrong_columns(names: str, inputs: Any, code: Code, message: str) -> None:
    with raises_status(code) as raised:
        tensors.from_columns(inputs, signature(names))
    assert message in str(raised.value)


def test_to_rows() -> None:
    assert tensors.to_rows({"y": np.float32([2.5, 3, 0.1])}) == b'{"predictions":[2.5,3.0,0.1]}'
    assert tensors.to_rows({"y": np.int64([[1, 2], [3, 4]])}) == b'{"predictions":[[1,2],[3,4]]}'
    named = tensors.to_rows({"a": np.array([True]), "b": np.array([b'"'], object)})
    assert named == b'{"predictions":[{"a":true,"b":"\\""}]}'
    assert tensors.to_rows({"y_bytes": np.array([b"a"], object)}) == b'{"predictions":[{"b64":"YQ=="}]}'


def test_to_columns() -> None:
    assert tensors.to_columns({"y": np.float32(2)}) == b'{"outputs":2.0}'
    assert tensors.to_columns({"y": np.float64([2, np.nan, -np.inf])}) == b'{"outputs":[2.0,NaN,-Infinity]}'
    both = tensors.to_columns({"a": np.uint8([1]), "b": np.zeros((1, 0))})
    assert both == b'{"outputs":{"a":[1],"b":[[]]}}'


def test_an_error_shows_the_start_of_a_long_value() -> None:
    error = tensors.format_error([[]] * 1_000_000, "is long")
    assert 1000 < len(str(error)) < 1100


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"y": np.float32(1)}, "Tensor name: y has no shape information "),
        ({"y": np.zeros((0, 3))}, "Tensor name: y has invalid batch size: 0"),
        ({"a": np.zeros(1), "b": np.zeros(2)}, "Tensor name: b has inconsistent batch size: 2 expecting: 1"),
        ({"y": np.zeros(1, np.float16)}, "Failed to write JSON value for tensor type: half"),
    ],
)
def test_outputs_without_a_json_form(outputs: dict[str, Any], message: str) -> None:
    with raises_status(Code.INVALID_ARGUMENT) as raised:
        tensors.to_rows(outputs)
    assert str(raised.value) == message
