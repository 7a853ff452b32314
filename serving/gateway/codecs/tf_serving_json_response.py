"""Outputs in TensorFlow Serving's REST form, with the gateway's errors. White space is left out."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from serving.gateway.backends.base import Classifications, Outputs
from serving.gateway.errors import BadTensor
from serving.tfs_api.rest_json import responses

_OBJECT = 100  # bytes of a number or string as a Python object
_ROW = 400  # bytes of a row of several outputs as a dict


def cost(outputs: Outputs) -> int:
    """Estimate the memory, in bytes, of the Python objects that writing the outputs takes."""
    rows = sum([len(array) for array in outputs.values() if array.ndim]) if len(outputs) > 1 else 0
    values = sum([array.size for array in outputs.values() if array.dtype == object or not outputs.clean])
    return rows * _ROW + values * _OBJECT


def predictions(outputs: Outputs) -> bytes:
    """Return the answer to ``instances``.

    Raises:
        BadTensor: the outputs have no rows, not the same number of them, or complex numbers.
    """
    for name, array in outputs.items():
        if not array.ndim:
            raise BadTensor(f"Tensor name: {name} has no shape information; send 'inputs', not 'instances'")
    if len({len(array) for array in outputs.values()}) > 1:
        counts = ", ".join(f"{name} {len(array)}" for name, array in outputs.items())
        raise BadTensor(f"the outputs have different numbers of rows ({counts}); send 'inputs', not 'instances'")
    _check_types(outputs)
    return responses.predictions(outputs, finite=outputs.clean)


def columns(outputs: Outputs, key: str = "outputs") -> bytes:
    """Return the answer to ``inputs``.

    Raises:
        BadTensor: an output has complex numbers.
    """
    _check_types(outputs)
    return responses.columns(outputs, finite=outputs.clean, key=key)


def classifications(results: Iterable[Classifications]) -> bytes:
    """Return the answer to ``:classify``: for each example a list of label and score."""
    return responses.classifications(
        zip(labels, scores, strict=True)
        for result in results
        for labels, scores in zip(result.labels, result.scores, strict=True)
    )


def regressions(results: Iterable[NDArray[np.float32]]) -> bytes:
    """Return the answer to ``:regress``: a value for each example."""
    return responses.regressions(value for result in results for value in result)


def _check_types(outputs: Outputs) -> None:
    for name, array in outputs.items():
        if array.dtype.kind == "c":
            raise BadTensor(f"output {name} holds complex numbers ({array.dtype}), which JSON cannot carry")
