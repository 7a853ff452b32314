"""``{"b64": "…"}``: bytes inside JSON, as TensorFlow Serving's REST interface writes them. The standard alphabet."""

import binascii
from typing import Any

from serving.gateway.errors import BadDocument


def is_bytes(value: Any) -> bool:
    """Whether a JSON value is the ``{"b64": "…"}`` form of bytes."""
    return isinstance(value, dict) and value.keys() == {"b64"}


def decode(text: Any) -> bytes:
    """The bytes that the text stands for.

    Raises:
        BadDocument: not a string, or not base64.
    """
    if not isinstance(text, str):
        raise BadDocument(f'the value of "b64" must be a string of base64, not {kind(text)}')
    try:
        return binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise BadDocument(f'the value of "b64" is not base64 of the standard alphabet: {error}') from None


def kind(value: Any) -> str:
    """What a JSON value is, for a sentence."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
