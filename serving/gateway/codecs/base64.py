"""``{"b64": "…"}``: bytes inside JSON, as TensorFlow Serving's REST interface writes them, and data URLs. The standard
alphabet; as there (absl/strings/escaping.h, Base64Unescape) in lines or not, and with or without its padding."""

import binascii
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from serving.gateway.errors import BadDocument

_BLANKS = b" \t\n\v\f\r"
_LONGEST_HEAD = 1024  # characters of a data URL before its data
_ESCAPED = {"%2B": "+", "%2F": "/", "%3D": "=", "%0D": "", "%0A": "", "%20": ""}
_PIECE = 262_144  # characters: about a millisecond; a longer call would hold up other requests
_DATA = re.compile(r"\s*data:", re.IGNORECASE)
_DATA_URL = re.compile(r"\s*data:[^,]*; *base64 *,", re.IGNORECASE)


def is_bytes(value: Any) -> bool:
    """Whether a JSON value is the ``{"b64": "…"}`` form of bytes."""
    return isinstance(value, dict) and value.keys() == {"b64"}


def decode(text: Any, what: str = 'the value of "b64"') -> bytes:
    """The bytes that the text stands for.

    Raises:
        BadDocument: not a string, or not base64; ``what`` is said.
    """
    if not isinstance(text, str):
        raise BadDocument(f"{what} must be a string of base64, not {kind(text)}")
    try:
        if len(text) <= _PIECE:
            return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:  # mostly it is as written by b64encode, so it is looked at more closely only now
        pass
    return _decoded(_pieces(text), what)


def _pieces(text: str, start: int = 0) -> Iterator[str]:
    """The text from ``start`` on in pieces; none ends within a percent escape."""
    while start < len(text):
        stop = start + _PIECE
        escape = text.find("%", stop - 2, stop)
        stop = escape if escape > start else stop
        yield text[start:stop]
        start = stop


def _decoded(pieces: Iterator[str], what: str) -> bytes:
    made = []
    rest = b""
    try:
        for piece in pieces:
            rest += piece.encode("ascii").translate(None, _BLANKS)  # a regular expression takes ten times as long
            whole = max(0, len(rest) - 4) // 4 * 4  # padding stands in the last four letters
            if b"=" in rest[:whole]:
                raise ValueError("padding stands before its end")
            made.append(binascii.a2b_base64(rest[:whole], strict_mode=True))
            rest = rest[whole:]
        made.append(binascii.a2b_base64(rest if b"=" in rest else rest + b"=" * (-len(rest) % 4), strict_mode=True))
    except UnicodeEncodeError:
        raise BadDocument(f"{what} is not base64 of the standard alphabet: it has letters beyond ASCII") from None
    except ValueError as error:
        raise BadDocument(f"{what} is not base64 of the standard alphabet: {error}") from None
    return b"".join(made)


def data_url(text: Any) -> bytes:
    """The bytes in a data URL such as ``data:image/png;base64,…`` (RFC 2397).

    Its head is in any case, its data percent-encoded or not.

    Raises:
        BadDocument: it is none, or not in base64.
    """
    head = _DATA_URL.match(text, 0, _LONGEST_HEAD) if isinstance(text, str) else None
    if head is None:
        given = repr(text[:40]) if isinstance(text, str) else kind(text)
        raise BadDocument(f"a data URL of a picture is expected, such as data:image/png;base64,…, not {given}")
    return _decoded(map(_unescaped, _pieces(text, head.end())), "the data URL")


def _unescaped(text: str) -> str:
    if "%" in text:
        for escape, character in _ESCAPED.items():
            text = text.replace(escape, character).replace(escape.lower(), character)
    return text


def picture(text: Any) -> bytes:
    """The bytes of a picture in base64, or in a data URL.

    Raises:
        BadDocument: neither.
    """
    return data_url(text) if isinstance(text, str) and _DATA.match(text, 0, _LONGEST_HEAD) else decode(text)


def kind(value: Any) -> str:
    """What a JSON value is, for a sentence."""
    names = {
        dict: "an object",
        list: "a list",
        np.ndarray: "a list",
        str: "a string",
        bool: "true or false",
        type(None): "null",
    }
    return names.get(type(value), "a number")
