"""JSON as RapidJSON has it: what it takes beyond the grammar, its errors, its way to write."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.model_server.rest import rapidjson


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": [1, 2.5, "x", null, true, false]}', {"a": [1, 2.5, "x", None, True, False]}),
        (b"\xef\xbb\xbf[NaN, -Infinity, Inf, 1e5, -0.5]", [math.nan, -math.inf, math.inf, 1e5, -0.5]),
        (b'["\xff", "\\ud83d\\ude00\\n"]', ["\udcff", "😀\n"]),
        (b"[Inf, 18446744073709551616, -9223372036854775809]", [math.inf, 2.0**64, -(2.0**63)]),
        (b"[Inf, 18446744073709551615]", [math.inf, 2**64 - 1]),
        (b" { } \0 what follows a zero byte", {}),
    ],
)
def test_what_it_takes(data: bytes, value: object) -> None:
    np.testing.assert_equal(rapidjson.parse(data), value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b" ", "The document is empty. at offset: 1"),
        (b"instances = [1, 2]", "Invalid value. at offset: 0"),
        (b"{instances}", "Missing a name for object member. at offset: 1"),
        (b'{"a": 1,}', "Missing a name for object member. at offset: 8"),
        (b'{"a" 1}', "Missing a colon after a name of object member. at offset: 5"),
        (b'{"a":1 "b"}', "Missing a comma or } after an object member. at offset: 7"),
        (b"[1, 2", "Missing a comma or ] after an array element. at offset: 5"),
        (b"[1,]", "Invalid value. at offset: 3"),
        (b"[tru]", "Invalid value. at offset: 4"),
        (b"[Nan]", "Invalid value. at offset: 3"),
        (b"[-]", "Invalid value. at offset: 2"),
        (b"[1.]", "Miss fraction part in number. at offset: 3"),
        (b"[1.5e+]", "Miss exponent in number. at offset: 6"),
        (b"[1, 1e400]", "Number too big to be stored in double. at offset: 4"),
        (b"[1] 2", "The document root must not be followed by other values. at offset: 4"),
        (b'"abc', "Missing a closing quotation mark in string. at offset: 4"),
        (b'"a\\x"', "Invalid escape character in string. at offset: 2"),
        (b'"a\n"', "Invalid escape character in string. at offset: 2"),
        (b'"\\u12g4"', "Incorrect hex digit after \\u escape in string. at offset: 1"),
        (b'"\\ud800"', "The surrogate pair in string is invalid. at offset: 1"),
        (b"[" * 5000, "Nested deeper than 300 levels. at offset: 301"),
    ],
)
def test_its_errors(data: bytes, message: str) -> None:
    with pytest.raises(rapidjson.ParseError) as refused:
        rapidjson.parse(data)
    assert str(refused.value) == message


@given(st.binary(max_size=40) | st.text('[]{}",:.eE+-0123456789NaInfity\\ud8', max_size=40).map(str.encode))
def test_no_bytes_do_harm(data: bytes) -> None:
    try:
        rapidjson.parse(data)
    except rapidjson.ParseError as error:
        assert " at offset: " in str(error)


def test_decimals_are_short_and_exact() -> None:
    values = np.float32([0.1, 1 / 3, 9_000_000, 1e-5, 2, -0.0, 0.123456789, np.nan, np.inf, -np.inf])
    expected = ["0.1", "0.333333343", "9e+06", "1e-05", "2.0", "-0.0", "0.123456791", "NaN", "Infinity", "-Infinity"]
    assert rapidjson.decimals(values) == expected
    assert rapidjson.decimals(np.array([0.1, 1 / 3])) == ["0.1", "0.33333333333333331"]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=20))
def test_decimals_read_back_as_they_were(values: list[float]) -> None:
    array = np.array(values, np.float32)
    assert [np.float32(text) for text in rapidjson.decimals(array)] == array.tolist()


@given(st.text(max_size=20))
def test_strings_read_back_as_they_were(text: str) -> None:
    assert json.loads(rapidjson.string(text)) == text


@pytest.mark.parametrize(
    ("count", "shape", "texts"),
    [
        (2, (), ["0", "1"]),
        (6, (3,), ["[0, 1, 2]", "[3, 4, 5]"]),
        (4, (2, 1), ["[[0], [1]]", "[[2], [3]]"]),
        (0, (2, 0), ["[[], []]"]),
    ],
)
def test_nested(count: int, shape: tuple[int, ...], texts: list[str]) -> None:
    assert rapidjson.nested(list(map(str, range(count))), shape) == texts
