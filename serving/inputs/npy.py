"""NumPy's ``.npy`` format, read without a copy: the array is a view of the body.

Source: numpy/lib/_format_impl.py. Pickles are refused, and the header is checked against the body's length first.
"""

import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC = b"\x93NUMPY"


class NpyError(ValueError):
    """The bytes are not an array that can be read."""


def read(body: bytes) -> NDArray[Any]:
    """Return the array of an npy body, read-only and in the machine's byte order.

    Raises:
        NpyError: The body is not npy, holds objects or records, or its size does not match its header.
    """
    stream = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(stream)
        reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, fortran, dtype = reader(stream)
    except KeyError:
        raise NpyError("the npy body has a format version other than 1.0 and 2.0") from None
    except Exception as error:  # NumPy's header parser raises almost anything
        raise NpyError(f"the body is not an npy array: {' '.join(str(error).split())[:200]}") from None
    if dtype.hasobject or dtype.names or dtype.subdtype or dtype.kind not in "biuf":
        raise NpyError(f"an npy array of type {dtype} is not supported; send numbers")
    content = len(body) - stream.tell()
    if any(size < 0 for size in shape) or math.prod(shape) * dtype.itemsize != content:
        raise NpyError(
            f"the npy header has shape {str(list(shape))[:200]} of {dtype}, whose size differs from "
            f"the {content} bytes that follow"
        )
    try:
        array = np.frombuffer(body, dtype, offset=stream.tell()).reshape(shape, order="F" if fortran else "C")
    except (ValueError, TypeError) as error:  # too many axes, or an axis too long beside an axis of 0
        raise NpyError(f"the npy header has a shape that no array can have: {error}") from None
    return array.astype(dtype.newbyteorder("="), copy=False)


def write(array: NDArray[Any]) -> bytes:
    """Encode an array as npy."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=False)
    return stream.getvalue()
