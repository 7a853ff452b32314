"""Count the elements of a message before it is decoded.

An empty string takes two bytes in a message and about sixty in memory after decoding, so the size of a message alone
does not limit its memory.
"""

from typing import Any

from serving.model_server.errors import resource_exhausted
from serving.tfs_api.wire_format import FIXED32, FIXED64, LENGTH, VARINT, Malformed, varint

#: Most strings, bytes values, submessages and single numbers of one message. Tensors in ``tensor_content`` are one.
MAX_ELEMENTS = 2**20
_MAX_DEPTH = 100


def check_elements(data: bytes, descriptor: Any) -> None:
    """Check that a message of this type has at most :data:`MAX_ELEMENTS` elements.

    Raises:
        ServingError: RESOURCE_EXHAUSTED if it has more.
    """
    try:
        left = _count(data, 0, len(data), descriptor, MAX_ELEMENTS, 0)
    except Malformed:  # the decoder reports it
        return
    if left < 0:
        raise resource_exhausted(
            f"the message has more than {MAX_ELEMENTS} elements; send fewer rows, or tensors in tensor_content"
        )


def _count(data: bytes, at: int, end: int, descriptor: Any, left: int, depth: int) -> int:
    """Subtract the elements between two positions from ``left``; stop below zero."""
    if depth > _MAX_DEPTH:
        raise Malformed
    fields = descriptor.fields_by_number
    while at < end and left >= 0:
        left -= 1
        key, at = varint(data, at, end)
        wire_type = key & 7
        if wire_type == LENGTH:
            length, at = varint(data, at, end)
            if at + length > end:
                raise Malformed
            field = fields.get(key >> 3)
            if field is not None and field.message_type is not None:
                left = _count(data, at, at + length, field.message_type, left, depth + 1)
            at += length
        elif wire_type == VARINT:
            _, at = varint(data, at, end)
        elif wire_type in (FIXED32, FIXED64):
            at += 4 if wire_type == FIXED32 else 8
        else:
            raise Malformed  # a group, which no message of the API has
    return left
