"""Redaction: fields by name and path, pictures in every encoding, and content that cannot be searched."""

import base64
import hashlib
import json
from typing import Any

import pytest

from serving.gateway.observability.request_log.redaction import REDACTED, Pictures, Redaction
from tests.serving.gateway.observability.request_log.entries import entry

PNG = b"\x89PNG\r\n\x1a\n and pixels"
SUM = {"sha256": hashlib.sha256(PNG).hexdigest(), "bytes": len(PNG)}
SIZE = {"bytes": len(PNG)}
B64 = base64.b64encode(PNG).decode()


def redacted(
    document: Any, fields: str = "", pictures: Pictures = "hash", *, is_picture: bool = False, answer: bool = False
) -> Any:
    """Return the body, or the answer, as it is logged."""
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    done = Redaction(fields, pictures).apply(entry(**{"answer" if answer else "body": content}), is_picture)
    text = done.answer if answer else done.body
    try:
        return json.loads(text or b"null")
    except ValueError:
        return text


@pytest.mark.parametrize(
    ("fields", "document", "expected"),
    [
        ("", {"features": {"age": 3}}, {"features": {"age": 3}}),
        ("age", {"features": {"age": 3, "rooms": 2}}, {"features": {"age": REDACTED, "rooms": 2}}),
        ("age", {"a": [{"age": {"years": 3}}, 1, None]}, {"a": [{"age": REDACTED}, 1, None]}),
        ("$.features.age", {"features": {"age": 3}, "age": 4}, {"features": {"age": REDACTED}, "age": 4}),
        ("$.series[*].name", {"series": [{"name": "x"}, {"name": "y"}]}, {"series": [{"name": REDACTED}] * 2}),
        ("$.rows[1]", {"rows": [1, 2, 3]}, {"rows": [1, REDACTED, 3]}),
        ("$['a b'].*", {"a b": {"c": 1, "d": [2]}}, {"a b": {"c": REDACTED, "d": REDACTED}}),
        ("a, $.b", {"a": 1, "b": 2, "c": {"b": 3}}, {"a": REDACTED, "b": REDACTED, "c": {"b": 3}}),
        (
            "age",  # a tensor of the Open Inference Protocol
            {"inputs": [{"name": "age", "shape": [1], "data": [3]}, {"name": "rooms", "data": [2]}]},
            {"inputs": [{"name": "age", "shape": [1], "data": REDACTED}, {"name": "rooms", "data": [2]}]},
        ),
    ],
)
def test_fields(fields: str, document: Any, expected: Any) -> None:
    assert redacted(document, fields) == expected
    assert redacted(document, fields, answer=True) == expected


@pytest.mark.parametrize(("pictures", "expected"), [("hash", SUM), ("drop", SIZE), ("keep", PNG)])
def test_pictures(pictures: Pictures, expected: Any) -> None:
    assert redacted(PNG, "", pictures, is_picture=True) == expected
    assert redacted(PNG, "age", pictures, is_picture=True) == expected
    assert redacted(PNG, "", pictures) == expected  # npy, multipart
    assert redacted(PNG, "age", pictures) == SIZE  # age may be in it
    encoded = B64 if pictures == "keep" else expected
    assert redacted({"instances": [{"b64": B64}]}, "", pictures) == {"instances": [{"b64": encoded}]}
    answered = redacted({"inputs": [B64], "predictions": []}, "", pictures, is_picture=True, answer=True)
    assert answered == {"inputs": [encoded], "predictions": []}


def test_pixels_in_json_are_a_picture() -> None:
    document = {"instances": [[[0.5]]]}
    assert redacted(document, is_picture=True).keys() == {"sha256", "bytes"}
    assert redacted(document, pictures="keep", is_picture=True) == document


def test_content_that_cannot_be_read() -> None:
    assert redacted(b'{"age": 3', "age") == {"bytes": 9}
    assert redacted(b'{"age": 3').keys() == {"sha256", "bytes"}
    deep = b"[" * 1000 + b"]" * 1000
    assert redacted(b'{"a":' * 1000 + b"1" + b"}" * 1000, "age").keys() <= {"bytes", "a"}
    assert redacted(deep, "age") is not None
    assert redacted({"b64": "?!"}).keys() == {"b64"} and redacted({"b64": 3}) == {"b64": REDACTED}
    assert redacted(b"") is None
    too_large = Redaction("", "keep").apply(entry(body=None, body_bytes=900_000), False)
    assert too_large.body == b'{"bytes":900000}'


@pytest.mark.parametrize("field", ["$", "$age", "a.b", "$.a..b", "$.a[", "$.a['b]", "a b", "[0]", "$.a[-1]"])
def test_bad_fields(field: str) -> None:
    with pytest.raises(ValueError, match="is neither a field's name nor a path like"):
        Redaction(field, "hash")
