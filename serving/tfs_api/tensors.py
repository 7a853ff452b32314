"""NumPy arrays to and from TensorProto, without TensorFlow.

Source: tensorflow/core/framework/tensor.proto. A tensor carries its values either in ``tensor_content`` (raw, little
endian, row-major) or in a repeated field of its type, where the last value stands for all that are missing, and none
at all for zeros. Strings in ``tensor_content`` are the length of each as a varint, then the bytes of all of them
(tensorflow/core/platform/tensor_coding.cc).
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from serving.tfs_api import messages

Array = NDArray[Any]

#: DataType → (NumPy type, name of the repeated field). Quantised types are not served.
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
_AS_BITS = frozenset({messages.DT_HALF, messages.DT_BFLOAT16})  # whose repeated field holds uint16
#: Types whose repeated field holds real and imaginary part in turn, and the type of those.
_IN_PAIRS: dict[int, Any] = {messages.DT_COMPLEX64: np.float32, messages.DT_COMPLEX128: np.float64}
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
_MOST_FILLED_IN = 2**24  # values that a short message may leave to be filled in: it can claim any shape
_DATA_TYPES: dict[Any, int] = {np.dtype(numpy_type): number for number, (numpy_type, _) in _FIELDS.items()}


def numpy_type(data_type: int) -> np.dtype[Any] | None:
    """The NumPy type of a DataType (object for strings), or None for one that is not served."""
    field = _FIELDS.get(data_type)
    return None if field is None else np.dtype(field[0])


def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether NaN and infinity can be in an array of this type."""
    return dtype.kind == "f" or dtype == BFLOAT16


def type_name(data_type: int) -> str:
    """The name that TensorFlow prints for a DataType: DT_UINT8 → ``uint8``."""
    return str(messages.DataType.Name(data_type)).removeprefix("DT_").lower()


def data_type(array: Array) -> int:
    """The DataType of an array.

    Raises:
        TypeError: it has none.
    """
    if array.dtype.kind in "OSU":
        return int(messages.DT_STRING)
    number = _DATA_TYPES.get(array.dtype.newbyteorder("="))
    if number is None:
        raise TypeError(f"an array of type {array.dtype} cannot be sent as a tensor")
    return number


def to_proto(array: Array, *, as_content: bool = True) -> Any:
    """A TensorProto of the array; values in ``tensor_content``, or in the repeated field when ``as_content`` is false.

    Arrays of type object, ``S`` or ``U`` become DT_STRING (text as UTF-8).

    Raises:
        TypeError: no DataType for the array's type.
    """
    proto = messages.TensorProto()
    for size in array.shape:
        proto.tensor_shape.dim.add().size = size
    proto.dtype = number = data_type(array)
    if number == messages.DT_STRING:
        strings = [v.encode() if isinstance(v, str) else bytes(v) for v in array.ravel().tolist()]
        if as_content:
            proto.tensor_content = _encode_strings(strings)
        else:
            proto.string_val.extend(strings)
    elif as_content:
        proto.tensor_content = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    elif number in _AS_BITS:
        proto.half_val.extend(array.ravel().view(np.uint16).tolist())
    else:
        values = array.ravel()
        parts = values.view(_IN_PAIRS[number]) if number in _IN_PAIRS else values
        getattr(proto, _FIELDS[number][1]).extend(parts.tolist())
    return proto


def to_array(proto: Any) -> Array:
    """The array of a TensorProto; read-only where it looks into ``tensor_content``; strings as objects (bytes).

    Raises:
        ValueError: the type is not served, a size is negative or unknown, or the values do not fill the shape.
    """
    if proto.dtype not in _FIELDS:
        raise ValueError(f"tensors of type {type_name(proto.dtype)} are not served")
    numpy_type, field = _FIELDS[proto.dtype]
    if proto.tensor_shape.unknown_rank:
        raise ValueError("the tensor has no rank")
    shape = tuple(d.size for d in proto.tensor_shape.dim)
    if any(size < 0 for size in shape):
        raise ValueError(f"the tensor's shape {list(shape)} has a negative size")
    count = math.prod(shape)
    content = proto.tensor_content
    if content:
        if numpy_type is np.object_:
            return _as_objects(_decode_strings(content, count), count).reshape(shape)
        itemsize = np.dtype(numpy_type).itemsize
        if len(content) != count * itemsize:
            raise ValueError(
                f"the tensor's content has {len(content)} bytes; shape {list(shape)} needs {count * itemsize}"
            )
        return np.frombuffer(content, np.dtype(numpy_type).newbyteorder("<")).reshape(shape)
    values = getattr(proto, field)
    sent, rest = divmod(len(values), 2 if proto.dtype in _IN_PAIRS else 1)
    if rest:
        raise ValueError("the tensor's last value has no imaginary part")
    missing = count - sent
    if missing < 0:
        raise ValueError(f"the tensor has {sent} values; shape {list(shape)} needs {count}")
    if missing > _MOST_FILLED_IN:
        raise ValueError(f"the tensor has {sent} values; shape {list(shape)} needs {count}, too many to fill in")
    if proto.dtype == messages.DT_STRING:
        array = _as_objects(values, len(values))
    else:
        stored = np.uint16 if proto.dtype in _AS_BITS else _IN_PAIRS.get(proto.dtype, numpy_type)
        try:
            array = np.fromiter(values, stored, len(values)).view(numpy_type)
        except OverflowError as error:
            raise ValueError(f"a value does not fit {np.dtype(numpy_type)}: {error}") from None
    if missing:
        filler = array[-1:] if len(array) else np.array([b"" if array.dtype == np.object_ else 0], array.dtype)
        array = np.concatenate([array, np.repeat(filler, missing)])
    return array.reshape(shape)


def _as_objects(strings: Iterable[bytes], count: int) -> Array:
    return np.fromiter(strings, np.object_, count)


def _encode_strings(strings: Sequence[bytes]) -> bytes:
    """Strings as ``tensor_content``: the length of each as a varint, then all bytes."""
    sizes = list(map(len, strings))
    lengths = bytes(sizes) if max(sizes, default=0) < 0x80 else b"".join(map(varint, sizes))
    return lengths + b"".join(strings)


def _decode_strings(content: bytes, count: int) -> Iterator[bytes]:
    """The ``count`` strings of a ``tensor_content``.

    Raises:
        ValueError: the content holds fewer lengths, a length is no varint of 32 bits, or the lengths do not add up to
            the bytes that follow them.
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


def _lengths(content: bytes, count: int) -> tuple[Sequence[int], int]:
    """The first ``count`` varints of the content, and where they end."""
    if count > len(content):
        raise ValueError(f"the tensor's content has {len(content)} bytes; {count} strings need at least one each")
    if content[:count].isascii():  # every length is below 128, so each is one byte
        return content[:count], count
    lengths: list[int] = []
    at = 0
    for number in range(count):
        length = shift = 0
        while True:
            if at == len(content):
                raise ValueError(f"the tensor's content ends within the length of string {number} of {count}")
            byte = content[at]
            at += 1
            length |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 28:
                raise ValueError(f"the length of string {number} takes more than five bytes")
        if length >= 2**32 or (shift and not byte):
            raise ValueError(f"the length of string {number} is no varint of 32 bits in its shortest form")
        lengths.append(length)
    return lengths, at


def varint(number: int) -> bytes:
    """A whole number as a varint (https://protobuf.dev/programming-guides/encoding/)."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)
