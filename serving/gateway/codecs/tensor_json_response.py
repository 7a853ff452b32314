"""Outputs to JSON in TensorFlow Serving's REST form: ``predictions`` by row, ``outputs`` by column, ``results``.

Source: tensorflow_serving/util/json_tensor.cc. One output stands without its name. Bytes are ``{"b64": "…"}`` where the
output's name ends in ``_bytes`` or they are no text. Floats have a point or an exponent; NaN, Infinity and -Infinity
stand there as bare words, which strict JSON does not know. White space is left out.
"""

import binascii
import contextlib
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from serving.gateway.backends.base import Classifications, Outputs
from serving.gateway.errors import BadTensor
from serving.tfs_api.tensors import is_float

_OBJECT = 100  # bytes of a number or string that becomes an object of Python's
_ROW = 400  # bytes of a row of one output of several, which becomes an object by name


def cost(outputs: Outputs) -> int:
    """Estimated bytes of the Python objects that are made to write the outputs."""
    rows = sum([len(array) for array in outputs.values() if array.ndim]) if len(outputs) > 1 else 0
    values = sum([array.size for array in outputs.values() if array.dtype == object or not outputs.clean])
    return rows * _ROW + values * _OBJECT


def predictions(outputs: Outputs) -> bytes:
    """The answer to ``instances``.

    Raises:
        BadTensor: the outputs have no rows, or not the same number of them.
    """
    for name, array in outputs.items():
        if not array.ndim:
            raise BadTensor(f"Tensor name: {name} has no shape information; ask by 'inputs', not by 'instances'")
    if len({len(array) for array in outputs.values()}) > 1:
        counts = ", ".join(f"{name} {len(array)}" for name, array in outputs.items())
        raise BadTensor(f"the outputs have different numbers of rows ({counts}); ask by 'inputs', not by 'instances'")
    columns = {name: _values(name, outputs[name], outputs.clean) for name in outputs}
    if len(columns) == 1:
        return _dump({"predictions": next(iter(columns.values()))}, outputs.clean)
    named = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return _dump({"predictions": named}, outputs.clean)


def columns(outputs: Outputs) -> bytes:
    """The answer to ``inputs``.

    Raises:
        BadTensor: JSON has no such numbers.
    """
    values = {name: _values(name, outputs[name], outputs.clean) for name in outputs}
    return _dump({"outputs": next(iter(values.values())) if len(values) == 1 else values}, outputs.clean)


def classifications(results: Iterable[Classifications]) -> bytes:
    """The answer to ``:classify``: for each example a list of label and score."""
    rows = [
        [[label, _shortest(score)] for label, score in zip(labels, scores, strict=True)]
        for result in results
        for labels, scores in zip(result.labels, result.scores, strict=True)
    ]
    return _dump({"results": rows}, clean=False)


def regressions(results: Iterable[NDArray[np.float32]]) -> bytes:
    """The answer to ``:regress``: a value for each example."""
    values = [_shortest(value) for result in results for value in result]
    return _dump({"results": values}, clean=False)


def _dump(answer: dict[str, Any], clean: bool) -> bytes:
    """``clean`` is whether every number is seen to be finite; orjson would write null for the others."""
    if clean:
        return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    return json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def _values(name: str, array: NDArray[Any], clean: bool) -> Any:
    """What is written then: nested lists, or where all is clean an array, whose rows orjson can write too.

    Raises:
        BadTensor: JSON has no such numbers.
    """
    if array.dtype == object:
        return _texts(array.tolist(), name.endswith("_bytes"))
    if array.dtype.kind == "c":
        raise BadTensor(f"output {name} holds complex numbers ({array.dtype}), which JSON cannot carry")
    if is_float(array.dtype) and array.dtype.itemsize == 2:
        array = array.astype(np.float32)
    if not clean and array.dtype == np.float32:
        shortest = np.empty(array.size, object)
        shortest[:] = [_shortest(value) for value in array.flat]
        return shortest.reshape(array.shape).tolist()
    if not clean:
        return array.tolist()
    return np.ascontiguousarray(array) if array.ndim else array[()]


def _shortest(value: Any) -> float:
    """The float64 that is written as the shortest text that reads back as the same float32."""
    return float(str(np.float32(value)))


def _texts(value: Any, as_bytes: bool) -> Any:
    if isinstance(value, list):
        return [_texts(item, as_bytes) for item in value]
    if not as_bytes:
        with contextlib.suppress(UnicodeDecodeError):
            return value.decode("utf-8")
    return {"b64": binascii.b2a_base64(value, newline=False).decode("ascii")}
