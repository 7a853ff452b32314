"""Time series: the newest values of each history in, the next value or a forecast out."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from serving.artifacts.model_card import ModelCard, SeriesRecipe
from serving.gateway.backends.base import Arrays, Outputs
from serving.gateway.codecs.body import JsonDocument, Payload
from serving.gateway.codecs.finite import finite
from serving.gateway.codecs.offload import LARGE, offload
from serving.gateway.errors import BadOption, BadUpstream, shown
from serving.gateway.kinds import numeric, series_quantiles
from serving.gateway.kinds.assessment import PROPERTIES, add_typicality, measure_typicality
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
from serving.gateway.kinds.series_request import SeriesRequest, check_horizon, read_forecast, read_values

_NUMBERS = array_of(NUMBER)
_VALUES = array_of({"type": ["number", "null"]})
_HISTORY = {"oneOf": [_VALUES, array_of(_VALUES)]}
_REQUEST = object_of(
    {"history": _HISTORY}, {"horizon": {"type": "integer", "minimum": 1, "description": "for :forecast only"}}
)
_TIMES = {
    "timestamps": array_of(TEXT, description="time of each value, ISO 8601, one step apart"),
    "start": {"type": "string", "description": "time of the first value, in place of timestamps"},
    "frequency": {
        "type": "string",
        "description": "the step, if the card does not say it: day, business day, week, month, 15 minutes, …",
    },
}
_FORECAST_REQUEST = object_of(
    {},
    {
        "history": _HISTORY,
        **_TIMES,
        "series": array_of(
            object_of({"name": TEXT, "history": _VALUES}, _TIMES), description="several series, in place of history"
        ),
        "horizon": {"type": "integer", "minimum": 1, "description": "steps ahead"},
        "quantiles": array_of(
            {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, maxItems=series_quantiles.MOST
        ),
        "naive": {"type": "boolean", "description": "whether to return the naive forecast too"},
    },
)
_FORECAST = object_of(
    {"mean": _NUMBERS},
    {
        "name": TEXT,
        "timestamps": array_of(TEXT),
        "lower": _NUMBERS,
        "upper": _NUMBERS,
        "quantiles": {"type": "object", "additionalProperties": _NUMBERS, "description": "by level"},
        "naive": object_of(
            {"mean": _NUMBERS, "season": {"type": "integer", "description": "steps after which it repeats the history"}}
        ),
        "interpolated": {"type": "integer", "description": "null values of the history that were filled"},
    }
    | PROPERTIES,
)


def series_recipe(card: ModelCard) -> SeriesRecipe:
    """Return the card's section; versions without it do not offer the verbs."""
    assert card.series is not None
    return card.series


class SeriesPredict(Operation):
    """``:predict``: the next value of each history."""

    assessed = True
    docs = OperationDocs(
        description="A series model returns the next value of each history.",
        request=("SeriesDocument", _REQUEST, {"history": [1.0, 0.95, 0.81]}),
        response=(
            "NextValues",
            object_of(
                {
                    "predictions": array_of(object_of({"value": NUMBER}, {"interpolated": INTEGER} | PROPERTIES)),
                    "unit": TEXT,
                    "step": TEXT,
                }
            ),
            {"predictions": [{"value": 0.588}], "unit": "1", "step": "π/10"},
        ),
        media_types=numeric.MEDIA_TYPES,
    )

    def expected(self, card: ModelCard) -> Expected | str:
        return Expected("serving_default", _history(card), {"prediction": tensor(np.float32)})

    async def read(self, payload: Payload, options: Options, context: ReadContext) -> ModelInput:
        request = read_values(payload, series_recipe(context.card), ("horizon",))
        horizon = payload.keys.get("horizon") if isinstance(payload, JsonDocument) else None
        if horizon is not None and check_horizon(horizon, series_recipe(context.card).max_horizon) != 1:
            raise BadOption(f":predict returns the next value only; use :forecast for a horizon of {horizon}")
        return ModelInput({"history": request.values}, request=request)

    def write(self, output: ModelOutput, options: Options) -> dict[str, Any]:
        values = [{"value": value} for value in finite(output.outputs, "prediction")]
        for value, details in zip(values, output.request.details, strict=False):  # one for each, or none
            if details.interpolated:
                value["interpolated"] = details.interpolated
        add_typicality(values, output.outputs, output.card, "history")
        return {"predictions": values, **_units(output.card)}


class SeriesForecast(Operation):
    """``:forecast``: the next ``horizon`` values of each history, with an interval if the model has one."""

    options: ClassVar[Mapping[str, Parser]] = {"horizon": lambda text: _whole_number(text)}
    docs = OperationDocs(
        description=(
            "A history is cropped to the newest values that the model reads (its window); a shorter one is refused. "
            "`notes` are the model card's: read them before you trust a forecast. With `timestamps`, or `start` and "
            "`frequency`, each forecast has its times. `null` values are interpolated and counted in `interpolated`: "
            "at most a fifth of the values that the model reads, 3 in a row, never the newest."
        ),
        request=("ForecastDocument", _FORECAST_REQUEST, {"history": [1.0, 0.95, 0.81], "horizon": 12}),
        response=(
            "Forecasts",
            object_of(
                {
                    "forecasts": array_of(_FORECAST),
                    "horizon": INTEGER,
                    "unit": TEXT,
                    "step": TEXT,
                    "level": {"type": ["number", "null"], "description": "nominal coverage of lower…upper"},
                    "notes": array_of(TEXT),
                },
                {
                    "error": {
                        "type": "number",
                        "description": "mean absolute error over the longest horizon, on the model's test data",
                    },
                    "hurdles": {
                        "type": "object",
                        "description": "the same error of naive, seasonal, drift, auto_ets and auto_theta",
                        "additionalProperties": NUMBER,
                    },
                },
            ),
            {
                "forecasts": [{"mean": [0.588, 0.31], "lower": [0.55, 0.27], "upper": [0.63, 0.35]}],
                "horizon": 2,
                "unit": "1",
                "step": "π/10",
                "level": 0.9,
                "notes": [],
                "error": 0.0001,
                "hurdles": {"naive": 0.81, "seasonal": 0.0},
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
        horizon = options.get("horizon")
        if isinstance(payload, JsonDocument) and "horizon" in payload.keys:
            if horizon is not None:
                raise BadOption("horizon is in the query and in the body; send one of them")
            horizon = payload.keys["horizon"]
        card, memory = context.card, context.memory
        many = isinstance(payload, JsonDocument) and "series" in payload.keys  # 128 of them take milliseconds
        size = LARGE if many else context.body_bytes
        request = await offload(memory, size, read_forecast, payload, horizon, card, context.max_rows, memory)
        steps = np.full(len(request.values), request.horizon, np.int32)
        return ModelInput({"history": request.values, "horizon": steps}, request=request)

    def write(self, output: ModelOutput, options: Options) -> dict[str, Any]:
        return {
            "forecasts": forecasts(output),
            "horizon": int(output.arrays["horizon"].max()),
            **_units(output.card),
            "level": series_recipe(output.card).level,
            "notes": [*output.card.notes, *_interpolations(output.request)],
            **_hurdles(output.card),
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
        measured = {"level": values.mean(axis=1), "volatility": values.std(axis=1)}
        return measured | measure_typicality(outputs, MEASURED_ROWS)


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


def forecasts(output: ModelOutput) -> list[dict[str, Any]]:
    """Return the forecast of each history, with its typicality and what the request asks for.

    Raises: as :func:`forecast_columns`.
    """
    request: SeriesRequest = output.request
    columns = forecast_columns(output)
    rows, horizon = columns["mean"].shape
    made: list[dict[str, Any]] = [{name: column[row] for name, column in columns.items()} for row in range(rows)]
    quantiles = series_quantiles.of_forecasts(request.quantiles, series_recipe(output.card), columns)
    for row, details in enumerate(request.details):
        more = made[row]
        if details.name is not None:
            more["name"] = details.name
        if details.axis is not None:
            more["timestamps"] = [details.axis.text(time) for time in details.times]
        if quantiles:
            more["quantiles"] = {name: column[row] for name, column in quantiles.items()}
        if details.season is not None:
            more["naive"] = {"mean": np.resize(details.season, horizon), "season": len(details.season)}
        if details.interpolated:
            more["interpolated"] = details.interpolated
    add_typicality(made, output.outputs, output.card, "history")
    return made


def _history(card: ModelCard) -> dict[str, ExpectedTensor]:
    return {"history": tensor(np.float32, series_recipe(card).window)}


def _interpolations(request: SeriesRequest) -> Iterator[str]:
    for details in request.details:
        if details.interpolated:
            of = "" if details.name is None else f" of series {shown(details.name)}"
            yield f"Missing values{of} that were interpolated: {details.interpolated}."


def _whole_number(text: str) -> int | str:
    """Return a number from a query; other text stays text, so that the message can show it."""
    return int(text) if text.isascii() and text.removeprefix("-").isdigit() and len(text) < 10 else text


def _hurdles(card: ModelCard) -> dict[str, Any]:
    """Return the errors of the model and of its hurdles on the test data, if the card has them."""
    error = card.metrics.get("horizon_mae")
    return {"error": error, "hurdles": card.hurdles} if card.hurdles and error is not None else {}


def _units(card: ModelCard) -> dict[str, str]:
    recipe = series_recipe(card)
    return {"unit": recipe.unit, "step": recipe.step}
