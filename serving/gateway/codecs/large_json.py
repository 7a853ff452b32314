"""JSON bodies, read within the memory budget.

A thread that reads a large one leaves the processor to others.

No JSON library does: each holds Python's global lock from the first byte to the last, and the millions of lists of a
nested array keep the garbage collector busy besides. 35 MB of ``[[[[1],[2],…`` held all other requests for three to six
seconds, in a thread or not. Here the long arrays of numbers are read in pieces of some milliseconds and become NumPy
arrays without ever having been lists (0.6 s on two cores). The rest is left to orjson, which holds the lock for some
50 ms at most, because the rest may hold only so many values.
"""

import re
import secrets
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray

from serving.gateway.errors import TooLarge
from serving.gateway.http.memory_budget import Reservation
from serving.tfs_api.rest_json import documents
from serving.tfs_api.rest_json.numbers import MAX_RANK

Made = TypeVar("Made")

#: Bodies from here on are read in a thread: orjson takes two milliseconds for as many bytes of numbers.
LARGE = 262_144
_LONG = 4096  # bytes of an array that is worth the trouble
_MANY_LISTS = 256  # in the first so many bytes
_MANY = 512  # numbers in it; lists of fewer, such as a shape among many blanks, stay lists
_PIECE = 65_536  # bytes: about a millisecond
_BLANK = b" \t\r\n"
_ONES = bytes.maketrans(b"0123456789+-.eE", b"1" * 15)
_BLANKS = bytes.maketrans(b"[]", b"  ")
_WORDS = re.compile(rb"-?Infinity|NaN")

# How many values a body may hold outside of arrays of numbers, and what they weigh in time: 500,000 take orjson 50 ms.
_MOST_VALUES = 500_000
_MOST_WITH_WORDS = 1_000_000  # bytes for Python's own parser, which takes as long
_WHILE_READ = 2  # times as much as what is made of a large body: orjson's own tree, copies, conversion to arrays


async def aside(memory: Reservation, size: int, function: Callable[..., Made], *arguments: object) -> Made:
    """What the function makes of a body of ``size`` bytes: here and now of a small one, in a thread of a large one."""
    if size < LARGE:
        return function(*arguments)
    return await memory.run(function, *arguments)


def is_worth_arrays(body: bytes) -> bool:
    """Whether to read a body by :func:`loads`, not :func:`exact`.

    For large bodies, so that others have the processor in between, and for medium ones of short lists, such as pixels:
    there it takes half the time and a tenth of the memory.
    """
    return len(body) >= LARGE or (len(body) >= _LONG and body.count(b"[", 0, _LONG) > _MANY_LISTS)


def loads(body: bytes, memory: Reservation) -> tuple[Any, bool]:
    """A body's value, and whether all numbers in it are finite.

    NaN, Infinity and -Infinity are read too. An array stands in place of each long regular list of numbers under a key:
    whole numbers in the smallest signed type that holds them, or float64 where a number in it is a fraction.

    Raises:
        orjson.JSONDecodeError: no JSON.
        TooLarge: more values outside of regular arrays of numbers than a body can need.
        Overloaded: the memory budget is used up.
    """
    _check_values(documents.count_marks(body, (b'"',)))  # before the search for arrays, which passes every string
    arrays: dict[str, NDArray[Any]] = {}
    parts = []
    done = 0
    finite = True
    for start, end in _candidates(body):
        array = _array(body, start, end, memory)
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
        except orjson.JSONDecodeError:  # where the whole is wrong, it says at which byte
            placed = 0
        memory.release(len(rest))
        if placed == len(arrays):  # else one stood inside a string, or where no array is expected
            return value, finite and all_finite
    return exact(body, memory)


def exact(body: bytes, memory: Reservation) -> tuple[Any, bool]:
    """As :func:`loads`, without arrays."""
    memory.hold(_cost(body))
    try:
        return orjson.loads(body), True
    except orjson.JSONDecodeError as error:
        if not documents.stops_at_word(error):
            raise
        if len(body) > _MOST_WITH_WORDS:
            raise TooLarge(
                f"the body has {len(body)} bytes and NaN or Infinity outside of its regular arrays of numbers; "
                f"at most {_MOST_WITH_WORDS} bytes are accepted then"
            ) from None
        return _with_words(body), False


def _cost(body: bytes) -> int:
    """Return the most bytes of memory that reading a body takes.

    Raises:
        TooLarge: so many values that they would hold the global lock for too long.
    """
    made = documents.memory(body)
    if len(body) < LARGE:
        return made
    _check_values(documents.count_marks(body, (b",", b"[", b"{", b'"')))
    return _WHILE_READ * made


def _with_words(body: bytes) -> Any:
    """Return the value of a document with NaN or Infinity, or None if it is no JSON."""
    try:
        return documents.loads_with_words(body)
    except (ValueError, RecursionError):
        return None


def _check_values(counts: dict[bytes, int]) -> None:
    """Refuse more values than orjson reads in 50 ms.

    Lists and strings take it twice as long as numbers, objects eight times.
    """
    objects, lists, quotes = counts.get(b"{", 0), counts.get(b"[", 0), counts.get(b'"', 0)
    values = counts.get(b",", 0) + 2 * lists + quotes + 8 * objects
    if values > _MOST_VALUES:
        raise TooLarge(
            f"the body has {values} values outside of regular arrays of numbers; at most {_MOST_VALUES} are accepted, "
            "where a list or string counts as 2 and an object as 8"
        )


def _candidates(body: bytes) -> list[tuple[int, int]]:
    """Where a long array may stand: from a quote and a colon to the last bracket before the next quote or brace."""
    found = []
    quote = body.find(b'"')
    while quote >= 0:
        end = body.find(b'"', quote + 1)
        stop = end if end >= 0 else len(body)
        if stop - quote > _LONG:
            head = body[quote + 1 : quote + 65].lstrip(_BLANK)
            start = body.find(b"[", quote, stop)  # no further: of many strings each would look through all
            if start >= 0 and head[:1] == b":" and head[1:].lstrip(_BLANK)[:1] == b"[":
                brace = body.find(b"}", start, stop)
                last = body.rfind(b"]", start, brace if brace >= 0 else stop) + 1
                if last - start > _LONG:
                    found.append((start, last))
        quote = end
    return found


def _array(body: bytes, start: int, end: int, memory: Reservation) -> NDArray[Any] | None:
    """The array in a part of a body. None if it is irregular or not numbers alone.

    The array stays reserved, with as much for each number as conversion to another type takes.
    """
    before = memory.held
    array = None
    try:
        shape = _shape(_brackets(body, start, end, memory))
        if shape is not None:
            array = _numbers(body, start, end, memory)
            array = array.reshape(shape) if array is not None and array.size >= _MANY else None
    except ValueError:  # orjson's is one
        array = None
    memory.release(memory.held - before)
    if array is not None:
        memory.hold(array.nbytes + 8 * array.size)
    return array


def _pieces(body: bytes, start: int, end: int) -> Iterator[bytes]:
    """This part of a body in pieces, split at commas.

    Raises:
        ValueError: there is no comma for longer than a piece.
    """
    while start < end:
        stop = body.rfind(b",", start, start + _PIECE) if start + _PIECE < end else end
        if stop < 0:
            raise ValueError
        yield body[start:stop]
        start = stop + 1


def _brackets(body: bytes, start: int, end: int, memory: Reservation) -> bytes:
    """All but the numbers.

    Raises:
        ValueError: a number stands beside a bracket where a comma is missing.
    """
    found = []
    for piece in _pieces(body, start, end):
        marks = _without_words(piece, b"1").translate(_ONES, _BLANK)
        if b"1[" in marks or b"]1" in marks:
            raise ValueError
        found.append(marks.translate(None, b"1"))
        memory.hold(2 * len(found[-1]))  # :func:`_shape` compares it with another
    size = sum(map(len, found))
    memory.hold(size)
    return b",".join(found)


def _without_words(text: bytes, other: bytes) -> bytes:
    """The text with something else for NaN and the infinities.

    The text itself if none is in it.
    """
    if b"I" in text:
        text = text.replace(b"-Infinity", other).replace(b"Infinity", other)
    return text.replace(b"NaN", other)


def _numbers(body: bytes, start: int, end: int, memory: Reservation) -> NDArray[Any] | None:
    """The numbers in order; None where one is larger than 64 bits.

    Raises:
        ValueError: something else stands between them.
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
    return np.result_type(np.min_scalar_type(min(numbers.min(), -1)), np.min_scalar_type(min(-numbers.max() - 1, -1)))


def _shape(brackets: bytes) -> list[int] | None:
    """The shape of which these are the brackets and commas; None where they are those of no regular array."""
    rank = len(brackets) - len(brackets.lstrip(b"["))
    if rank > MAX_RANK:  # each axis takes a look at all of them
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


def _with_arrays(value: Any, arrays: dict[str, NDArray[Any]]) -> tuple[Any, int]:
    """The value with the arrays under their keys, as deep as requests have them; and how many there were."""
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
