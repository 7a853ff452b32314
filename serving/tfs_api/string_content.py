"""Strings in a TensorProto's ``tensor_content``: the length of each as a varint, then the bytes of all of them.

Source: tensorflow/core/platform/tensor_coding.cc.
"""

import itertools
from collections.abc import Iterator, Sequence


def encode(strings: Sequence[bytes]) -> bytes:
    """Return ``tensor_content`` for a tensor of strings."""
    sizes = list(map(len, strings))
    lengths = bytes(sizes) if max(sizes, default=0) < 0x80 else b"".join(map(varint, sizes))
    return lengths + b"".join(strings)


def decode(content: bytes, count: int) -> Iterator[bytes]:
    """Return the ``count`` strings in ``tensor_content``.

    Raises:
        ValueError: there are fewer lengths, a length is not a varint of 32 bits, or the lengths do not add up to the
            size of the strings.
    """
    lengths, start = _lengths(content, count)
    if sum(lengths) != len(content) - start:
        raise ValueError(
            f"the tensor's content has {len(content) - start} bytes of strings; the lengths of its {count} strings "
            f"add up to {sum(lengths)}"
        )
    ends = itertools.accumulate(lengths, initial=start)
    next(ends)
    return (content[end - length : end] for length, end in zip(lengths, ends, strict=True))


def varint(number: int) -> bytes:
    """Return a whole number as a varint (https://protobuf.dev/programming-guides/encoding/)."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def _lengths(content: bytes, count: int) -> tuple[Sequence[int], int]:
    """Return the first ``count`` varints of the content, and where they end."""
    if count > len(content):
        raise ValueError(f"the tensor's content has {len(content)} bytes; {count} strings need at least one each")
    if content[:count].isascii():  # every length is below 128, so each is one byte
        return content[:count], count
    lengths: list[int] = []
    position = 0
    for number in range(count):
        length, position = _length(content, position, number, count)
        lengths.append(length)
    return lengths, position


def _length(content: bytes, position: int, number: int, count: int) -> tuple[int, int]:
    length = shift = 0
    while True:
        if position == len(content):
            raise ValueError(f"the tensor's content ends within the length of string {number} of {count}")
        byte = content[position]
        position += 1
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 28:
            raise ValueError(f"the length of string {number} takes more than five bytes")
    if length >= 2**32 or (shift and not byte):
        raise ValueError(f"the length of string {number} is not a varint of 32 bits in its shortest form")
    return length, position
