"""Errors in a request's JSON.

    RestJsonError
    ├── BadBase64      text is not base64
    ├── WrongKind      a value is of another kind than the tensor
    ├── Ragged         lists of one depth have different sizes
    ├── NumberTooLarge a number does not fit the tensor's type
    ├── NotExact       the tensor's float type cannot hold a whole number exactly
    ├── Unnamed        a signature with several inputs needs names
    ├── RowNames       a row has other names than the first one
    ├── UnknownInput   the signature has no such input
    └── BadExample     a JSON value is not a tf.Example

The message is a complete sentence. ``index`` is the position of the wrong value in the flattened tensor.
"""

from typing import Any

import numpy as np


def json_type(value: Any) -> str:
    """Return the name of a JSON value's type, for messages."""
    names = {
        dict: "an object",
        list: "a list",
        np.ndarray: "a list",
        str: "a string",
        bool: "true or false",
        type(None): "null",
    }
    return names.get(type(value), "a number")


class RestJsonError(ValueError):
    """The JSON of a request is wrong."""


class BadBase64(RestJsonError):
    """Text is not base64 of the standard alphabet."""


class WrongKind(RestJsonError):
    """A value is of another kind than the tensor.

    Attributes:
        value: the wrong value.
        index: its position in the flattened tensor.
    """

    def __init__(self, name: str, expected: str, value: Any, index: int) -> None:
        given = f"the number {value}" if type(value) in (int, float) else json_type(value)
        super().__init__(f"input {name} must hold {expected}, but {given} is in it")
        self.expected = expected
        self.value = value
        self.index = index


class Ragged(RestJsonError):
    """Lists of one depth have different sizes.

    Attributes:
        depth: the list's depth, 0 for the outermost.
        size: the expected size.
        found: the size of the list, or None for a value that is not a list.
    """

    def __init__(self, message: str, depth: int, size: int, found: int | None) -> None:
        super().__init__(message)
        self.depth = depth
        self.size = size
        self.found = found


class NumberTooLarge(RestJsonError):
    """A number does not fit the tensor's type."""

    def __init__(self, message: str, value: Any, index: int) -> None:
        super().__init__(message)
        self.value = value
        self.index = index


class NotExact(RestJsonError):
    """The tensor's float type cannot hold a whole number exactly."""

    def __init__(self, name: str, value: int, index: int) -> None:
        super().__init__(f"input {name} holds the whole number {value}, which its type cannot hold exactly")
        self.value = value
        self.index = index


class Unnamed(RestJsonError):
    """A signature with several inputs needs a name for each of them."""


class RowNames(RestJsonError):
    """A row has other names than the first one, or none."""

    def __init__(self, row: int) -> None:
        super().__init__(f"element {row} of 'instances' has other names than element 0")
        self.row = row


class UnknownInput(RestJsonError):
    """The signature has no such input."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the signature has no input {name!r}")
        self.name = name


class BadExample(RestJsonError):
    """A JSON value is not a ``tf.Example``."""
