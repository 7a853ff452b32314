"""KServe's time series API, ``POST /v1/timeseries/forecast``.

Source: kserve, python/kserve/kserve/protocol/rest/timeseries/types.py. Unlike KServe, the gateway refuses unknown keys,
so that a misspelt option is noticed. It adds ``timestamps`` of the values, which are exact where days are left out
(weekends, holidays), the ``typicality`` of a history, and more frequencies: business day, 15 minutes.
"""

import time
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from serving.artifacts.model_card import SeriesRecipe
from serving.gateway.codecs.body import JsonDocument
from serving.gateway.codecs.offload import offload
from serving.gateway.errors import BadDocument, BadOption, field_error, listed, shown
from serving.gateway.http.paths import Target
from serving.gateway.http.request import Request, Response
from serving.gateway.kinds.assessment import TYPICALITY
from serving.gateway.kinds.base import ModelOutput
from serving.gateway.kinds.series import forecasts, series_recipe
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.protocols.native import NativeProtocol, dump, respond
from serving.inputs.calendar import Frequency

UNIVARIATE = "univariate_time_series"
_MOST_KEYS = 20  # pydantic makes an error of about a kilobyte for each unknown key


class _TimeSeriesPart(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _check_keys(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(value) > _MOST_KEYS:
            known = listed(list(cls.model_fields))
            raise PydanticCustomError("keys", f"an object has {len(value)} keys; the known ones are {known}")
        return value


def _known(frequency: str) -> str:
    """Accept KServe's frequencies, and the others of :class:`Frequency`."""
    if Frequency.parse(frequency) is None:
        raise PydanticCustomError(
            "frequency",
            "Input should be 'second', 'minute', 'hour', 'day', 'week', 'month', 'quarter' or 'year', their letters "
            "S, T, H, D, W, M, Q, Y, or such as 'business day' or '15 minutes'",
        )
    return frequency


def _keep_array(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Accept a long list of numbers that is an array already: as a list it would take 20 times the memory."""
    return value if isinstance(value, np.ndarray) and value.ndim == 1 else check(value)


class TimeSeriesInput(_TimeSeriesPart):
    """One series of a request."""

    type: Literal["univariate_time_series", "multivariate_time_series"]
    name: str
    series: Annotated[list[Any], WrapValidator(_keep_array), Field(description="numbers, the newest last")]
    frequency: Annotated[
        str, AfterValidator(_known), Field(description="second, S, minute, T, hour, H, day, D, week, W, month, M, …")
    ]
    start_timestamp: str | None = Field(default=None, description="time of the first value, ISO 8601")
    timestamps: list[str] | None = Field(default=None, description="time of each value, in place of the start")


class ForecastOptions(_TimeSeriesPart):
    """Horizon and quantiles of the forecasts."""

    horizon: int
    quantiles: Annotated[list[float] | None, Field(fail_fast=True)] = None
    naive: bool = Field(default=False, description="whether to return the naive forecast too")


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
        document = JsonDocument(
            {
                "series": [_native(series, recipe) for series in parsed.inputs],
                "horizon": parsed.options.horizon,
                "quantiles": parsed.options.quantiles,
                "naive": parsed.options.naive,
            }
        )
        version, output = await self._native.run(request, target, version, "forecast", document, {})
        assert version.kind is not None  # as above
        operation = version.kind.operations["forecast"]
        output.outputs = await self._native.with_prediction(request, version, operation, output)
        return respond(version, dump(_response(request.id, version.model, _content(output, parsed))))


def _parse(keys: dict[str, Any]) -> ForecastRequest:
    try:
        return ForecastRequest.model_validate(keys)
    except ValidationError as error:
        raise BadDocument(field_error(error.errors()[0])) from None


def _native(series: TimeSeriesInput, recipe: SeriesRecipe) -> dict[str, Any]:
    """Return a series as the native API has it.

    KServe's frequency is a unit. If it is the model's, the card says the step: 15 minutes, business day.
    """
    if series.type != UNIVARIATE:
        raise BadOption(f"series {shown(series.name)} has type {series.type}; models here forecast {UNIVARIATE}")
    frequency, step = Frequency.parse(series.frequency), Frequency.parse(recipe.step)
    is_days = frequency == Frequency(1, "day") and step is not None and step.is_daily
    of_card = step is not None and (frequency == Frequency(1, step.unit) or is_days)
    return {
        "name": series.name,
        "history": series.series,
        "start": series.start_timestamp,
        "timestamps": series.timestamps,
        "frequency": None if of_card else series.frequency,
    }


def _content(output: ModelOutput, parsed: ForecastRequest) -> list[dict[str, Any]]:
    content = []
    for series, details, made in zip(parsed.inputs, output.request.details, forecasts(output), strict=True):
        times = ["timestamps"] if series.timestamps is not None else []
        more = ("naive", "interpolated", TYPICALITY, "warning", *times)
        content.append(
            {
                "type": series.type,
                "name": series.name,
                "mean_forecast": made["mean"],
                "frequency": series.frequency,
                "start_timestamp": details.times[0].isoformat() if details.times else None,
                "quantiles": made.get("quantiles"),
                **{name: made[name] for name in more if name in made},
            }
        )
    return content


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
