"""Protobuf's wire format, for messages that are measured before they are decoded.

Source: https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterator

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_FIXED = {FIXED64: 8, FIXED32: 4}


class Malformed(Exception):
    """The bytes are not a message."""


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the varint at a position, and the position behind it.

    Raises:
        Malformed: it does not end before ``end``, or takes more than ten bytes.
    """
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise Malformed


def fields(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield for each field of a message: number, where it starts, where its value starts, where it ends.

    Raises:
        Malformed: the bytes are not a message, or one with groups.
    """
    at = 0
    while at < len(data):
        start = at
        key, at = varint(data, at, len(data))
        wire_type = key & 7
        value = at
        if wire_type == LENGTH:
            size, value = varint(data, at, len(data))
            at = value + size
        elif wire_type == VARINT:
            _, at = varint(data, at, len(data))
        elif wire_type in _FIXED:
            at += _FIXED[wire_type]
        else:
            raise Malformed
        if at > len(data):
            raise Malformed
        yield key >> 3, start, value, at
