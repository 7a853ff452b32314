"""The Open Inference Protocol's names of tensor types, and its binary form of tensors.

Source: kserve/open-inference-protocol (required_api.md, tensor data types) and Triton's extension_binary_data.md: raw
little-endian values in row-major order; each element of a BYTES tensor after its length as four bytes.
"""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.gateway.errors import BadTensor, TooLarge
from serving.tfs_api import messages

NAMES: dict[int, str] = {
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
_MOST_STRINGS = 250_000  # they take .15 s, as so many in JSON do


def from_bytes(raw: memoryview, dtype: np.dtype[Any], count: int, name: str) -> NDArray[Any]:
    """So many values of a type, [count], from their binary form.

    Raises:
        BadTensor: another number of bytes than they take; ``name`` is said. TooLarge: hundreds of thousands of strings.
    """
    if dtype.kind == "O":
        return _strings(raw, count, name)
    if len(raw) != count * dtype.itemsize:
        raise BadTensor(
            f"input {name}: {count} values of {dtype} take {count * dtype.itemsize} bytes, but binary_data_size is "
            f"{len(raw)}"
        )
    if dtype.kind == "b":
        return np.frombuffer(raw, np.uint8).astype(bool)
    return np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype, copy=False)


def cost(size: int) -> int:
    """Most bytes of memory that values in ``size`` bytes of binary form take.

    Numbers take as many again; a string takes a place in an array and an object.
    """
    return size + min(size // _LENGTH.size, _MOST_STRINGS) * 64


def to_bytes(array: NDArray[Any]) -> bytes:
    """The binary form of an array; strings are objects (bytes)."""
    if array.dtype == object:
        return b"".join(_LENGTH.pack(len(value)) + value for value in array.flat)
    return np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _strings(raw: memoryview, count: int, name: str) -> NDArray[Any]:
    if count > _MOST_STRINGS:
        raise TooLarge(f"input {name} has {count} strings; at most {_MOST_STRINGS} are accepted")
    values: list[bytes] = []
    place = 0
    while len(values) < count and place + _LENGTH.size <= len(raw):
        (size,) = _LENGTH.unpack_from(raw, place)
        place += _LENGTH.size + size
        if place > len(raw):
            break
        values.append(bytes(raw[place - size : place]))
    if place != len(raw) or len(values) != count:
        raise BadTensor(
            f"input {name}: {count} strings, each after its length as four little-endian bytes, do not fill the "
            f"{len(raw)} bytes of binary_data_size"
        )
    array = np.empty(count, object)
    array[:] = values
    return array
