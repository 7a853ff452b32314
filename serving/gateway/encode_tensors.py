"""Outputs to JSON in TensorFlow Serving's REST form: ``predictions`` by row, ``outputs`` by column.

Source: tensorflow_serving/util/json_tensor.cc. One output stands without its name. Bytes are ``{"b64": "…"}`` where the
output's name ends in ``_bytes`` or they are no text.
"""

import binascii
import contextlib
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from serving.gateway.encode import finite
from serving.gateway.errors import BadUpstream
from serving.gateway.wire import Outputs


def predictions(outputs: Outputs) -> bytes:
    """The answer to ``instances``.

    Raises:
        BadOutput: NaN or infinity. BadUpstream: the outputs have no rows, or not the same number of them.
    """
    rows = {array.shape[0] if array.ndim else None for array in outputs.values()}
    if len(rows) != 1 or None in rows:
        raise BadUpstream("the outputs of this signature have no common row count; ask by 'inputs', not 'instances'")
    columns = {name: _values(name, finite(outputs, name)) for name in outputs}
    if len(columns) == 1:
        return _dump({"predictions": next(iter(columns.values()))})
    named = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return _dump({"predictions": named})


def columns(outputs: Outputs) -> bytes:
    """The answer to ``inputs``.

    Raises:
        BadOutput: NaN or infinity.
    """
    values = {name: _values(name, finite(outputs, name)) for name in outputs}
    return _dump({"outputs": next(iter(values.values())) if len(values) == 1 else values})


def _dump(answer: dict[str, Any]) -> bytes:
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def _values(name: str, array: NDArray[Any]) -> Any:
    """What orjson writes: nested lists of text, or an array, whose rows it can write too."""
    if array.dtype == object:
        return _texts(array.tolist(), name.endswith("_bytes"))
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    return np.ascontiguousarray(array) if array.ndim else array.tolist()


def _texts(value: Any, as_bytes: bool) -> Any:
    if isinstance(value, list):
        return [_texts(item, as_bytes) for item in value]
    if not as_bytes:
        with contextlib.suppress(UnicodeDecodeError):
            return value.decode("utf-8")
    return {"b64": binascii.b2a_base64(value, newline=False).decode("ascii")}
