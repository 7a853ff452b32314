"""Long arrays of numbers in JSON text, read piece by piece into NumPy arrays.

Each piece takes about a millisecond, so that other threads get the global lock in between.
"""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from serving.gateway.http.memory_budget import Reservation
from serving.tfs_api.rest_json.numbers import MAX_RANK

_LONG = 4096  # bytes of an array that is read here
_MANY = 512  # numbers of such an array; shorter lists, such as a shape among many blanks, stay lists
_PIECE = 65_536  # bytes
_BLANK = b" \t\r\n"
_ONES = bytes.maketrans(b"0123456789+-.eE", b"1" * 15)
_BLANKS = bytes.maketrans(b"[]", b"  ")
_WORDS = re.compile(rb"-?Infinity|NaN")


def candidates(body: bytes) -> list[tuple[int, int]]:
    """Return where long arrays may be: from a key's colon to the last bracket before the next quote or brace."""
    found = []
    quote = body.find(b'"')
    while quote >= 0:
        end = body.find(b'"', quote + 1)
        stop = end if end >= 0 else len(body)
        if stop - quote > _LONG:
            head = body[quote + 1 : quote + 65].lstrip(_BLANK)
            start = body.find(b"[", quote, stop)  # not the whole body again for each of many strings
            if start >= 0 and head[:1] == b":" and head[1:].lstrip(_BLANK)[:1] == b"[":
                brace = body.find(b"}", start, stop)
                last = body.rfind(b"]", start, brace if brace >= 0 else stop) + 1
                if last - start > _LONG:
                    found.append((start, last))
        quote = end
    return found


def read(body: bytes, start: int, end: int, memory: Reservation) -> NDArray[Any] | None:
    """Return the array in a part of a body; None if it is irregular or holds anything but numbers.

    Memory for the array stays reserved, with 8 bytes more for each number for a conversion to another type.
    """
    before = memory.held
    array = None
    try:
        shape = _shape(_brackets(body, start, end, memory))
        if shape is not None:
            array = _numbers(body, start, end, memory)
            array = array.reshape(shape) if array is not None and array.size >= _MANY else None
    except ValueError:  # orjson.JSONDecodeError is one
        array = None
    memory.release(memory.held - before)
    if array is not None:
        memory.hold(array.nbytes + 8 * array.size)
    return array


def _pieces(body: bytes, start: int, end: int) -> Iterator[bytes]:
    """Yield a part of a body in pieces, split at commas.

    Raises:
        ValueError: a piece has no comma.
    """
    while start < end:
        stop = body.rfind(b",", start, start + _PIECE) if start + _PIECE < end else end
        if stop < 0:
            raise ValueError
        yield body[start:stop]
        start = stop + 1


def _brackets(body: bytes, start: int, end: int, memory: Reservation) -> bytes:
    """Return a part of a body without its numbers.

    Raises:
        ValueError: a comma is missing between a number and a bracket.
    """
    found = []
    for piece in _pieces(body, start, end):
        marks = _without_words(piece, b"1").translate(_ONES, _BLANK)
        if b"1[" in marks or b"]1" in marks:
            raise ValueError
        found.append(marks.translate(None, b"1"))
        memory.hold(2 * len(found[-1]))  # _shape builds a copy to compare with
    size = sum(map(len, found))
    memory.hold(size)
    return b",".join(found)


def _without_words(text: bytes, other: bytes) -> bytes:
    """Return the text with ``other`` for NaN and the infinities."""
    if b"I" in text:
        text = text.replace(b"-Infinity", other).replace(b"Infinity", other)
    return text.replace(b"NaN", other)


def _numbers(body: bytes, start: int, end: int, memory: Reservation) -> NDArray[Any] | None:
    """Return the numbers in order; None if one is larger than 64 bits.

    Raises:
        ValueError: something else is between them.
    """
    pieces = []
    for piece in _pieces(body, start, end):
        plain = _without_words(piece, b"null")
        values = orjson.loads(b"[%b]" % plain.translate(_BLANKS))
        if plain != piece:
            numbers = np.array(values, np.float64)  # NaN for null
            if b"I" in piece:
                numbers[np.isnan(numbers)] = [float(word) for word in _WORDS.findall(piece)]
        else:
            numbers = np.array(values)
            if numbers.dtype == np.int64:
                numbers = numbers.astype(_smallest(numbers))
            elif numbers.dtype != np.float64 or not (b"." in piece or b"e" in piece or b"E" in piece):
                return None  # whole numbers beyond 64 bits became fractions
        memory.hold(numbers.nbytes)
        pieces.append(numbers)
    dtype = np.result_type(*pieces)
    memory.hold(sum(map(len, pieces)) * dtype.itemsize)
    return np.concatenate(pieces, dtype=dtype)


def _smallest(numbers: NDArray[Any]) -> np.dtype[Any]:
    """Return the smallest signed type for whole numbers."""
    return np.result_type(np.min_scalar_type(min(numbers.min(), -1)), np.min_scalar_type(min(-numbers.max() - 1, -1)))


def _shape(brackets: bytes) -> list[int] | None:
    """Return the shape of the array with these brackets and commas; None if it is irregular."""
    rank = len(brackets) - len(brackets.lstrip(b"["))
    if rank > MAX_RANK:  # each axis takes one more pass
        return None
    inner, shape = b"", []
    for depth in range(1, rank + 1):
        end = brackets.find(b"]" * depth) + depth
        start = rank - depth
        count = (end - start - 2 + 1) // (len(inner) + 1)
        inner = b"[%b]" % ((inner + b",") * (count - 1) + inner)
        if end < depth or brackets[start:end] != inner:
            return None
        shape.append(count)
    return shape[::-1] if inner == brackets else None
