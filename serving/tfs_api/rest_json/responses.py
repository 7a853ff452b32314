"""Outputs as JSON: ``predictions`` by row, ``outputs`` by column, ``results`` of Classify and Regress.

A single output has no name. Strings become ``{"b64": "…"}`` if the output's name ends in ``_bytes`` or they are not
UTF-8. Floats have a point or an exponent. NaN, Infinity and -Infinity are bare words, which strict JSON lacks.
"""

import contextlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from serving.tfs_api.rest_json import base64
from serving.tfs_api.tensors import is_float

Outputs = Mapping[str, NDArray[Any]]


def predictions(outputs: Outputs, *, finite: bool) -> bytes:
    """Return the answer to ``instances``.

    Args:
        outputs: arrays with the same number of rows, without complex numbers.
        finite: whether every number is known to be finite, which allows a faster encoder.
    """
    columns = {name: _values(name, array, finite) for name, array in outputs.items()}
    if len(columns) == 1:
        return _document("predictions", next(iter(columns.values())), finite)
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return _document("predictions", rows, finite)


def columns(outputs: Outputs, *, finite: bool, key: str = "outputs") -> bytes:
    """Return the answer to ``inputs``. The arguments are those of :func:`predictions`, with any number of rows."""
    values = {name: _values(name, array, finite) for name, array in outputs.items()}
    return _document(key, next(iter(values.values())) if len(values) == 1 else values, finite)


def classifications(examples: Iterable[Iterable[tuple[str, Any]]]) -> bytes:
    """Return the answer to ``:classify``: for each example its labels with their float32 scores."""
    rows = [[[label, _shortest(score)] for label, score in classes] for classes in examples]
    return _document("results", rows, finite=False)


def regressions(values: Iterable[Any]) -> bytes:
    """Return the answer to ``:regress``: a float32 for each example."""
    return _document("results", [_shortest(value) for value in values], finite=False)


def _document(key: str, value: Any, finite: bool) -> bytes:
    if finite:
        return orjson.dumps({key: value}, option=orjson.OPT_SERIALIZE_NUMPY)
    return json.dumps({key: value}, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def _values(name: str, array: NDArray[Any], finite: bool) -> Any:
    """Return nested lists, or an array if orjson can write it."""
    if array.dtype.kind in "OSU":
        return _texts(array.tolist(), name.endswith("_bytes"))
    if is_float(array.dtype) and array.dtype.itemsize == 2:
        array = array.astype(np.float32)
    if finite:
        return np.ascontiguousarray(array) if array.ndim else array[()]
    if array.dtype == np.float32:
        shortest = np.empty(array.size, object)
        shortest[:] = [_shortest(value) for value in array.flat]
        return shortest.reshape(array.shape).tolist()
    return array.tolist()


def _shortest(value: Any) -> float:
    """Return the float64 whose shortest text reads back as the same float32."""
    return float(str(np.float32(value)))


def _texts(value: Any, as_bytes: bool) -> Any:
    if isinstance(value, list):
        return [_texts(item, as_bytes) for item in value]
    if isinstance(value, str):
        value = value.encode()
    if not as_bytes:
        with contextlib.suppress(UnicodeDecodeError):
            return value.decode("utf-8")
    return base64.encode(value)
