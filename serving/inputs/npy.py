"""NumPy's ``.npy`` format, read without allocating anything: the array looks into the body.

Source: numpy/lib/_format_impl.py. No pickles, and the header is held against the body's length first.
"""

import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.gateway.errors import BadDocument

MAGIC = b"\x93NUMPY"


def read(body: bytes) -> NDArray[Any]:
    """The array in a ``.npy`` body; read-only, in the machine's byte order.

    Raises:
        BadDocument: not ``.npy``, objects or records in it, or not as many bytes as its header says.
    """
    stream = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(stream)
        reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, fortran, dtype = reader(stream)
    except KeyError:
        raise BadDocument("the .npy body has a format version other than 1.0 and 2.0") from None
    except Exception as error:  # NumPy's header parser raises many kinds on hostile bytes
        raise BadDocument(f"the body is not a .npy array: {' '.join(str(error).split())[:200]}") from None
    if dtype.hasobject or dtype.names or dtype.subdtype or dtype.kind not in "biuf":
        raise BadDocument(f"a .npy array of type {dtype} is not read here; numbers are expected")
    content = len(body) - stream.tell()
    if any(size < 0 for size in shape) or math.prod(shape) * dtype.itemsize != content:
        raise BadDocument(
            f"the .npy header says shape {str(list(shape))[:200]} of {dtype}, which takes another number of bytes than "
            f"the {content} that follow"
        )
    try:
        array = np.frombuffer(body, dtype, offset=stream.tell()).reshape(shape, order="F" if fortran else "C")
    except (ValueError, TypeError) as error:  # too many axes, or beside an axis of 0 one that is too long
        raise BadDocument(f"the .npy header says a shape that no array can have: {error}") from None
    return array.astype(dtype.newbyteorder("="), copy=False)


def write(array: NDArray[Any]) -> bytes:
    """An array as ``.npy``."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=False)
    return stream.getvalue()
