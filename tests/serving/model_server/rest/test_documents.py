"""JSON bodies: what is read, how errors are worded, and the limit of memory."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.model_server.errors import ServingError
from serving.model_server.rest import documents
from serving.tfs_api.status_codes import Code
from tests.serving.model_server.statuses import raises_status


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b'{"a": [1, 2.5, "x", null, true, false]}', {"a": [1, 2.5, "x", None, True, False]}),
        (b'\xef\xbb\xbf{"a": [NaN, -Infinity, Infinity, 1e5]}', {"a": [math.nan, -math.inf, math.inf, 1e5]}),
        (b'{"a": [18446744073709551615, 18446744073709551616]}', {"a": [2**64 - 1, 2.0**64]}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
    ],
)
def test_read(body: bytes, document: object) -> None:
    np.testing.assert_equal(documents.read(body), document)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The document is empty"),
        (b" ", "The document is empty. at offset: 0"),
        (b"instances = [1, 2]", "Invalid value. at offset: 0"),
        (b"{instances}", "Missing a name for object member. at offset: 1"),
        (b'{"a" 1}', "Missing a colon after a name of object member. at offset: 5"),
        (b'{"a":1 "b"}', "Missing a comma or } after an object member. at offset: 7"),
        (b"[1 2]", "Missing a comma or ] after an array element. at offset: 3"),
        (b"[x]", "Invalid value. at offset: 1"),
        (b"[1.]", "Miss fraction part in number. at offset: 3"),
        (b"[1.5e+]", "Miss exponent in number. at offset: 6"),
        (b"[1, 1e400]", "Number too big to be stored in double. at offset: 4"),
        (b"[1] 2", "The document root must not be followed by other values. at offset: 4"),
        (b'"a\\x"', "Invalid escape character in string. at offset: 2"),
        (b'"\xff"', "Invalid value. at offset: 0"),
        (b"[" * 5000, "Invalid value. at offset: 1025"),
    ],
)
def test_invalid_json(body: bytes, message: str) -> None:
    with raises_status(Code.INVALID_ARGUMENT) as raised:
        documents.read(body)
    assert str(raised.value) == f"JSON Parse error: {message}"


def test_other_values_than_an_object() -> None:
    with raises_status(Code.INVALID_ARGUMENT) as raised:
        documents.read(b"[1]")
    assert str(raised.value) == "JSON Value: [1] Is not object"


@given(st.binary(max_size=40) | st.text('[]{}",:.eE+-0123456789NaInfity\\ud8', max_size=40).map(str.encode))
def test_any_bytes_give_an_object_or_an_error(body: bytes) -> None:
    try:
        assert isinstance(documents.read(body), dict)
    except ServingError as error:
        assert error.code == Code.INVALID_ARGUMENT


def test_documents_share_their_memory() -> None:
    memory = documents.DocumentMemory(1000)
    with memory.held(600):
        with raises_status(Code.UNAVAILABLE), memory.held(401):
            pass
        with memory.held(400):
            pass
    with memory.held(1000):
        pass
    with pytest.raises(documents.DocumentTooLarge, match="needs 1001 bytes of memory"), memory.held(1001):
        pass
