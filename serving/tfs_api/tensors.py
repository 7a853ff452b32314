"""NumPy arrays to and from TensorProto.

Source: tensorflow/core/framework/tensor.proto. A tensor has its values in ``tensor_content`` (raw, little endian,
row-major) or in a repeated field of its type. If the repeated field is too short, its last value fills the rest; an
empty one means zeros.
"""

import math
from collections.abc import Iterable
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from serving.tfs_api import messages, string_content

Array = NDArray[Any]

#: NumPy type and name of the repeated field by DataType. Quantised types are not served.
_FIELDS: dict[int, tuple[Any, str]] = {
    messages.DT_FLOAT: (np.float32, "float_val"),
    messages.DT_DOUBLE: (np.float64, "double_val"),
    messages.DT_HALF: (np.float16, "half_val"),
    messages.DT_BFLOAT16: (ml_dtypes.bfloat16, "half_val"),
    messages.DT_INT64: (np.int64, "int64_val"),
    messages.DT_INT32: (np.int32, "int_val"),
    messages.DT_INT16: (np.int16, "int_val"),
    messages.DT_INT8: (np.int8, "int_val"),
    messages.DT_UINT64: (np.uint64, "uint64_val"),
    messages.DT_UINT32: (np.uint32, "uint32_val"),
    messages.DT_UINT16: (np.uint16, "int_val"),
    messages.DT_UINT8: (np.uint8, "int_val"),
    messages.DT_BOOL: (np.bool_, "bool_val"),
    messages.DT_COMPLEX64: (np.complex64, "scomplex_val"),
    messages.DT_COMPLEX128: (np.complex128, "dcomplex_val"),
    messages.DT_STRING: (np.object_, "string_val"),
}
#: Types whose repeated field has bit patterns.
_BIT_PATTERNS = frozenset({messages.DT_HALF, messages.DT_BFLOAT16})
#: Type of the real and imaginary parts, which alternate in the repeated field.
_PART_TYPES: dict[int, Any] = {messages.DT_COMPLEX64: np.float32, messages.DT_COMPLEX128: np.float64}
_DATA_TYPES: dict[Any, int] = {np.dtype(numpy_type): number for number, (numpy_type, _) in _FIELDS.items()}
_MAX_FILLED = 2**24  # values that a short repeated field may omit, because a small message can claim any shape
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


def numpy_type(data_type: int) -> np.dtype[Any] | None:
    """Return the NumPy type of a DataType (object for strings), or None if it is not served."""
    field = _FIELDS.get(data_type)
    return None if field is None else np.dtype(field[0])


def is_float(dtype: np.dtype[Any]) -> bool:
    """Return whether the type has NaN and infinity."""
    return dtype.kind == "f" or dtype == BFLOAT16


def type_name(data_type: int) -> str:
    """Return TensorFlow's name of a DataType: ``uint8`` for DT_UINT8."""
    return str(messages.DataType.Name(data_type)).removeprefix("DT_").lower()


def data_type(array: Array) -> int:
    """Return the DataType of an array.

    Raises:
        TypeError: the array's type has none.
    """
    number = _DATA_TYPES.get(array.dtype)
    if number is None and array.dtype.kind in "SU":
        number = messages.DT_STRING
    if number is None:
        number = _DATA_TYPES.get(array.dtype.newbyteorder("="))
    if number is None:
        raise TypeError(f"an array of type {array.dtype} cannot be sent as a tensor")
    return number


def to_proto(array: Array, *, as_content: bool = True) -> messages.TensorProto:
    """Return the TensorProto of an array.

    Args:
        array: numbers of any shape, or strings (object, ``S`` or ``U``; text becomes UTF-8).
        as_content: put the values into ``tensor_content``, not into the repeated field.

    Raises:
        TypeError: the array's type has no DataType.
    """
    proto = messages.TensorProto()
    for size in array.shape:
        proto.tensor_shape.dim.add().size = size
    proto.dtype = number = data_type(array)
    if number == messages.DT_STRING:
        strings = [v.encode() if isinstance(v, str) else bytes(v) for v in array.ravel().tolist()]
        if as_content:
            proto.tensor_content = string_content.encode(strings)
        else:
            proto.string_val.extend(strings)
    elif as_content:
        proto.tensor_content = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    elif number in _BIT_PATTERNS:
        proto.half_val.extend(array.ravel().view(np.uint16).tolist())
    else:
        values = array.ravel()
        parts = values.view(_PART_TYPES[number]) if number in _PART_TYPES else values
        getattr(proto, _FIELDS[number][1]).extend(parts.tolist())
    return proto


def to_array(proto: messages.TensorProto) -> Array:
    """Return the array of a TensorProto; strings as objects (bytes).

    The array is read-only if it is a view of ``tensor_content``.

    Raises:
        ValueError: the type is not served, a size is negative or unknown, or the values do not fill the shape.
    """
    data_type = proto.dtype
    if data_type not in _FIELDS:
        raise ValueError(f"tensors of type {type_name(data_type)} are not served")
    if proto.tensor_shape.unknown_rank:
        raise ValueError("the tensor has no rank")
    shape = tuple(d.size for d in proto.tensor_shape.dim)
    if any(size < 0 for size in shape):
        raise ValueError(f"the tensor's shape {list(shape)} has a negative size")
    content = proto.tensor_content
    array = _from_content(content, data_type, shape) if content else _from_field(proto, data_type, shape)
    return array.reshape(shape)


def _from_content(content: bytes, data_type: int, shape: tuple[int, ...]) -> Array:
    count = math.prod(shape)
    if data_type == messages.DT_STRING:
        return _objects(string_content.decode(content, count), count)
    dtype = np.dtype(_FIELDS[data_type][0])
    if len(content) != count * dtype.itemsize:
        raise ValueError(
            f"the tensor's content has {len(content)} bytes; shape {list(shape)} needs {count * dtype.itemsize}"
        )
    return np.frombuffer(content, dtype.newbyteorder("<"))


def _from_field(proto: messages.TensorProto, data_type: int, shape: tuple[int, ...]) -> Array:
    numpy_type, field = _FIELDS[data_type]
    values = getattr(proto, field)
    sent, rest = divmod(len(values), 2 if data_type in _PART_TYPES else 1)
    if rest:
        raise ValueError("the tensor's last value has no imaginary part")
    count = math.prod(shape)
    missing = count - sent
    if missing < 0:
        raise ValueError(f"the tensor has {sent} values; shape {list(shape)} needs {count}")
    if missing > _MAX_FILLED:
        raise ValueError(f"the tensor has {sent} values; shape {list(shape)} needs {count}, too many to fill in")
    if data_type == messages.DT_STRING:
        array = _objects(values, len(values))
    else:
        stored = np.uint16 if data_type in _BIT_PATTERNS else _PART_TYPES.get(data_type, numpy_type)
        try:
            array = np.fromiter(values, stored, len(values)).view(numpy_type)
        except OverflowError as error:
            raise ValueError(f"a value does not fit {np.dtype(numpy_type)}: {error}") from None
    if missing:
        filler = array[-1:] if len(array) else np.array([b"" if array.dtype == np.object_ else 0], array.dtype)
        array = np.concatenate([array, np.repeat(filler, missing)])
    return array


def _objects(strings: Iterable[bytes], count: int) -> Array:
    return np.fromiter(strings, np.object_, count)
