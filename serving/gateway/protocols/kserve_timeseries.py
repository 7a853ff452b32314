"""KServe's time series API, ``POST /v1/timeseries/forecast``.

Source: kserve, python/kserve/kserve/protocol/rest/timeseries/types.py. Unlike KServe, the gateway refuses unknown keys,
so that a misspelt option is noticed, and returns only the quantiles that the model card names.
"""

import datetime
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
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
from serving.gateway.codecs.body import JsonDocument
from serving.gateway.codecs.offload import offload
from serving.gateway.errors import BadDocument, BadOption, BadTensor, listed
from serving.gateway.http.paths import Target
from serving.gateway.http.request import Request, Response
from serving.gateway.kinds.series import forecast_columns, series_recipe
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.protocols.native import NativeProtocol, dump, respond

UNIVARIATE = "univariate_time_series"
Frequency = Literal[
    "second", "S", "minute", "T", "hour", "H", "day", "D", "week", "W", "month", "M", "quarter", "Q", "year", "Y"
]
_LONG = dict(zip("STHDWMQY", ("second", "minute", "hour", "day", "week", "month", "quarter", "year"), strict=True))
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
BUSINESS_DAY = "business day"  # KServe has no such frequency: requests say "day"
_MOST_KEYS = 20  # pydantic makes an error of about a kilobyte for each unknown key


class _TimeSeriesPart(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _check_keys(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(value) > _MOST_KEYS:
            raise ValueError(f"an object has {len(value)} keys; the known ones are {listed(list(cls.model_fields))}")
        return value


def _keep_array(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Accept a long list of numbers that is an array already: as a list it would take 20 times the memory."""
    return value if isinstance(value, np.ndarray) and value.ndim == 1 else check(value)


class TimeSeriesInput(_TimeSeriesPart):
    """One series of a request."""

    type: Literal["univariate_time_series", "multivariate_time_series"]
    name: str
    series: Annotated[list[Any], WrapValidator(_keep_array), Field(description="numbers, the newest last")]
    frequency: Frequency
    start_timestamp: str | None = Field(default=None, description="time of the first value, ISO 8601")


class ForecastOptions(_TimeSeriesPart):
    """Horizon and quantiles of the forecasts."""

    horizon: int
    quantiles: Annotated[list[float] | None, Field(fail_fast=True)] = None


class ForecastRequest(_TimeSeriesPart):
    """A request for forecasts."""

    model: str
    inputs: Annotated[list[TimeSeriesInput], Field(min_length=1, fail_fast=True)]
    options: ForecastOptions
    metadata: dict[str, Any] | None = None


class KServeTimeSeriesProtocol:
    """Answers requests for forecasts by the native ``:forecast``."""

    def __init__(self, native: NativeProtocol) -> None:
        self._native = native

    async def forecast(self, request: Request, target: Target, version: ModelVersion, keys: dict[str, Any]) -> Response:
        """Answer a request that was routed to the version.

        Raises:
            GatewayError: the model does not forecast, the input does not fit, or the model server failed.
        """
        memory = request.memory
        parsed = await offload(memory, memory.held, _parse, keys)
        version.offer("forecast")
        assert version.card is not None  # it offers a native verb
        recipe = series_recipe(version.card)
        starts = await offload(memory, memory.held, _forecast_starts, parsed, recipe)
        quantiles = _quantiles(parsed.options.quantiles or [], recipe)
        histories = [series.series for series in parsed.inputs]
        document = JsonDocument({"history": histories, "horizon": parsed.options.horizon})
        version, output = await self._native.run(request, target, version, "forecast", document, {})
        content = _content(forecast_columns(output), parsed, starts, quantiles)
        return respond(version, dump(_response(request.id, version.model, content)))


def _parse(keys: dict[str, Any]) -> ForecastRequest:
    try:
        return ForecastRequest.model_validate(keys)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadDocument(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _forecast_starts(parsed: ForecastRequest, recipe: SeriesRecipe) -> list[str | None]:
    return [_forecast_start(series, recipe) for series in parsed.inputs]


def _forecast_start(series: TimeSeriesInput, recipe: SeriesRecipe) -> str | None:
    """Return the time of the forecast's first value; None if the request has no start of the series."""
    if series.type != UNIVARIATE:
        raise BadOption(f"series {series.name} has type {series.type}; models here forecast {UNIVARIATE}")
    if len(series.series) < recipe.window:
        raise BadTensor(
            f"series {series.name}: a history must have at least {recipe.window} values (the model's window), "
            f"but it has {len(series.series)}"
        )
    frequency = _LONG.get(series.frequency, series.frequency)
    wanted = "day" if recipe.step == BUSINESS_DAY else recipe.step
    if wanted in _LONG.values() and frequency != wanted:
        raise BadOption(f"series {series.name} has frequency {frequency}, but this model's step is {recipe.duration}")
    if series.start_timestamp is None:
        return None
    try:
        start = datetime.datetime.fromisoformat(series.start_timestamp)
        unit = BUSINESS_DAY if recipe.step == BUSINESS_DAY else frequency
        return later(start, unit, len(series.series)).isoformat()
    except (ValueError, OverflowError):
        raise BadOption(
            f"series {series.name}: start_timestamp must be ISO 8601, such as 2026-01-31T00:00:00, and the forecast "
            f"must end before the year 10000, not {series.start_timestamp!r}"
        ) from None


def later(start: datetime.datetime, frequency: str, steps: int) -> datetime.datetime:
    """Return the time after some steps.

    A 31st becomes the last day of a shorter month. A weekend has no business day; holidays are not known.
    """
    if frequency == BUSINESS_DAY:
        weekday = min(start.weekday(), 4)
        weeks, days = divmod(weekday + steps, 5)
        return start + datetime.timedelta(days=7 * weeks + days - start.weekday())
    if frequency in _SECONDS:
        return start + datetime.timedelta(seconds=_SECONDS[frequency] * steps)
    years, month = divmod(start.month - 1 + _MONTHS[frequency] * steps, 12)
    first = start.replace(year=start.year + years, month=month + 1, day=1)
    next_month = (first + datetime.timedelta(days=31)).replace(day=1)
    return first.replace(day=min(start.day, (next_month - datetime.timedelta(days=1)).day))


def _quantiles(requested: Sequence[float], recipe: SeriesRecipe) -> dict[str, str]:
    """Return the model's output for each requested quantile.

    Raises:
        BadOption: the model has no such quantile.
    """
    known = {}
    if recipe.level is not None:
        tail = (1 - recipe.level) / 2
        known = {f"{tail:.6g}": "lower", f"{1 - tail:.6g}": "upper"}
    unknown = [f"{quantile:g}" for quantile in requested if f"{quantile:.6g}" not in known]
    if unknown:
        raise BadOption(f"this model has the quantiles {listed(list(known))}; the request has {listed(unknown)}")
    return {f"{quantile:g}": known[f"{quantile:.6g}"] for quantile in requested}


def _content(
    columns: Mapping[str, NDArray[Any]],
    parsed: ForecastRequest,
    starts: Sequence[str | None],
    quantiles: dict[str, str],
) -> list[dict[str, Any]]:
    return [
        {
            "type": series.type,
            "name": series.name,
            "mean_forecast": columns["mean"][row],
            "frequency": series.frequency,
            "start_timestamp": starts[row],
            "quantiles": {name: columns[output][row] for name, output in quantiles.items()} or None,
        }
        for row, series in enumerate(parsed.inputs)
    ]


def _response(request_id: str, model: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": request_id,
        "created_at": int(time.time()),
        "status": "completed",
        "error": None,
        "model": model,
        "outputs": [
            {"type": "time_series_forecast", "id": request_id, "status": "completed", "content": content, "error": None}
        ],
        "usage": None,
    }
