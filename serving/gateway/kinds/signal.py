"""1-D signals to the model's input, by length and channels on its card."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.artifacts.model_card import SignalRecipe
from serving.gateway.codecs import numbers
from serving.gateway.codecs.body import ArrayBody, JsonDocument, Payload
from serving.gateway.errors import BadDocument, BadTensor, UnsupportedMedia, listed

_FLOAT = np.dtype(np.float32)


def read(payload: Payload, recipe: SignalRecipe) -> NDArray[Any]:
    """Signals, float32 [N, L, C], from ``{"signal": …}`` or an array: [L, C] or [N, L, C]; with one channel [L] or
    [N, L] too.

    Raises:
        BadDocument: other keys. UnsupportedMedia: a picture. BadTensor: not numbers, ragged, or another length.
    """
    one = f"{recipe.length} samples" + (f" of {recipe.channels} channels" if recipe.channels > 1 else "")
    match payload:
        case JsonDocument(keys):
            if keys.keys() != {"signal"}:
                raise BadDocument(
                    f'a signal in JSON is {{"signal": [{one}]}}, or a list of such signals; '
                    f"the keys sent are: {listed(keys)}"
                )
            values = numbers.array(keys["signal"], _FLOAT, "signal")
        case ArrayBody(array):
            values = numbers.as_float32(array, "signal")
        case _:
            raise UnsupportedMedia("a signal is expected: application/json or application/x-npy")
    shape = values.shape
    if recipe.channels == 1 and shape[-1:] == (recipe.length,) and values.ndim < 3:
        values = values[..., None]
    if values.ndim == 2:
        values = values[None]
    if values.shape[1:] != (recipe.length, recipe.channels):
        raise BadTensor(f"a signal has {one}; sent was shape {list(shape)}")
    return values
