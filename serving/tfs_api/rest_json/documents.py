"""Read JSON documents, and estimate the memory that reading takes."""

import json
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import orjson

_SMALL = 8192  # bytes: smaller bodies get the highest possible estimate, without counting
_COUNTED = 1_048_576  # bytes that are counted at once, because counting holds the global lock
_NOT_FINITE = re.compile("-?(NaN|Infinity)")
_HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")
#: Bytes of memory of the Python objects for each punctuation mark of JSON.
_BYTES_PER = {b",": 40, b"[": 72, b"{": 160, b'"': 16}
_HIGHEST_BYTES = 24  # for each byte of a body of [],[],[]…


def loads(body: bytes) -> Any:
    """Return the value of a JSON document; NaN, Infinity and -Infinity are numbers in it.

    Raises:
        json.JSONDecodeError: the body is not JSON, or not UTF-8.
        RecursionError: lists or objects are nested too deeply.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if not stops_at_word(error):
            raise
        return loads_with_words(body)


def stops_at_word(error: json.JSONDecodeError) -> bool:
    """Return whether orjson stopped at NaN, Infinity or -Infinity."""
    return _NOT_FINITE.match(error.doc, error.pos) is not None


def loads_with_words(body: bytes) -> Any:
    """Return the value of a document with NaN, Infinity or -Infinity, which Python's own parser reads slowly.

    Raises:
        json.JSONDecodeError: the body is not JSON, or has half a surrogate pair.
        RecursionError: lists or objects are nested too deeply.
    """
    value = json.loads(body)
    if half := _HALF_CHARACTER.search(body):
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise json.JSONDecodeError("half a surrogate pair", body.decode("utf-8"), half.start()) from None
    return value


def memory(body: bytes) -> int:
    """Return the most bytes of memory that reading a body takes."""
    if len(body) < _SMALL:
        return _HIGHEST_BYTES * len(body)
    text = 2 * len(body) if body.isascii() else 7 * len(body) // 2  # strings have one or four bytes a character
    return text + sum(_BYTES_PER[mark] * count for mark, count in count_marks(body, _BYTES_PER).items())


def count_marks(body: bytes, marks: Iterable[bytes]) -> dict[bytes, int]:
    """Return how often each of the bytes occurs in a body."""
    letters = np.frombuffer(body, np.uint8)  # ten times as fast as bytes.count if there are many
    parts = [letters[start : start + _COUNTED] for start in range(0, len(body), _COUNTED)]
    return {mark: sum([int(np.count_nonzero(part == ord(mark))) for part in parts]) for mark in marks}
