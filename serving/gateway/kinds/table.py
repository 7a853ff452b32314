"""Table rows to the model's input, by the columns on its card."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.artifacts.model_card import TableRecipe
from serving.gateway.codecs import numbers
from serving.gateway.codecs.base64 import kind
from serving.gateway.codecs.body import ArrayBody, JsonDocument, Payload
from serving.gateway.errors import BadDocument, BadTensor, UnsupportedMedia, difference, listed

_FLOAT = np.dtype(np.float32)


def read(payload: Payload, recipe: TableRecipe) -> NDArray[Any]:
    """Rows, float32 [N, F], from ``{"features": …}`` or an array [F] or [N, F]. In JSON a row is a list of numbers in
    the card's order, or an object of numbers by column.

    Raises:
        BadDocument: other keys. UnsupportedMedia: a picture.
        BadTensor: not numbers, ragged, a column missing or unknown, or another number of columns.
    """
    names = [column.name for column in recipe.columns]
    match payload:
        case JsonDocument(keys):
            if keys.keys() != {"features"}:
                raise BadDocument(
                    f'a table row in JSON is {{"features": [{len(names)} numbers]}}, '
                    f'{{"features": {{"{names[0]}": …}}}} or a list of such rows; the keys sent are: {listed(keys)}'
                )
            rows = keys["features"]
            if not isinstance(rows, (list, dict, np.ndarray)):
                raise BadTensor(f"features must be a list of numbers or an object by column, not {kind(rows)}")
            if isinstance(rows, dict) or (isinstance(rows, list) and rows and isinstance(rows[0], dict)):
                rows = [_in_order(row, names) for row in (rows if isinstance(rows, list) else [rows])]
            values = numbers.array(rows, _FLOAT, "features")
        case ArrayBody(array):
            values = numbers.as_float32(array, "features")
        case _:
            raise UnsupportedMedia("table rows are expected: application/json or application/x-npy")
    if values.ndim == 1:
        values = values[None]
    if values.ndim != 2 or values.shape[1] != len(names):
        raise BadTensor(
            f"a table row has {len(names)} values ({listed(names)}), so rows are [N, {len(names)}]; "
            f"sent was shape {list(values.shape)}"
        )
    return values


def _in_order(row: Any, names: list[str]) -> list[Any]:
    if not isinstance(row, dict):
        raise BadTensor(f"features mixes objects by column with {kind(row)}; all rows must be of one form")
    if row.keys() != set(names):
        raise BadTensor(f"a table row has the columns {listed(names)} ({difference(names, row)})")
    return [row[name] for name in names]
