"""Whether bytes that are no protobuf message would be one if more bytes followed.

Source: https://protobuf.dev/programming-guides/encoding/. Python's protobuf says only that parsing failed; TensorFlow
answers a file that ends too early with another code than one of foreign content.
"""

from typing import Any

_VARINT, _FIXED64, _LENGTH, _GROUP_START, _GROUP_END, _FIXED32 = range(6)
_LONGEST_VARINT = 10
_LARGEST_FIELD = 2**29 - 1
_DEEPEST = 100  # messages within each other


class _Ended(Exception):
    """The bytes end within a value."""


class _Broken(Exception):
    """No more bytes make a message of these."""


def ends_early(data: bytes, descriptor: Any) -> bool:
    """Whether the first fault in a message of this type is that its bytes end."""
    try:
        _message(memoryview(data), descriptor, 0)
    except _Ended:
        return True
    except _Broken:
        pass
    return False


def _message(data: memoryview, descriptor: Any, depth: int) -> None:
    """Read fields until the bytes end.

    A field that is longer than the bytes is looked into, if it is a message.
    """
    if depth > _DEEPEST:
        raise _Broken
    at = 0
    groups: list[int] = []
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if not 0 < number <= _LARGEST_FIELD:
            raise _Broken
        if kind == _VARINT:
            _, at = _varint(data, at)
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
        elif kind == _LENGTH:
            length, at = _varint(data, at)
            field = descriptor.fields_by_number.get(number) if descriptor and not groups else None
            if length > len(data) - at and field is not None and field.message_type:
                _message(data[at:], field.message_type, depth + 1)
            at += length
        elif kind == _GROUP_START:
            groups.append(number)
        elif kind != _GROUP_END or not groups or groups.pop() != number:
            raise _Broken
        if at > len(data):
            raise _Ended
    if groups:
        raise _Ended


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place in range(_LONGEST_VARINT):
        if at == len(data):
            raise _Ended
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at
    raise _Broken
