"""Requests to series models: histories with times and missing values, and what the answer shall hold."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import NoneType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from serving.artifacts.model_card import ModelCard, SeriesRecipe
from serving.gateway.codecs import numbers
from serving.gateway.codecs.body import JsonDocument, Payload
from serving.gateway.errors import BadDocument, BadOption, BadTensor, InvalidInput, listed, shown
from serving.gateway.http.memory_budget import Reservation
from serving.gateway.kinds import numeric, series_quantiles
from serving.inputs import calendar
from serving.inputs.calendar import CalendarError, Frequency, TimeAxis
from serving.inputs.missing_values import interpolated, newest_with_neighbours
from serving.inputs.rows import RowError, series_rows
from serving.tfs_api.rest_json.errors import json_type

T = TypeVar("T")

_TIMES = ("timestamps", "start", "frequency")
_OPTIONS = ("horizon", "quantiles", "naive")
_NAMED = ("name", "history", *_TIMES)
_TIME_BYTES = 120  # of a time in a forecast, and as text in the answer
_NUMBER_BYTES = 40  # of a number in a forecast, and as text


@dataclass(slots=True)
class Details:
    """More about one history of a request.

    Attributes:
        name: the caller's name for it.
        interpolated: number of values that were null.
        axis: its times, if the request has them.
        times: those of the forecast.
        season: the newest values, which the naive forecast repeats; None if it was not requested.
    """

    name: str | None = None
    interpolated: int = 0
    axis: TimeAxis | None = None
    times: Sequence[datetime] = ()
    season: NDArray[np.float32] | None = None


@dataclass(slots=True)
class SeriesRequest:
    """Histories, float32 [N, window], with details of each where it has any, and what is requested for all of them."""

    values: NDArray[np.float32]
    details: list[Details] = field(default_factory=list)
    horizon: int = 1
    quantiles: tuple[float, ...] = ()


def read_values(payload: Payload, recipe: SeriesRecipe, optional: Sequence[str]) -> SeriesRequest:
    """Read ``history`` of a body, one or several, without times.

    Args:
        payload: the body.
        recipe: the window.
        optional: keys that a JSON body may have beside the history.

    Raises:
        BadDocument, BadTensor, UnsupportedMedia: the body does not fit.
    """
    values, counts = _values(payload, _history(payload, recipe, optional), recipe)
    return SeriesRequest(values, [Details(interpolated=count) for count in counts])


def read_forecast(
    payload: Payload, horizon: object, card: ModelCard, max_rows: int, memory: Reservation
) -> SeriesRequest:
    """Read the body of a request for forecasts.

    Raises:
        BadDocument, BadTensor, BadOption, UnsupportedMedia: the body does not fit.
        TooLarge, Overloaded: the answer would not fit into the memory budget.
    """
    assert card.series is not None  # it offers :forecast
    recipe, keys = card.series, payload.keys if isinstance(payload, JsonDocument) else {}
    several = "series" in keys
    histories = _several(keys) if several else _history(payload, recipe, (*_OPTIONS, *_TIMES))
    request = SeriesRequest(np.empty(0, np.float32))
    counts: list[int] = []
    if not several:
        request.values, counts = _values(payload, histories, recipe)
    request.horizon = check_horizon(horizon, recipe.max_horizon)
    request.quantiles = series_quantiles.requested(keys.get("quantiles"), recipe)
    season = _season(keys.get("naive", False), card)
    if not (several or counts or season or request.quantiles or any(key in keys for key in _TIMES)):
        return request
    rows = len(histories if several else request.values)
    if rows > max_rows:
        raise BadTensor(f"a request has 1 to {max_rows} rows, not {rows}")
    memory.hold(rows * request.horizon * (_TIME_BYTES + _NUMBER_BYTES * (len(request.quantiles) + 1)))
    listed_times = [one.get("timestamps") for one in (histories if several else [keys])]
    memory.hold(_TIME_BYTES * sum(len(one) for one in listed_times if isinstance(one, list)))
    if several:
        read = [_named(one["name"], _one, payload, one, recipe, season, request.horizon) for one in histories]
        request.values = np.concatenate([values for values, _ in read])
        request.details = [details for _, details in read]
        return request
    histories = histories if _is_nested(histories) else [histories]
    axes = {length: _axis(keys, length, recipe) for length in set(map(len, histories))}
    times = {length: _checked(axis.ahead, request.horizon) for length, axis in axes.items() if axis is not None}
    for row, count in zip(histories, counts or [0] * rows, strict=True):
        details = Details(None, count, axes[len(row)], times.get(len(row), ()))
        details.season = _last_season(payload, row, recipe, season)
        request.details.append(details)
    return request


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


def _season(naive: object, card: ModelCard) -> int:
    """Return the steps that the naive forecast repeats, 0 if it is not requested.

    It is the card's season, or 1 if the last value was the better forecast in the test.
    """
    if type(naive) is not bool:
        raise BadOption(f"naive must be true or false, not {json_type(naive)}")
    assert card.series is not None
    last, seasonal = (card.metrics.get(f"horizon_{name}_mae", math.nan) for name in ("naive", "seasonal"))
    return 0 if not naive else 1 if last < seasonal else card.series.season or 1


def _history(payload: Payload, recipe: SeriesRecipe, optional: Sequence[str]) -> Any:
    usage = f'{{"history": [at least {recipe.window} numbers], "horizon": 12}}'
    return numeric.content(payload, "history", usage, optional)


def _several(keys: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return ``series``: objects with a name."""
    unknown = keys.keys() - {"series", *_OPTIONS}
    if unknown:
        raise BadDocument(
            f"a request with series has the keys series, {listed(_OPTIONS)}, not {listed(sorted(unknown))}; times "
            "belong into each of the series"
        )
    several = keys["series"]
    if not isinstance(several, list) or not several:
        found = "an empty list" if isinstance(several, list) else json_type(several)
        raise BadDocument(f'series must be a list such as [{{"name": "a", "history": [1.5, 2]}}], not {found}')
    for index, one in enumerate(several):
        if not isinstance(one, dict) or not isinstance(one.get("name"), str):
            raise BadDocument(f'series {index} must be an object with a name: {{"name": "a", "history": [1.5, 2]}}')
    return several


def _one(
    payload: Payload, keys: Mapping[str, Any], recipe: SeriesRecipe, season: int, horizon: int
) -> tuple[NDArray[np.float32], Details]:
    """Read one of several series."""
    unknown = keys.keys() - set(_NAMED)
    if unknown or "history" not in keys:
        raise BadDocument(
            f"the keys must be {listed(_NAMED)}, of which history is required; sent: {listed(list(keys))}"
        )
    history = keys["history"]
    if _is_nested(history):
        raise BadTensor("history must be one list of numbers")
    values, counts = _values(payload, history, recipe)
    details = Details(keys["name"], sum(counts), _axis(keys, len(history), recipe))
    if details.axis is not None:
        details.times = details.axis.ahead(horizon)
    details.season = _last_season(payload, history, recipe, season)
    return values, details


def _last_season(payload: Payload, history: Any, recipe: SeriesRecipe, season: int) -> NDArray[np.float32] | None:
    """Return what the naive forecast repeats: the last value if the history is shorter than a season."""
    if not season:
        return None
    window = season if len(history) >= season else 1
    values, _ = _values(payload, history, recipe.model_copy(update={"window": window}))
    newest: NDArray[np.float32] = values[0]
    return newest


def _axis(keys: Mapping[str, Any], length: int, recipe: SeriesRecipe) -> TimeAxis | None:
    """Return the times of a history; None if the request has none.

    Raises:
        BadOption: the times or the frequency cannot be used.
    """
    timestamps, start = keys.get("timestamps"), keys.get("start")
    frequency = _frequency(keys.get("frequency"), recipe)
    if timestamps is None and start is None:
        return None
    if timestamps is not None and start is not None:
        raise BadOption("timestamps and start are given; send one of them")
    if frequency is None:
        raise BadOption(f"frequency is missing: this model's step, {recipe.step}, has no dates. Send one, such as day")
    if timestamps is None:
        return _checked(calendar.from_start, start, "start", frequency, length)
    if not isinstance(timestamps, list):
        raise BadOption(f"timestamps must be a list of strings, not {json_type(timestamps)}")
    if len(timestamps) != length:
        raise BadOption(f"timestamps must have one time for each value; {len(timestamps)} are for {length} values")
    return _checked(calendar.from_timestamps, timestamps, frequency, keys.get("frequency") is not None)


def _frequency(given: object, recipe: SeriesRecipe) -> Frequency | None:
    """Return the step by the request or by the card; None if neither is one of a calendar."""
    step = Frequency.parse(recipe.step)
    if given is None:
        return step
    frequency = Frequency.parse(given) if isinstance(given, str) else None
    if frequency is None:
        shown_value = repr(given)[:40] if isinstance(given, (str, int, float)) else json_type(given)
        raise BadOption(
            "frequency must be second, minute, hour, day, business day, week, month, quarter or year, also with a "
            f"number before it, such as 15 minutes, not {shown_value}"
        )
    if step is None or frequency.size == step.size:
        return frequency
    if frequency.is_daily and step.is_daily:
        return Frequency(1, calendar.BUSINESS_DAY)
    raise BadOption(f"the frequency is {frequency}, but this model's step is {recipe.duration}")


def _values(payload: Payload, history: Any, recipe: SeriesRecipe) -> tuple[NDArray[np.float32], list[int]]:
    """Return the newest values of each history, [N, window], and how many of each are interpolated, if any are."""
    newest, counts = _newest(history, recipe.window)
    values = numeric.fitted(series_rows, numeric.floats(payload, newest, "history"), recipe)
    return values, counts if any(counts) else []


def _newest(history: Any, window: int) -> tuple[Any, list[int]]:
    """Crop each history before it is converted, so that a long one costs no more than the window; fill null values."""
    if isinstance(history, np.ndarray):
        return history[..., -window:] if history.ndim else history, []
    if not isinstance(history, list):
        raise BadTensor(f"history must be a list of numbers, or a list of such lists, not {json_type(history)}")
    if not history:
        raise BadTensor(f"the history is empty; at least {window} values are expected")
    if not _is_nested(history):
        values, count = _filled(history, window)
        return values, [count]
    filled = [_filled(row, window) for row in history]
    return [values for values, _ in filled], [count for _, count in filled]


def _filled(row: Any, window: int) -> tuple[Any, int]:
    """Return the newest values of one history, without null if there are as many as the window."""
    if not isinstance(row, (list, np.ndarray)):
        return row, 0
    newest = row[-window:]
    if isinstance(row, np.ndarray) or NoneType not in map(type, newest):
        return newest, 0
    if len(newest) < window:  # refused for its length
        return [value or 0 for value in newest], 0
    tail = row[-newest_with_neighbours(window) :]
    known = numbers.array([0 if value is None else value for value in tail], np.dtype(np.float32), "history")
    known = known.astype(np.float64)
    known[[value is None for value in tail]] = np.nan
    try:
        return interpolated(known, window)
    except RowError as error:
        raise BadTensor(str(error)) from None


def _is_nested(history: Any) -> bool:
    if isinstance(history, np.ndarray):
        return history.ndim > 1
    return isinstance(history, list) and bool(history) and isinstance(history[0], (list, np.ndarray))


def _checked(function: Callable[..., T], *arguments: Any) -> T:
    try:
        return function(*arguments)
    except CalendarError as error:
        raise BadOption(str(error)) from None


def _named(name: str, function: Callable[..., T], *arguments: Any) -> T:
    """Return the function's result; its errors name the series."""
    try:
        return _checked(function, *arguments)
    except InvalidInput as error:
        raise type(error)(f"series {shown(name)}: {error.message}") from None
