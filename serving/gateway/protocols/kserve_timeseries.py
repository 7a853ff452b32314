"""KServe's form of forecasts, ``POST /v1/timeseries/forecast``.

Source: kserve, python/kserve/kserve/protocol/rest/timeseries/types.py. Unlike there, unknown keys are refused, so that
a misspelt option does not pass unnoticed, and only those quantiles are given that the model card speaks of.
"""

import datetime
import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import orjson
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from serving.artifacts.model_card import SeriesRecipe
from serving.gateway.codecs import body as payload
from serving.gateway.codecs import large_json as large
from serving.gateway.errors import BadDocument, BadOption, BadTensor, listed
from serving.gateway.http.paths import Target
from serving.gateway.http.request import Request, Response
from serving.gateway.inference.predictor import PredictResult
from serving.gateway.kinds import answers as encode
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.protocols.native import Native, answer, card_of, required

UNIVARIATE = "univariate_time_series"
Frequency = Literal[
    "second", "S", "minute", "T", "hour", "H", "day", "D", "week", "W", "month", "M", "quarter", "Q", "year", "Y"
]
_LONG = dict(zip("STHDWMQY", ("second", "minute", "hour", "day", "week", "month", "quarter", "year"), strict=True))
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_MOST_KEYS = 20  # each unknown one is an error of its own, which takes a kilobyte


class _TimeSeriesPart(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _check_keys(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(value) > _MOST_KEYS:
            raise ValueError(f"an object has {len(value)} keys; the known ones are {listed(list(cls.model_fields))}")
        return value


def _array_as_it_is(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Long lists of numbers are arrays already.

    As lists they would take twenty times as much memory.
    """
    return value if isinstance(value, np.ndarray) and value.ndim == 1 else check(value)


class TimeSeriesInput(_TimeSeriesPart):
    type: Literal["univariate_time_series", "multivariate_time_series"]
    name: str
    series: Annotated[list[Any], WrapValidator(_array_as_it_is), Field(description="numbers, the newest last")]
    frequency: Frequency
    start_timestamp: str | None = Field(default=None, description="when the first value was, ISO 8601")


class ForecastOptions(_TimeSeriesPart):
    horizon: int
    quantiles: Annotated[list[float] | None, Field(fail_fast=True)] = None


class ForecastRequest(_TimeSeriesPart):
    model: str
    inputs: Annotated[list[TimeSeriesInput], Field(min_length=1, fail_fast=True)]
    options: ForecastOptions
    metadata: dict[str, Any] | None = None


class TimeSeries:
    """Forecasts by the native ``:forecast``."""

    def __init__(self, native: Native) -> None:
        self._native = native

    async def forecast(
        self, request: Request, target: Target, servable: ModelVersion, keys: dict[str, Any]
    ) -> Response:
        """The answer to a request that was routed to the servable.

        Raises:
            GatewayError: the model does not forecast, the input does not fit, or the model server failed.
        """
        memory = request.memory
        asked = await large.aside(memory, memory.held, _read, keys)
        servable.offer("forecast")
        recipe = required(card_of(servable).series, servable)
        ends = await large.aside(memory, memory.held, _ends, asked, recipe)
        quantiles = _quantiles(asked.options.quantiles or [], recipe)
        document = payload.JsonDocument(
            {"history": [series.series for series in asked.inputs], "horizon": asked.options.horizon}
        )
        result = await self._native.forecast(request, target, servable, document, None)
        return answer(result, _dump(result, request.id, asked, ends, quantiles))


def _read(keys: dict[str, Any]) -> ForecastRequest:
    try:
        return ForecastRequest.model_validate(keys)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadDocument(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _ends(asked: ForecastRequest, recipe: SeriesRecipe) -> list[str | None]:
    return [_end(series, recipe) for series in asked.inputs]


def _end(series: TimeSeriesInput, recipe: SeriesRecipe) -> str | None:
    """When the first value of the forecast is; None where the caller did not say when the series begins."""
    if series.type != UNIVARIATE:
        raise BadOption(f"series {series.name} is said to be {series.type}; models here forecast {UNIVARIATE}")
    if len(series.series) < recipe.window:
        raise BadTensor(
            f"series {series.name}: a history must have at least {recipe.window} values (the model's window), "
            f"but it has {len(series.series)}"
        )
    frequency = _LONG.get(series.frequency, series.frequency)
    if recipe.step in _LONG.values() and frequency != recipe.step:
        raise BadOption(f"series {series.name} has frequency {frequency}, but this model's step is one {recipe.step}")
    if series.start_timestamp is None:
        return None
    try:
        start = datetime.datetime.fromisoformat(series.start_timestamp)
        return later(start, frequency, len(series.series)).isoformat()
    except (ValueError, OverflowError):
        raise BadOption(
            f"series {series.name}: start_timestamp must be ISO 8601, such as 2026-01-31T00:00:00, and the forecast's "
            f"within the calendar, not {series.start_timestamp!r}"
        ) from None


def later(start: datetime.datetime, frequency: str, steps: int) -> datetime.datetime:
    """So many steps later; from a month's 31st to the last day of a shorter month."""
    if frequency in _SECONDS:
        return start + datetime.timedelta(seconds=_SECONDS[frequency] * steps)
    years, month = divmod(start.month - 1 + _MONTHS[frequency] * steps, 12)
    first = start.replace(year=start.year + years, month=month + 1, day=1)
    next_month = (first + datetime.timedelta(days=31)).replace(day=1)
    return first.replace(day=min(start.day, (next_month - datetime.timedelta(days=1)).day))


def _quantiles(asked: Sequence[float], recipe: SeriesRecipe) -> dict[str, str]:
    """For each quantile asked for, which of the model's outputs it is.

    Raises:
        BadOption: the model does not know it.
    """
    known = {}
    if recipe.level is not None:
        tail = (1 - recipe.level) / 2
        known = {f"{tail:.6g}": "lower", f"{1 - tail:.6g}": "upper"}
    unknown = [f"{quantile:g}" for quantile in asked if f"{quantile:.6g}" not in known]
    if unknown:
        raise BadOption(f"this model knows the quantiles {listed(list(known))}; asked for: {listed(unknown)}")
    return {f"{quantile:g}": known[f"{quantile:.6g}"] for quantile in asked}


def _dump(
    result: PredictResult,
    request_id: str,
    asked: ForecastRequest,
    ends: Sequence[str | None],
    quantiles: dict[str, str],
) -> bytes:
    columns = encode.steps(result)
    content = [
        {
            "type": series.type,
            "name": series.name,
            "mean_forecast": columns["mean"][row],
            "frequency": series.frequency,
            "start_timestamp": ends[row],
            "quantiles": {name: columns[output][row] for name, output in quantiles.items()} or None,
        }
        for row, series in enumerate(asked.inputs)
    ]
    servable = result.servable
    document = {
        "id": request_id,
        "created_at": int(time.time()),
        "status": "completed",
        "error": None,
        "model": servable.model,
        "outputs": [
            {"type": "time_series_forecast", "id": request_id, "status": "completed", "content": content, "error": None}
        ],
        "usage": None,
    }
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
