"""Large JSON bodies, read so that a thread which reads one leaves the processor to others in between.

No JSON library does: each holds Python's global lock from the first byte to the last, and the millions of lists of a
nested array keep the garbage collector busy besides. 35 MB of ``[[[[1],[2],…`` held all other requests for three to six
seconds, in a thread or not. Here the long arrays of numbers are read in pieces of some milliseconds and become NumPy
arrays without ever having been lists (0.6 s on two cores); the rest, which is short, is left to orjson.
"""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray

from serving.gateway.decode.numbers import MAX_RANK
from serving.gateway.errors import TooLarge

Made = TypeVar("Made")

#: Bodies from here on are read in a thread: orjson takes two milliseconds for as many bytes of numbers.
LARGE = 262_144
_LONG = 16_384  # bytes of an array that is worth the trouble
_PIECE = 65_536  # bytes: about a millisecond
_BLANK = b" \t\r\n"
_ONES = bytes.maketrans(b"0123456789+-.eE", b"1" * 15)
_BLANKS = bytes.maketrans(b"[]", b"  ")
_MOST_PARTS = 250_000  # lists, objects and strings, outside of arrays of numbers: they take .15 s


async def aside(threads: Executor, size: int, function: Callable[..., Made], *arguments: object) -> Made:
    """What the function makes of a body of ``size`` bytes: here and now of a small one, in a thread of a large one."""
    if size < LARGE:
        return function(*arguments)
    return await asyncio.get_running_loop().run_in_executor(threads, function, *arguments)


def loads(body: bytes) -> Any:
    """The body's value, with an array in place of each long regular list of numbers that stands under a key: int64, or
    float64 where a number in it is a fraction.

    Raises:
        orjson.JSONDecodeError: no JSON.
        TooLarge: more lists, objects and strings than a body can need.
    """
    _check_parts(body.count(b'"') // 2)  # before it is looked for arrays, which stand between the strings
    arrays: dict[str, NDArray[Any]] = {}
    parts = []
    done = 0
    for start, end in _candidates(body):
        array = _array(body[start:end])
        if array is not None:
            name = secrets.token_hex(16)
            parts += [body[done:start], b'"', name.encode("ascii"), b'"']
            done = end
            arrays[name] = array
    if arrays:
        try:
            value, placed = _with_arrays(exact(b"".join([*parts, body[done:]])), arrays)
        except orjson.JSONDecodeError:  # where the whole is wrong, it says at which byte
            placed = 0
        if placed == len(arrays):  # else one stood inside a string, or where no array is expected
            return value
    return exact(body)


def exact(body: bytes) -> Any:
    """As orjson has it. Raises as :func:`loads`."""
    if len(body) > _MOST_PARTS:
        _check_parts(body.count(b"[") + body.count(b"{") + body.count(b'"') // 2)
    return orjson.loads(body)


def _check_parts(parts: int) -> None:
    if parts > _MOST_PARTS:
        raise TooLarge(
            f"the body has {parts} lists, objects and strings; at most {_MOST_PARTS} are accepted, "
            "but for those of regular arrays of numbers"
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
            start = body.find(b"[", quote)
            if head[:1] == b":" and head[1:].lstrip(_BLANK)[:1] == b"[":
                brace = body.find(b"}", start, stop)
                last = body.rfind(b"]", start, brace if brace >= 0 else stop) + 1
                if last - start > _LONG:
                    found.append((start, last))
        quote = end
    return found


def _array(text: bytes) -> NDArray[Any] | None:
    """The array that a text of brackets, commas and numbers stands for; None where it is another, or not regular."""
    pieces, brackets = [], []
    place = 0
    try:
        while place < len(text):
            end = text.rfind(b",", place, place + _PIECE) if place + _PIECE < len(text) else len(text)
            if end < 0:
                return None
            piece = text[place:end]
            marks = piece.translate(_ONES, _BLANK)
            brackets.append(marks.translate(None, b"1"))
            numbers = np.array(orjson.loads(b"[%b]" % piece.translate(_BLANKS)))
            if b"1[" in marks or b"]1" in marks or not _is_exact(numbers, piece):
                return None
            pieces.append(numbers)
            place = end + 1
        shape = _shape(b",".join(brackets))
        return None if shape is None else np.concatenate(pieces).reshape(shape)
    except ValueError:  # orjson's is one
        return None


def _is_exact(numbers: NDArray[Any], text: bytes) -> bool:
    """Whether the type lost nothing: whole numbers beyond 64 bits became fractions."""
    if numbers.dtype == np.float64:
        return b"." in text or b"e" in text or b"E" in text
    return numbers.dtype == np.int64


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
        inner = b"[%b]" % b",".join([inner] * count)
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
