"""Table rows: a row's columns in, the value of its target out."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from serving.artifacts.model_card import ModelCard, TableRecipe
from serving.gateway.backends.base import Arrays, Outputs
from serving.gateway.codecs.body import Payload
from serving.gateway.codecs.finite import finite
from serving.gateway.errors import BadTensor
from serving.gateway.kinds import numeric
from serving.gateway.kinds.base import (
    MEASURED_ROWS,
    Kind,
    Measurements,
    ModelInput,
    ModelOutput,
    Operation,
    OperationDocs,
    Options,
    ReadContext,
)
from serving.gateway.kinds.expected_signature import Expected, tensor
from serving.gateway.kinds.schemas import NUMBER, TEXT, array_of, object_of
from serving.gateway.models.signature import Signature
from serving.inputs.rows import RowError, in_column_order, table_rows
from serving.tfs_api.rest_json.errors import json_type

_NULLABLE = {"type": ["string", "null"]}


def _recipe(card: ModelCard) -> TableRecipe:
    assert card.table is not None  # versions without the section do not offer the verb
    return card.table


class TablePredict(Operation):
    """``:predict``: the target's value for each row."""

    docs = OperationDocs(
        description="A table model returns its target's value for each row.",
        request=(
            "TableDocument",
            object_of({"features": {"type": ["array", "object"], "description": "one row or several"}}),
            {"features": {"rooms": 6.5, "age": 40}},
        ),
        response=(
            "Values",
            object_of({"predictions": array_of(object_of({"value": NUMBER})), "target": TEXT, "unit": _NULLABLE}),
            {"predictions": [{"value": 24.1}], "target": "price", "unit": "1000 USD"},
        ),
        media_types=numeric.MEDIA_TYPES,
    )

    def expected(self, card: ModelCard) -> Expected | str:
        features = tensor(np.float32, len(_recipe(card).columns))
        return Expected("serving_default", {"features": features}, {"prediction": tensor(np.float32)})

    async def read(self, payload: Payload, options: Options, context: ReadContext) -> ModelInput:
        recipe = _recipe(context.card)
        count, first = len(recipe.columns), recipe.columns[0].name
        usage = f'{{"features": [{count} numbers]}}, {{"features": {{"{first}": …}}}} or a list of such rows'
        value = _in_order(numeric.content(payload, "features", usage), recipe)
        values = numeric.floats(payload, value, "features")
        return ModelInput({"features": numeric.fitted(table_rows, values, recipe)})

    def write(self, output: ModelOutput, options: Options) -> dict[str, Any]:
        target = _recipe(output.card).target
        values = [{"value": value} for value in finite(output.outputs, "prediction")]
        return {"predictions": values, "target": target.name, "unit": target.unit}


class TableKind(Kind):
    """Regressors of table rows."""

    name = "table"
    operations: ClassVar[Mapping[str, Operation]] = {"predict": TablePredict()}

    def recipe(self, card: ModelCard) -> object:
        return card.table

    def measure(self, arrays: Arrays, outputs: Outputs, card: ModelCard) -> Measurements:
        if "features" not in arrays:
            return {}
        names = [column.name for column in _recipe(card).columns]
        return dict(zip(names, arrays["features"][:MEASURED_ROWS].T, strict=True))

    def check(self, signature: Signature, arrays: Arrays, card: ModelCard, max_pixels: int) -> None:
        """Refuse values outside of their column's range."""
        columns, features = _recipe(card).columns, arrays.get("features")
        if features is None or features.shape[1:] != (len(columns),):  # not the signature that the card describes
            return
        for column, values in zip(columns, features.T, strict=True):
            low = np.float32(-np.inf if column.minimum is None else column.minimum)
            high = np.float32(np.inf if column.maximum is None else column.maximum)
            outside = values[(values < low) | (values > high)]
            if len(outside):
                unit = f" {column.unit}" if column.unit else ""
                raise BadTensor(f"column {column.name} must be {low:g} to {high:g}{unit}, not {outside[0]:g}")


def _in_order(rows: Any, recipe: TableRecipe) -> Any:
    """Return rows that are objects by column as lists in the card's order."""
    if not isinstance(rows, (list, dict, np.ndarray)):
        raise BadTensor(f"features must be a list of numbers or an object by column, not {json_type(rows)}")
    if isinstance(rows, dict):
        rows = [rows]
    if not (isinstance(rows, list) and rows and isinstance(rows[0], dict)):
        return rows
    other = next((row for row in rows if not isinstance(row, dict)), None)
    if other is not None:
        raise BadTensor(f"features mixes objects by column with {json_type(other)}; use one form for all rows")
    try:
        return [in_column_order(row, recipe) for row in rows]
    except RowError as error:
        raise BadTensor(str(error)) from None
