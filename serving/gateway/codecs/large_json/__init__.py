"""JSON bodies, read within the memory budget and without blocking other requests.

JSON libraries hold Python's global lock from the first byte to the last, and the millions of lists of a nested array
keep the garbage collector busy: 35 MB of ``[[[[1],[2],…`` blocked all other requests for three to six seconds, in a
thread or not. Here long arrays of numbers become NumPy arrays piece by piece (``json_arrays.py``; 0.6 s on two cores).
orjson reads the rest, whose number of values is limited so that it holds the lock for about 50 ms at most.
"""

import secrets
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from serving.gateway.codecs.large_json import json_arrays
from serving.gateway.codecs.offload import LARGE
from serving.gateway.errors import TooLarge
from serving.gateway.http.memory_budget import Reservation
from serving.tfs_api.rest_json import documents

_MEDIUM = 4096  # bytes of a body that may be worth arrays
_MANY_LISTS = 256  # lists in the first 4096 bytes of such a body
_MAX_VALUES = 500_000  # outside of arrays of numbers; orjson takes 50 ms for them
_MAX_BYTES_WITH_WORDS = 1_000_000  # with NaN or Infinity, for Python's own parser, which takes as long
_READING_FACTOR = 2  # of memory while a large body is read: orjson's tree, copies, conversion to arrays


def is_worth_arrays(body: bytes) -> bool:
    """Whether to read a body by :func:`loads` rather than :func:`exact`.

    True for large bodies, and for medium ones with many short lists, such as pixels, which then take half the time and
    a tenth of the memory.
    """
    return len(body) >= LARGE or (len(body) >= _MEDIUM and body.count(b"[", 0, _MEDIUM) > _MANY_LISTS)


def loads(body: bytes, memory: Reservation) -> tuple[Any, bool]:
    """Return a body's value, and whether all its numbers are finite.

    NaN, Infinity and -Infinity are accepted. Each long regular list of numbers under a key becomes an array: of the
    smallest signed type for whole numbers, of float64 if one is a fraction.

    Raises:
        orjson.JSONDecodeError: the body is not JSON.
        TooLarge: too many values outside of regular arrays of numbers.
        Overloaded: the memory budget is used up.
    """
    _check_values(documents.count_marks(body, (b'"',)))  # first, because the search for arrays visits every string
    arrays: dict[str, NDArray[Any]] = {}
    parts = []
    done = 0
    finite = True
    for start, end in json_arrays.candidates(body):
        array = json_arrays.read(body, start, end, memory)
        if array is not None:
            name = secrets.token_hex(16)
            parts += [body[done:start], b'"', name.encode("ascii"), b'"']
            done = end
            arrays[name] = array
            finite = finite and (array.dtype != np.float64 or bool(np.isfinite(array).all()))
    if arrays:
        rest = b"".join([*parts, body[done:]])
        memory.hold(len(rest))
        try:
            value, all_finite = exact(rest, memory)
            value, placed = _with_arrays(value, arrays)
        except orjson.JSONDecodeError:  # read the whole body for an error with the right position
            placed = 0
        memory.release(len(rest))
        if placed == len(arrays):  # otherwise one was part of a string, or in an unexpected place
            return value, finite and all_finite
    return exact(body, memory)


def exact(body: bytes, memory: Reservation) -> tuple[Any, bool]:
    """Return the same as :func:`loads`, without arrays."""
    memory.hold(_cost(body))
    try:
        return orjson.loads(body), True
    except orjson.JSONDecodeError as error:
        if not documents.stops_at_word(error):
            raise
        if len(body) > _MAX_BYTES_WITH_WORDS:
            raise TooLarge(
                f"the body has {len(body)} bytes, and NaN or Infinity outside of its regular arrays of numbers; "
                f"at most {_MAX_BYTES_WITH_WORDS} bytes are accepted then"
            ) from None
        return _with_words(body), False


def _cost(body: bytes) -> int:
    """Return the most memory, in bytes, that reading a body takes.

    Raises:
        TooLarge: reading so many values would hold the global lock for too long.
    """
    cost = documents.memory(body)
    if len(body) < LARGE:
        return cost
    _check_values(documents.count_marks(body, (b",", b"[", b"{", b'"')))
    return _READING_FACTOR * cost


def _with_words(body: bytes) -> Any:
    """Return the value of a document with NaN or Infinity, or None if it is not JSON."""
    try:
        return documents.loads_with_words(body)
    except (ValueError, RecursionError):
        return None


def _check_values(counts: dict[bytes, int]) -> None:
    """Refuse more values than orjson reads in 50 ms.

    A list or string takes twice as long as a number, an object eight times.
    """
    objects, lists, quotes = counts.get(b"{", 0), counts.get(b"[", 0), counts.get(b'"', 0)
    values = counts.get(b",", 0) + 2 * lists + quotes + 8 * objects
    if values > _MAX_VALUES:
        raise TooLarge(
            f"the body has {values} values outside of regular arrays of numbers; at most {_MAX_VALUES} are accepted, "
            "where a list or string counts as 2 and an object as 8"
        )


def _with_arrays(value: Any, arrays: dict[str, NDArray[Any]]) -> tuple[Any, int]:
    """Return the value with the arrays under their keys, and how many were placed."""
    placed = 0
    level = [value]
    while level:
        objects = [item for item in level if isinstance(item, dict)]
        level = []
        for keys in objects:
            for key, item in keys.items():
                if isinstance(item, str) and item in arrays:
                    keys[key] = arrays[item]
                    placed += 1
                elif isinstance(item, dict):
                    level.append(item)
                elif isinstance(item, list):
                    level += item
    return value, placed
