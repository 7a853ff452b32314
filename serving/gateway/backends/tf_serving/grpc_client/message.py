"""gRPC's length-prefixed messages, without compression.

Source: grpc/doc/PROTOCOL-HTTP2.md.
"""

PREFIX_SIZE = 5
"""Bytes before a message: the compression flag and the length."""


def encode(message: bytes) -> bytes:
    """Add the prefix to a message."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def decode(body: bytes) -> bytes:
    """Return the single message in a body.

    Raises:
        ValueError: the body does not hold exactly one uncompressed message.
    """
    if len(body) < PREFIX_SIZE or body[0] or len(body) != PREFIX_SIZE + int.from_bytes(body[1:PREFIX_SIZE], "big"):
        raise ValueError(f"the response body of {len(body)} bytes is not exactly one uncompressed gRPC message")
    return body[PREFIX_SIZE:]
