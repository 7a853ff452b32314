"""Arrays of numbers from JSON, with the gateway's errors."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.gateway.errors import BadTensor
from serving.tfs_api.rest_json import numbers
from serving.tfs_api.rest_json.errors import RestJsonError, WrongKind


def array(value: Any, dtype: np.dtype[Any], name: str) -> NDArray[Any]:
    """Return the array of nested lists of numbers; see :func:`serving.tfs_api.rest_json.numbers.array`.

    Raises:
        BadTensor: the lists are ragged, or a value is of another kind or does not fit the type.
    """
    try:
        return numbers.array(value, dtype, name)
    except WrongKind as error:
        if isinstance(error.value, dict) and "b64" in error.value:
            raise BadTensor(
                f'input {name} must hold {error.expected}, not {{"b64": "…"}}; a picture for a model with a model card '
                'is sent as {"b64": "…"}, without "instances" or "inputs"'
            ) from None
        raise BadTensor(str(error)) from None
    except RestJsonError as error:
        raise BadTensor(str(error)) from None


def as_float32(array: NDArray[Any], name: str) -> NDArray[np.float32]:
    """Return an array of numbers as float32; a number that is too large becomes infinity.

    Raises:
        BadTensor: it does not hold numbers.
    """
    if array.dtype.kind not in "iuf":
        raise BadTensor(f"input {name} must hold numbers, but its type is {array.dtype}")
    with np.errstate(over="ignore"):
        return array.astype(np.float32)
