"""The Open Inference Protocol's tensor types and binary tensors.

Binary tensors are raw little-endian values in row-major order. Each element of a BYTES tensor follows its length, which
has four bytes. Source: kserve/open-inference-protocol (required_api.md, tensor data types) and Triton's
extension_binary_data.md.
"""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.gateway.errors import BadTensor, TooLarge
from serving.tfs_api import messages

#: The protocol's name of each TensorFlow type.
DATATYPES: dict[int, str] = {
    messages.DT_BOOL: "BOOL",
    messages.DT_UINT8: "UINT8",
    messages.DT_UINT16: "UINT16",
    messages.DT_UINT32: "UINT32",
    messages.DT_UINT64: "UINT64",
    messages.DT_INT8: "INT8",
    messages.DT_INT16: "INT16",
    messages.DT_INT32: "INT32",
    messages.DT_INT64: "INT64",
    messages.DT_HALF: "FP16",
    messages.DT_BFLOAT16: "BF16",
    messages.DT_FLOAT: "FP32",
    messages.DT_DOUBLE: "FP64",
    messages.DT_STRING: "BYTES",
}
_LENGTH = struct.Struct("<I")
#: Most strings of a tensor; decoding them takes 0.15 s.
MAX_STRINGS = 250_000


def from_bytes(raw: memoryview, dtype: np.dtype[Any], count: int, name: str) -> NDArray[Any]:
    """Decode ``count`` values of one type, [count].

    Raises:
        BadTensor: the number of bytes does not fit; the message has the ``name``. TooLarge: too many strings.
    """
    if dtype.kind == "O":
        return _strings(raw, count, name)
    if len(raw) != count * dtype.itemsize:
        raise BadTensor(
            f"input {name}: {count} values of {dtype} take {count * dtype.itemsize} bytes, but its binary data "
            f"has {len(raw)}"
        )
    if dtype.kind == "b":
        return np.frombuffer(raw, np.uint8).astype(bool)
    return np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype, copy=False)


def is_half(dtype: np.dtype[Any]) -> bool:
    """Whether a type is FP16 or BF16, which only binary tensors can have."""
    return dtype.itemsize == 2 and dtype.kind not in "iu"


def cost(size: int) -> int:
    """Return the most memory, in bytes, that decoding ``size`` bytes takes: a copy, and 64 bytes for each string."""
    return size + min(size // _LENGTH.size, MAX_STRINGS) * 64


def to_bytes(array: NDArray[Any]) -> bytes:
    """Encode an array; the strings of an object array are bytes."""
    if array.dtype == object:
        return b"".join(_LENGTH.pack(len(value)) + value for value in array.flat)
    return np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _strings(raw: memoryview, count: int, name: str) -> NDArray[Any]:
    if count > MAX_STRINGS:
        raise TooLarge(f"input {name} has {count} strings; at most {MAX_STRINGS} are accepted")
    values: list[bytes] = []
    position = 0
    while len(values) < count and position + _LENGTH.size <= len(raw):
        (size,) = _LENGTH.unpack_from(raw, position)
        position += _LENGTH.size + size
        if position > len(raw):
            break
        values.append(bytes(raw[position - size : position]))
    if position != len(raw) or len(values) != count:
        raise BadTensor(
            f"input {name}: {count} strings do not fill its {len(raw)} bytes of binary data; each follows its "
            "length as four little-endian bytes"
        )
    array = np.empty(count, object)
    array[:] = values
    return array
