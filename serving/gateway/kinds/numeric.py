"""Numbers from a body, shared by series, table and signal models."""

from collections.abc import Callable, Collection
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from serving.gateway.codecs import numbers
from serving.gateway.codecs.body import ArrayBody, JsonDocument, Payload
from serving.gateway.errors import BadDocument, BadTensor, UnsupportedMedia, listed
from serving.inputs.rows import RowError

Recipe = TypeVar("Recipe")

_FLOAT = np.dtype(np.float32)
#: Bodies other than JSON, for the OpenAPI document.
MEDIA_TYPES = {"application/x-npy": {"schema": {"type": "string", "format": "binary"}}}


def content(payload: Payload, key: str, usage: str, optional: Collection[str] = ()) -> Any:
    """Return the value under the key of a JSON object, or the array of an npy body.

    Args:
        payload: the body.
        key: the key that must be there.
        usage: what is expected, for messages.
        optional: keys that may be there too.

    Raises:
        BadDocument: the key is missing, or another one is unknown. UnsupportedMedia: the body is a picture.
    """
    match payload:
        case JsonDocument(keys):
            if key not in keys or keys.keys() - {key, *optional}:
                more = f", with {listed(list(optional))} if needed" if optional else ""
                raise BadDocument(f"a JSON body for this model is {usage}{more}; the keys sent are: {listed(keys)}")
            return keys[key]
        case ArrayBody(array):
            return array
    raise UnsupportedMedia(f"this model takes numbers, application/json or application/x-npy; in JSON: {usage}")


def floats(payload: Payload, value: Any, key: str) -> NDArray[np.float32]:
    """Return what :func:`content` returned as float32.

    Raises:
        BadTensor: a value is not a number, the lists are ragged, or a number is too large for float32.
    """
    if isinstance(payload, ArrayBody):
        return numbers.as_float32(value, key)
    return numbers.array(value, _FLOAT, key)


def fitted(rows: Callable[[NDArray[Any], Recipe], NDArray[Any]], values: NDArray[Any], recipe: Recipe) -> NDArray[Any]:
    """Return the model's rows of these values.

    Raises:
        BadTensor: they do not fit the recipe.
    """
    try:
        return rows(values, recipe)
    except RowError as error:
        raise BadTensor(str(error)) from None
