"""Time series: the newest values of each history in, the next value or a forecast out."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from serving.artifacts.model_card import ModelCard, SeriesRecipe
from serving.gateway.backends.base import Arrays, Outputs
from serving.gateway.codecs.body import JsonDocument, Payload
from serving.gateway.codecs.finite import finite
from serving.gateway.errors import BadOption, BadTensor, BadUpstream
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
    Parser,
    ReadContext,
)
from serving.gateway.kinds.expected_signature import Expected, ExpectedTensor, tensor
from serving.gateway.kinds.schemas import INTEGER, NUMBER, TEXT, array_of, object_of
from serving.inputs.rows import series_rows
from serving.tfs_api.rest_json.errors import json_type

_NUMBERS = array_of(NUMBER)
_REQUEST = object_of(
    {"history": {"oneOf": [_NUMBERS, array_of(_NUMBERS)]}},
    {"horizon": {"type": "integer", "minimum": 1, "description": "for :forecast only"}},
)


def series_recipe(card: ModelCard) -> SeriesRecipe:
    """Return the card's section; versions without it do not offer the verbs."""
    assert card.series is not None
    return card.series


class SeriesPredict(Operation):
    """``:predict``: the next value of each history."""

    docs = OperationDocs(
        description="A series model returns the next value of each history.",
        request=("SeriesDocument", _REQUEST, {"history": [1.0, 0.95, 0.81]}),
        response=(
            "NextValues",
            object_of({"predictions": array_of(object_of({"value": NUMBER})), "unit": TEXT, "step": TEXT}),
            {"predictions": [{"value": 0.588}], "unit": "1", "step": "π/10"},
        ),
        media_types=numeric.MEDIA_TYPES,
    )

    def expected(self, card: ModelCard) -> Expected | str:
        return Expected("serving_default", _history(card), {"prediction": tensor(np.float32)})

    async def read(self, payload: Payload, options: Options, context: ReadContext) -> ModelInput:
        values = _read_history(payload, series_recipe(context.card))
        horizon = payload.keys.get("horizon") if isinstance(payload, JsonDocument) else None
        if horizon is not None and check_horizon(horizon, series_recipe(context.card).max_horizon) != 1:
            raise BadOption(f":predict returns the next value only; use :forecast for a horizon of {horizon}")
        return ModelInput({"history": values})

    def write(self, output: ModelOutput, options: Options) -> dict[str, Any]:
        values = [{"value": value} for value in finite(output.outputs, "prediction")]
        return {"predictions": values, **_units(output.card)}


class SeriesForecast(Operation):
    """``:forecast``: the next ``horizon`` values of each history, with an interval if the model has one."""

    options: ClassVar[Mapping[str, Parser]] = {"horizon": lambda text: _whole_number(text)}
    docs = OperationDocs(
        description=(
            "A history is cropped to the newest values that the model reads (its window); a shorter one is refused. "
            "`notes` are the model card's: read them before you trust a forecast."
        ),
        request=("SeriesDocument", _REQUEST, {"history": [1.0, 0.95, 0.81], "horizon": 12}),
        response=(
            "Forecasts",
            object_of(
                {
                    "forecasts": array_of(object_of({"mean": _NUMBERS}, {"lower": _NUMBERS, "upper": _NUMBERS})),
                    "horizon": INTEGER,
                    "unit": TEXT,
                    "step": TEXT,
                    "level": {"type": ["number", "null"], "description": "nominal coverage of lower…upper"},
                    "notes": array_of(TEXT),
                }
            ),
            {
                "forecasts": [{"mean": [0.588, 0.31], "lower": [0.55, 0.27], "upper": [0.63, 0.35]}],
                "horizon": 2,
                "unit": "1",
                "step": "π/10",
                "level": 0.9,
                "notes": [],
            },
        ),
        parameters=(
            {
                "name": "horizon",
                "in": "query",
                "description": "steps ahead, for bodies without `horizon`",
                "schema": {"type": "integer", "minimum": 1},
            },
        ),
        media_types=numeric.MEDIA_TYPES,
    )

    def expected(self, card: ModelCard) -> Expected | str:
        steps = tensor(np.float32, None)
        inputs = {**_history(card), "horizon": tensor(np.int32)}
        return Expected("forecast", inputs, {"mean": steps, "lower": steps, "upper": steps})

    async def read(self, payload: Payload, options: Options, context: ReadContext) -> ModelInput:
        recipe = series_recipe(context.card)
        horizon = options.get("horizon")
        if isinstance(payload, JsonDocument) and "horizon" in payload.keys:
            if horizon is not None:
                raise BadOption("horizon is in the query and in the body; send one of them")
            horizon = payload.keys["horizon"]
        values = _read_history(payload, recipe)
        steps = check_horizon(horizon, recipe.max_horizon)
        return ModelInput({"history": values, "horizon": np.full(len(values), steps, np.int32)})

    def write(self, output: ModelOutput, options: Options) -> dict[str, Any]:
        columns = forecast_columns(output)
        rows, horizon = columns["mean"].shape
        return {
            "forecasts": [{name: column[row] for name, column in columns.items()} for row in range(rows)],
            "horizon": horizon,
            **_units(output.card),
            "level": series_recipe(output.card).level,
            "notes": output.card.notes,
        }

    def width(self, card: ModelCard) -> tuple[str, int]:
        return "horizon", series_recipe(card).max_horizon


class SeriesKind(Kind):
    """Forecasters of one-dimensional series with a fixed window."""

    name = "series"
    operations: ClassVar[Mapping[str, Operation]] = {"predict": SeriesPredict(), "forecast": SeriesForecast()}

    def recipe(self, card: ModelCard) -> object:
        return card.series

    def measure(self, arrays: Arrays, outputs: Outputs, card: ModelCard) -> Measurements:
        if "history" not in arrays:
            return {}
        values = arrays["history"][:MEASURED_ROWS].astype(np.float64)  # float32 is too coarse for small deviations
        return {"level": values.mean(axis=1), "volatility": values.std(axis=1)}


def forecast_columns(output: ModelOutput) -> dict[str, NDArray[Any]]:
    """Return ``mean`` [N, horizon], and ``lower`` and ``upper`` if the model has intervals.

    Raises:
        BadUpstream: the model returned another number of steps. BadOutput: NaN or infinity.
    """
    horizon = int(output.arrays["horizon"].max())
    columns = {}
    for name in ("mean",) if series_recipe(output.card).level is None else ("mean", "lower", "upper"):
        column = finite(output.outputs, name)
        if column.ndim != 2 or column.shape[1] != horizon:
            raise BadUpstream(f"output {name} has shape {list(column.shape)}; {horizon} steps are expected")
        columns[name] = np.ascontiguousarray(column)
    return columns


def check_horizon(horizon: Any, most: int) -> int:
    """Return the horizon if it is a whole number of 1 to ``most`` steps.

    Raises:
        BadOption: it is missing, of another type, or out of range.
    """
    if type(horizon) is int and 1 <= horizon <= most:
        return horizon
    if horizon is None:
        raise BadOption(f"horizon is missing: a whole number of 1 to {most} steps")
    given = json_type(horizon) if isinstance(horizon, (list, dict, bool)) else repr(horizon)[:40]
    raise BadOption(f"horizon must be a whole number of 1 to {most} steps, not {given}")


def _history(card: ModelCard) -> dict[str, ExpectedTensor]:
    return {"history": tensor(np.float32, series_recipe(card).window)}


def _read_history(payload: Payload, recipe: SeriesRecipe) -> NDArray[Any]:
    usage = f'{{"history": [at least {recipe.window} numbers], "horizon": 12}}'
    values = _newest(numeric.content(payload, "history", usage, ("horizon",)), recipe.window)
    return numeric.fitted(series_rows, numeric.floats(payload, values, "history"), recipe)


def _newest(history: Any, window: int) -> Any:
    """Crop each history before it is converted, so that a long one costs no more than the window."""
    if isinstance(history, np.ndarray):
        return history[..., -window:] if history.ndim else history
    if not isinstance(history, list):
        raise BadTensor(f"history must be a list of numbers, or a list of such lists, not {json_type(history)}")
    if not history:
        raise BadTensor(f"the history is empty; at least {window} values are expected")
    if isinstance(history[0], (list, np.ndarray)):
        return [row[-window:] if isinstance(row, (list, np.ndarray)) else row for row in history]
    return history[-window:]


def _whole_number(text: str) -> int | str:
    """Return a number from a query; other text stays text, so that the message can show it."""
    return int(text) if text.isascii() and text.removeprefix("-").isdigit() and len(text) < 10 else text


def _units(card: ModelCard) -> dict[str, str]:
    recipe = series_recipe(card)
    return {"unit": recipe.unit, "step": recipe.step}
