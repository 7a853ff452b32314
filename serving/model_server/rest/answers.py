"""Tensors as an answer's JSON: ``predictions`` by row, ``outputs`` by column.

Source: tensorflow_serving/util/json_tensor.cc, for the layout, the checks and their messages.
"""

import binascii
from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.model_server.errors import invalid_argument
from serving.model_server.rest import rapidjson
from serving.tfs_api import tensors
from serving.tfs_api.tensors import Array


def to_rows(outputs: Mapping[str, Array]) -> bytes:
    """The answer to ``instances``.

    Raises:
        INVALID_ARGUMENT: the outputs have no rows, or not equally many, or cannot be written.
    """
    rows = -1
    for name, array in outputs.items():
        if array.ndim == 0:
            raise invalid_argument(f"Tensor name: {name} has no shape information ")
        if not len(array):
            raise invalid_argument(f"Tensor name: {name} has invalid batch size: 0")
        if rows not in (-1, len(array)):
            raise invalid_argument(f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {rows}")
        rows = len(array)
    named = len(outputs) > 1
    columns = {
        name: rapidjson.nested(_leaves(name, array, array.ndim + 1 + named), array.shape[1:])
        for name, array in outputs.items()
    }
    if named:
        keys = [rapidjson.string(name) for name in columns]
        items = [
            rapidjson.lines("{}", [f"{key}: {text}" for key, text in zip(keys, row, strict=True)], 2)
            for row in zip(*columns.values(), strict=True)
        ]
        return _document("predictions", rapidjson.lines("[]", items, 1))
    (texts,) = columns.values()
    return _document("predictions", f"[{', '.join(texts)}\n    ]")


def to_columns(outputs: Mapping[str, Array]) -> bytes:
    """The answer to ``inputs``.

    Raises:
        INVALID_ARGUMENT: an output cannot be written.
    """
    named = len(outputs) > 1
    texts = {
        name: _pretty(iter(_leaves(name, array, array.ndim + 1 + named)), array.shape, 1 + named)
        for name, array in outputs.items()
    }
    if named:
        items = [f"{rapidjson.string(name)}: {text}" for name, text in texts.items()]
        return _document("outputs", rapidjson.lines("{}", items, 1))
    return _document("outputs", *texts.values())


def _leaves(name: str, array: Array, depth: int) -> list[str]:
    """Texts of all values, in row-major order; ``depth`` is how deep they stand."""
    if array.dtype.kind in "OSU":
        texts = [value if isinstance(value, bytes) else str(value).encode() for value in array.ravel().tolist()]
        if name.endswith("_bytes"):
            encoded = (binascii.b2a_base64(text, newline=False).decode("ascii") for text in texts)
            return [rapidjson.lines("{}", [f'"b64": "{text}"'], depth) for text in encoded]
        return [rapidjson.string(text.decode("utf-8", "surrogateescape")) for text in texts]
    if array.dtype in (np.float32, np.float64):
        return rapidjson.decimals(array)
    if array.dtype.kind == "b":
        return ["true" if value else "false" for value in array.ravel().tolist()]
    if array.dtype.kind in "iu" and array.dtype != np.uint16:
        return list(map(str, array.ravel().tolist()))
    kind = tensors.type_name(tensors.data_type(array))
    raise invalid_argument(f"Failed to write JSON value for tensor type: {kind}")


def _pretty(leaves: Any, shape: tuple[int, ...], indent: int) -> str:
    if not shape:
        return str(next(leaves))
    return rapidjson.lines("[]", [_pretty(leaves, shape[1:], indent + 1) for _ in range(shape[0])], indent)


def _document(key: str, text: str) -> bytes:
    return rapidjson.lines("{}", [f'"{key}": {text}'], 0).encode("utf-8", "surrogateescape")
