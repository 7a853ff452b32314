"""What both ends of a gRPC call write: messages with their prefix, and a status's words in a header.

Source: grpc/doc/PROTOCOL-HTTP2.md.
"""

from urllib.parse import quote, unquote

_AS_IT_IS = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


PREFIX = 5
"""Bytes before a message: whether it is compressed, and its length."""


def prefixed(message: bytes) -> bytes:
    """A message as it stands in a body, not compressed."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def to_header(message: str) -> str:
    """A message as ``grpc-message`` has it, percent-encoded."""
    return quote(message, safe=_AS_IT_IS)


def from_header(text: str) -> str:
    """The message that a ``grpc-message`` holds; bytes that are no UTF-8 become �."""
    return unquote(text, errors="replace")
