"""Base64 in request bodies: ``{"b64": "…"}``, and data URLs."""

import re
from typing import Any

from serving.gateway.errors import BadDocument
from serving.tfs_api.rest_json import base64
from serving.tfs_api.rest_json.errors import BadBase64, json_type

_LONGEST_HEAD = 1024  # characters of a data URL before its data
_ESCAPED = {"%2B": "+", "%2F": "/", "%3D": "=", "%0D": "", "%0A": "", "%20": ""}
_DATA = re.compile(r"\s*data:", re.IGNORECASE)
_DATA_URL = re.compile(r"\s*data:[^,]*; *base64 *,", re.IGNORECASE)


def decode(text: Any, what: str = 'the value of "b64"') -> bytes:
    """Return the bytes of base64 text.

    Raises:
        BadDocument: it is not a string of base64; the message calls it ``what``.
    """
    try:
        return base64.decode(text, what)
    except BadBase64 as error:
        raise BadDocument(str(error)) from None


def data_url(text: Any) -> bytes:
    """Return the bytes in a data URL such as ``data:image/png;base64,…`` (RFC 2397).

    The scheme may be in any case, the data percent-encoded or not.

    Raises:
        BadDocument: it is not a data URL, or its data is not base64.
    """
    head = _DATA_URL.match(text, 0, _LONGEST_HEAD) if isinstance(text, str) else None
    if head is None:
        given = repr(text[:40]) if isinstance(text, str) else json_type(text)
        raise BadDocument(f"a picture must be a data URL, such as data:image/png;base64,…, not {given}")
    try:
        return base64.decode_pieces(map(_unescaped, base64.pieces(text, head.end())), "the data URL")
    except BadBase64 as error:
        raise BadDocument(str(error)) from None


def picture(text: Any) -> bytes:
    """Return the bytes of a picture in base64, or in a data URL.

    Raises:
        BadDocument: it is neither.
    """
    return data_url(text) if isinstance(text, str) and _DATA.match(text, 0, _LONGEST_HEAD) else decode(text)


def _unescaped(text: str) -> str:
    if "%" in text:
        for escape, character in _ESCAPED.items():
            text = text.replace(escape, character).replace(escape.lower(), character)
    return text
