"""JSON as RapidJSON 1.1 reads and writes it, which TensorFlow Serving uses.

Beyond JSON's own grammar ``NaN``, ``Inf`` and ``Infinity`` are numbers, and strings need not be UTF-8: bytes that are
not stand in a ``str`` as surrogates (``surrogateescape``). Errors have RapidJSON's texts and offsets. Floats are
written as tensorflow_serving/util/json_tensor.cc does: six digits if they say it all, else as many as are needed, and
always with a point or an exponent.
"""

import codecs
import itertools
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import orjson

from serving.tfs_api.tensors import Array

_SHOWN = 1024  # items of a value in an error, which is cut after as many characters
_DEEPEST = 300  # RapidJSON knows no limit but its stack
_WHITESPACE = re.compile(rb"[ \n\r\t]*")
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
_HEX = re.compile(rb"[0-9A-Fa-f]{4}")
_WORDS = ((b"null", None), (b"true", True), (b"false", False))
_ESCAPES = dict(zip(b'"\\/bfnrt', b'"\\/\b\f\n\r\t', strict=True))
_TO_ESCAPE = re.compile(r'["\\\x00-\x1f]')
_ESCAPED = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class ParseError(ValueError):
    """The text and offset that RapidJSON has for it."""

    def __init__(self, text: str, offset: int) -> None:
        super().__init__(f"{text} at offset: {offset}")


def parse(data: bytes) -> Any:
    """The value that a document holds.

    Raises:
        ParseError: it is no JSON.
    """
    try:
        return orjson.loads(data.removeprefix(codecs.BOM_UTF8))  # takes what JSON's grammar says, and no more
    except orjson.JSONDecodeError:
        return _Reader(data).document()


def decimals(values: Array) -> list[str]:
    """The texts of floats, in row-major order."""
    flat = values.ravel()
    wide = flat.astype(np.float64).tolist()
    texts = [f"{value:.6g}" for value in wide]
    exact = np.array([float(text) for text in texts]).astype(flat.dtype) == flat
    digits = 9 if flat.dtype == np.float32 else 17
    for place in np.flatnonzero(~exact).tolist():
        texts[place] = _token(wide[place]) or f"{wide[place]:.{digits}g}"
    return [_token(value) or _with_point(text) for value, text in zip(wide, texts, strict=True)]


def string(text: str) -> str:
    """A string in quotation marks."""
    return f'"{_TO_ESCAPE.sub(_escape, text)}"'


def show(value: Any, indent: int = 0) -> str:
    """A value as it stands in an error's text: pretty, by four blanks."""
    if isinstance(value, dict):
        some = itertools.islice(value.items(), _SHOWN)
        return lines("{}", [f"{string(key)}: {show(item, indent + 1)}" for key, item in some], indent)
    if isinstance(value, list):
        return lines("[]", [show(item, indent + 1) for item in value[:_SHOWN]], indent)
    if isinstance(value, float):
        fits = abs(value) <= float(np.finfo(np.float32).max)
        return decimals(np.array([value], np.float32 if fits else np.float64))[0]
    if isinstance(value, str):
        return string(value)
    return "null" if value is None else str(value).lower()


def lines(brackets: str, items: Sequence[str], indent: int) -> str:
    """An object or array of items that are texts already, one on each line; ``indent`` is how deep it stands itself."""
    if not items:
        return brackets
    inner, outer = "\n" + "    " * (indent + 1), "\n" + "    " * indent
    return brackets[0] + inner + ("," + inner).join(items) + outer + brackets[1]


def nested(leaves: Sequence[str], shape: Iterable[int]) -> list[str]:
    """Texts of arrays of the shape, each on one line, made of the leaves in row-major order."""
    texts = list(leaves)
    sizes = list(shape)
    for axis in range(len(sizes) - 1, -1, -1):
        size = sizes[axis]
        if size == 0:
            return nested(["[]"] * math.prod(sizes[:axis]), sizes[:axis])
        texts = [f"[{', '.join(texts[start : start + size])}]" for start in range(0, len(texts), size)]
    return texts


def _token(value: float) -> str:
    if math.isfinite(value):
        return ""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _with_point(text: str) -> str:
    return text if "." in text or "e" in text else text + ".0"


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    return _ESCAPED.get(character) or f"\\u{ord(character):04X}"


class _Reader:
    """Reads one document, slowly; a zero byte ends it."""

    def __init__(self, data: bytes) -> None:
        data = data.removeprefix(codecs.BOM_UTF8)
        end = data.find(b"\0")
        self._data = data if end < 0 else data[:end]
        self._at = 0

    def document(self) -> Any:
        if not self._next():
            raise ParseError("The document is empty.", self._at)
        value = self._value(0)
        if self._next():
            raise ParseError("The document root must not be followed by other values.", self._at)
        return value

    def _next(self) -> bytes:
        """The next byte that is no blank, not taken yet."""
        match = _WHITESPACE.match(self._data, self._at)
        assert match
        self._at = match.end()
        return self._peek()

    def _peek(self) -> bytes:
        return self._data[self._at : self._at + 1]

    def _take(self, expected: bytes) -> bool:
        taken = self._peek() == expected
        self._at += taken
        return taken

    def _value(self, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ParseError(f"Nested deeper than {_DEEPEST} levels.", self._at)
        first = self._peek()
        if first == b"{":
            return self._object(depth)
        if first == b"[":
            return self._array(depth)
        if first == b'"':
            return self._string()
        for word, value in _WORDS:
            if first == word[:1]:
                self._word(word)
                return value
        return self._number()

    def _object(self, depth: int) -> dict[str, Any]:
        self._at += 1
        found: dict[str, Any] = {}
        if self._next() == b"}":
            self._at += 1
            return found
        while True:
            if self._next() != b'"':
                raise ParseError("Missing a name for object member.", self._at)
            name = self._string()
            if self._next() != b":":
                raise ParseError("Missing a colon after a name of object member.", self._at)
            self._at += 1
            self._next()
            value = self._value(depth + 1)
            found.setdefault(name, value)
            following = self._next()
            if following not in (b",", b"}"):
                raise ParseError("Missing a comma or } after an object member.", self._at)
            self._at += 1
            if following == b"}":
                return found

    def _array(self, depth: int) -> list[Any]:
        self._at += 1
        found: list[Any] = []
        if self._next() == b"]":
            self._at += 1
            return found
        while True:
            self._next()
            found.append(self._value(depth + 1))
            following = self._next()
            if following not in (b",", b"]"):
                raise ParseError("Missing a comma or ] after an array element.", self._at)
            self._at += 1
            if following == b"]":
                return found

    def _word(self, word: bytes) -> None:
        for place in range(len(word)):
            if not self._take(word[place : place + 1]):
                raise ParseError("Invalid value.", self._at)

    def _number(self) -> int | float:
        start = self._at
        match = _NUMBER.match(self._data, start)
        if match is None:
            return self._no_digits()
        self._at = match.end()
        following = self._peek()
        if following == b"." and match[1] is None and match[2] is None:
            raise ParseError("Miss fraction part in number.", self._at + 1)
        if following in (b"e", b"E") and match[2] is None:
            sign = self._data[self._at + 1 : self._at + 2] in (b"+", b"-")
            raise ParseError("Miss exponent in number.", self._at + 1 + sign)
        if match[1] is None and match[2] is None:
            whole = int(match[0]) if len(match[0]) < 400 else 10**400
            if -(2**63) <= whole < 2**64:
                return whole
        number = float(match[0])
        if not math.isfinite(number):
            raise ParseError("Number too big to be stored in double.", start)
        return number

    def _no_digits(self) -> float:
        sign = -1.0 if self._take(b"-") else 1.0
        if self._peek() == b"N":
            self._word(b"NaN")
            return math.nan
        if self._peek() == b"I":
            self._word(b"Inf")
            if self._peek() == b"i":
                self._word(b"inity")
            return sign * math.inf
        raise ParseError("Invalid value.", self._at)

    def _string(self) -> str:
        self._at += 1
        parts: list[bytes] = []
        while True:
            match = _PLAIN.match(self._data, self._at)
            assert match
            parts.append(match[0])
            self._at = match.end()
            following = self._peek()
            if following == b'"':
                self._at += 1
                return b"".join(parts).decode("utf-8", "surrogateescape")
            if not following:
                raise ParseError("Missing a closing quotation mark in string.", self._at)
            if following != b"\\":
                raise ParseError("Invalid escape character in string.", self._at)
            parts.append(self._escaped())

    def _escaped(self) -> bytes:
        start = self._at
        kind = self._data[start + 1 : start + 2]
        self._at += 2
        if kind and kind[0] in _ESCAPES:
            return bytes([_ESCAPES[kind[0]]])
        if kind != b"u":
            raise ParseError("Invalid escape character in string.", start)
        code = self._hex(start)
        if 0xD800 <= code <= 0xDBFF:
            if self._data[self._at : self._at + 2] != b"\\u":
                raise ParseError("The surrogate pair in string is invalid.", start)
            self._at += 2
            low = self._hex(start)
            if not 0xDC00 <= low <= 0xDFFF:
                raise ParseError("The surrogate pair in string is invalid.", start)
            code = ((code - 0xD800) << 10 | (low - 0xDC00)) + 0x10000
        return chr(code).encode("utf-8", "surrogatepass")

    def _hex(self, start: int) -> int:
        match = _HEX.match(self._data, self._at)
        if match is None:
            raise ParseError("Incorrect hex digit after \\u escape in string.", start)
        self._at = match.end()
        return int(match[0], 16)
