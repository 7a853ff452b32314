"""What both ends of a gRPC call write: messages with their prefix, status codes, and a status's words in a header.

Source: grpc/doc/statuscodes.md and PROTOCOL-HTTP2.md.
"""

from enum import IntEnum
from urllib.parse import quote, unquote

_AS_IT_IS = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


PREFIX = 5
"""Bytes before a message: whether it is compressed, and its length."""


def prefixed(message: bytes) -> bytes:
    """A message as it stands in a body, not compressed."""
    return b"\0" + len(message).to_bytes(4, "big") + message


class Code(IntEnum):
    """Status codes, the same in gRPC and in tensorflow.error.Code."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


def code(number: str | int) -> Code:
    """The code of a number; UNKNOWN for those that are none."""
    try:
        return Code(int(number))
    except ValueError:
        return Code.UNKNOWN


def to_header(message: str) -> str:
    """A message as ``grpc-message`` has it, percent-encoded."""
    return quote(message, safe=_AS_IT_IS)


def from_header(text: str) -> str:
    """The message that a ``grpc-message`` holds; bytes that are no UTF-8 become �."""
    return unquote(text, errors="replace")
