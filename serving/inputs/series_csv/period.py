"""How far the rows of a series are apart: its period and season."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.inputs.series_csv.errors import SeriesFileError
from serving.inputs.series_csv.time_forms import MONTH, QUARTER, YEAR
from serving.inputs.series_csv.times import Times

_REGULAR = 0.8  # least share of rows that are one step apart


@dataclass(frozen=True)
class Period:
    """One step of a series, its season in steps, and the number of steps that have no row."""

    step: str
    season: int
    gaps: int = 0

    @property
    def duration(self) -> str:
        """The step with its number, for sentences: one day, 15 minutes."""
        return self.step if self.step[:1].isdigit() else f"one {self.step}"


#: Periods by the name of the option ``--period``.
PERIODS = {
    "hourly": Period("hour", 24),
    "daily": Period("day", 7),
    "business-daily": Period("business day", 5),
    "weekly": Period("week", 52),
    "monthly": Period("month", 12),
    "quarterly": Period("quarter", 4),
    "yearly": Period("year", 1),
}
_MONTHS = {1: "monthly", 3: "quarterly", 12: "yearly"}


def find_period(times: Times) -> Period:
    """Find the period of ascending times.

    Raises:
        SeriesFileError: the rows have no common distance.
    """
    values = times.values
    seconds = np.diff(values).astype(np.int64)
    days = values.astype("datetime64[D]")
    months = np.diff(values.astype("datetime64[M]").astype(np.int64))
    typical = float(np.median(seconds)) / 86_400
    for distance, name in _MONTHS.items():
        if typical == 28 and np.ptp(seconds) == 0:
            break
        if abs(typical - 30.4 * distance) < 3.5 * distance or (
            times.precision <= MONTH and np.median(months) == distance
        ):
            return _regular(name, months, distance, values)
    if times.precision in (YEAR, QUARTER):
        raise _irregular(values)
    if 6.5 < typical < 7.5:
        return _regular("weekly", np.round(seconds / 604_800), 1, values)
    if 0.5 < typical < 1.5:
        return _daily(days, values)
    if 0 < typical <= 0.5:
        return _within_a_day(seconds, days, values)
    if typical.is_integer() and np.mean(seconds == typical * 86_400) >= _REGULAR:
        return Period(
            f"{typical:.0f} days", max(round(365.25 / typical), 1), int((seconds > 1.5 * typical * 86_400).sum())
        )
    raise _irregular(values)


def _daily(days: NDArray[np.datetime64], values: NDArray[np.datetime64]) -> Period:
    steps = np.diff(days).astype(np.int64)
    weekdays = Counter(((days.astype(np.int64) + 3) % 7).tolist())  # 1970-01-01 was a Thursday
    usual = sum(count > 0.02 * len(days) for count in weekdays.values())
    if usual > 6:
        return _regular("daily", steps, 1, values)
    if (steps <= 5).mean() < _REGULAR:
        raise _irregular(values)
    weeks = steps > 5
    return Period("business day", max(usual, PERIODS["business-daily"].season), int(weeks.sum()))


def _within_a_day(seconds: NDArray[np.int64], days: NDArray[np.datetime64], values: NDArray[np.datetime64]) -> Period:
    distance = int(np.median(seconds))
    if 3_590 <= distance <= 3_610:
        distance = 3_600
    if (np.abs(seconds - distance) <= 0.02 * distance).mean() < _REGULAR:
        raise _irregular(values)
    gaps = int((seconds > 1.5 * distance).sum())
    rows_a_day = Counter(days.astype(np.int64).tolist()).values()
    whole_day = round(86_400 / distance)
    around_the_clock = len(rows_a_day) == 1 or max(rows_a_day) > 0.9 * whole_day  # else hours of trading
    season = whole_day if around_the_clock else int(np.median(list(rows_a_day)))
    return Period(_named(distance), max(season, 1), gaps if around_the_clock else 0)


def _named(seconds: int) -> str:
    for unit, length in (("hour", 3_600), ("minute", 60), ("second", 1)):
        if seconds % length == 0:
            count = seconds // length
            return unit if count == 1 else f"{count} {unit}s"
    raise AssertionError


def _regular(name: str, steps: NDArray[np.generic], distance: int, values: NDArray[np.datetime64]) -> Period:
    if np.mean(steps == distance) < _REGULAR:
        raise _irregular(values)
    missing = int(np.sum(np.maximum(np.round(steps.astype(np.float64) / distance) - 1, 0)))
    period = PERIODS[name]
    return Period(period.step, period.season, missing)


def _irregular(values: NDArray[np.datetime64]) -> SeriesFileError:
    days = np.diff(values).astype(np.int64) / 86_400
    return SeriesFileError(
        f"has rows that are {days.min():.3g} to {days.max():.3g} days apart (median {np.median(days):.3g}), which is "
        f"no regular period; name it with --period: {', '.join(PERIODS)}"
    )
