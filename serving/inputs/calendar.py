"""The times of a series: ISO 8601 in and out, with steps of a clock or a calendar.

Rules:

- A step of seconds, minutes, hours, days or weeks is a fixed duration.
- A month, quarter or year goes to the same day; a 31st becomes the last day of a shorter month.
- A business day is Monday to Friday. Holidays are not known: in a history they are gaps of up to five days.
- All times of a series have one offset from UTC, or none. So clocks do not change within a series.

The standard library covers all of this; libraries for recurring dates, such as dateutil, know neither how histories
with holidays are spaced nor which times a request may mix.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

BUSINESS_DAY = "business day"
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
#: Other names of units: KServe's letters, those of pandas, and the periods of ``vitrine train``.
_NAMES = {
    **{unit: unit for unit in (*_SECONDS, *_MONTHS, BUSINESS_DAY)},
    **{"S": "second", "s": "second", "sec": "second", "T": "minute", "min": "minute", "H": "hour", "h": "hour"},
    **{"D": "day", "B": BUSINESS_DAY, "W": "week", "M": "month", "MS": "month", "ME": "month"},
    **{"Q": "quarter", "QS": "quarter", "QE": "quarter", "Y": "year", "YS": "year", "YE": "year"},
    **{"hourly": "hour", "daily": "day", "business-daily": BUSINESS_DAY, "weekly": "week", "monthly": "month"},
    **{"quarterly": "quarter", "yearly": "year"},
}
_FREQUENCY = re.compile(r"(?:([1-9]\d{0,4}) ?)?([A-Za-z]+?(?:[- ][a-z]+?)?)(?:s|-[A-Z]{3})?", re.ASCII)
_MONTH_ONLY = re.compile(r"\d{4}-\d{2}", re.ASCII)
_MOST_DAYS = 5  # between two business days
_EXAMPLE = "such as 2026-01-31 or 2026-01-31T06:00:00+01:00"


class CalendarError(ValueError):
    """Times or a frequency that cannot be used; the message says what is expected."""


@dataclass(frozen=True)
class Frequency:
    """The step of a series: ``count`` times a unit."""

    count: int
    unit: str

    @classmethod
    def parse(cls, text: str) -> "Frequency | None":
        """Read a frequency: ``day``, ``D``, ``15 minutes``, ``15min``, ``business day``; None if it is none."""
        match = _FREQUENCY.fullmatch(text)
        if match is None:
            return None
        unit = _NAMES.get(match[2])
        count = int(match[1] or 1)
        return cls(count, unit) if unit and (unit != BUSINESS_DAY or count == 1) else None

    def __str__(self) -> str:
        return self.unit if self.count == 1 else f"{self.count} {self.unit}s"

    @property
    def size(self) -> tuple[str, int]:
        """Equal for steps of the same duration: a quarter and 3 months, an hour and 60 minutes."""
        if self.unit in _SECONDS:
            return "seconds", self.count * _SECONDS[self.unit]
        return ("months", self.count * _MONTHS[self.unit]) if self.unit in _MONTHS else ("business days", 1)

    @property
    def is_daily(self) -> bool:
        """Whether a step is a day, or a business day."""
        return self.size in (("seconds", 86_400), ("business days", 1))

    def later(self, start: datetime, steps: int, day: int = 0) -> datetime:
        """Return the time after some steps.

        Args:
            start: the time to count from. On a weekend, business days count from Friday.
            steps: how many.
            day: day of the month, of months, quarters and years, if another than that of ``start``.

        Raises:
            OverflowError, ValueError: the result is after the year 9999.
        """
        kind, size = self.size
        if kind == "seconds":
            return start + timedelta(seconds=size * steps)
        if kind == "business days":
            weekday = min(start.weekday(), 4)
            weeks, days = divmod(weekday + steps, 5)
            return start + timedelta(days=7 * weeks + days - start.weekday())
        years, month = divmod(start.month - 1 + size * steps, 12)
        first = start.replace(year=start.year + years, month=month + 1, day=1)
        next_month = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
        return first.replace(day=min(day or start.day, (next_month - timedelta(days=1)).day))

    def distance(self, earlier: datetime, later: datetime) -> float:
        """Return how many steps two times are apart. Business days around a holiday are one step apart."""
        kind, size = self.size
        if kind == "seconds":
            return (later - earlier) / timedelta(seconds=size)
        if kind == "months":
            return (12 * (later.year - earlier.year) + later.month - earlier.month) / size
        days = (later.date() - earlier.date()).days
        return 1 if 1 <= days <= _MOST_DAYS else days


@dataclass(frozen=True)
class TimeAxis:
    """Where a forecast begins: ``passed`` steps after ``start``.

    Attributes:
        start: a time of the history.
        frequency: the step.
        passed: steps from ``start`` to the newest value of the history.
        day: day of the month, of months, quarters and years.
        written: how the caller writes times: "month", "date" or "time".
    """

    start: datetime
    frequency: Frequency
    passed: int
    day: int
    written: str

    def ahead(self, horizon: int) -> list[datetime]:
        """Return the times of a forecast.

        Raises:
            CalendarError: one is after the year 9999.
        """
        steps = range(self.passed + 1, self.passed + horizon + 1)
        try:
            return [self.frequency.later(self.start, step, self.day) for step in steps]
        except (OverflowError, ValueError):
            raise CalendarError("the forecast must end before the year 10000") from None

    def text(self, time: datetime) -> str:
        """Write a time as the caller writes times, if that says all: 2026-01, 2026-01-31 or 2026-01-31T00:00:00."""
        kind, size = self.frequency.size
        if self.written == "time" or (kind == "seconds" and size % 86_400):
            return time.isoformat()
        return time.date().isoformat()[: 7 if self.written == "month" and kind == "months" else 10]


def read_time(text: object, name: str) -> tuple[datetime, str]:
    """Return a time, and how it is written: "month", "date" or "time".

    Raises:
        CalendarError: the text is no time in ISO 8601.
    """
    if isinstance(text, str):
        try:
            if _MONTH_ONLY.fullmatch(text):
                return datetime.fromisoformat(f"{text}-01"), "month"
            return datetime.fromisoformat(text), "date" if len(text) <= 10 else "time"
        except ValueError:
            pass
    raise CalendarError(f"{name} must be ISO 8601, {_EXAMPLE}, not {str(text)[:40]!r}")


def from_start(text: object, name: str, frequency: Frequency, values: int) -> TimeAxis:
    """Return the axis of a history of so many values whose first has this time.

    Raises:
        CalendarError: the time is not ISO 8601.
    """
    start, written = read_time(text, name)
    return TimeAxis(start, frequency, values - 1, start.day, written)


def from_timestamps(texts: Sequence[object], frequency: Frequency, fixed: bool) -> TimeAxis:
    """Return the axis of a history with a time for each value.

    Args:
        texts: the times, oldest first; at least one.
        frequency: the step.
        fixed: whether the caller named the frequency. Otherwise days without weekends are business days.

    Raises:
        CalendarError: a time is not ISO 8601, or the times do not ascend by one step with one offset from UTC.
    """
    read = [read_time(text, f"timestamp {index}") for index, text in enumerate(texts)]
    times = [time for time, _ in read]
    _check_offsets(times, texts)
    for index, (earlier, later) in enumerate(pairwise(times)):
        if later <= earlier:
            what = "there twice" if later == earlier else f"listed after {texts[index]}"
            raise CalendarError(f"timestamps must ascend, but {texts[index + 1]} (timestamp {index + 1}) is {what}")
    if frequency.is_daily and not fixed and _skip_weekends(times):
        frequency = Frequency(1, BUSINESS_DAY)
    if frequency.unit == BUSINESS_DAY:
        weekend = next((index for index, time in enumerate(times) if time.weekday() > 4), None)
        if weekend is not None:
            raise CalendarError(
                f"{texts[weekend]} is a {times[weekend]:%A}, but the frequency is business day: Monday to Friday"
            )
    for index, (earlier, later) in enumerate(pairwise(times)):
        steps = frequency.distance(earlier, later)
        if steps != 1:
            raise CalendarError(_irregular(str(texts[index]), str(texts[index + 1]), steps, frequency))
    finest = "time" if any(written == "time" for _, written in read) else read[-1][1]
    return TimeAxis(times[-1], frequency, 0, max(time.day for time in times), finest)


def _check_offsets(times: Sequence[datetime], texts: Sequence[object]) -> None:
    first = times[0].utcoffset()
    other = next((index for index, time in enumerate(times) if time.utcoffset() != first), None)
    if other is not None:
        raise CalendarError(
            f"timestamps must have one offset from UTC, or none; {texts[0]} and {texts[other]} differ. Send them in UTC"
        )


def _skip_weekends(times: Sequence[datetime]) -> bool:
    weekdays = all(time.weekday() < 5 for time in times)
    return weekdays and any((later.date() - earlier.date()).days > 1 for earlier, later in pairwise(times))


def _irregular(earlier: str, later: str, steps: float, frequency: Frequency) -> str:
    if steps > 1 and steps == int(steps):
        unit = "days" if frequency.is_daily else f"steps of {frequency}"
        more = ", or the frequency business day" if frequency == Frequency(1, "day") else ""
        return (
            f"timestamps have a gap: {later} is {steps:.0f} {unit} after {earlier}; send every time, and null for a "
            f"missing value{more}"
        )
    return f"timestamps do not fit the frequency: {later} is not one step of {frequency} after {earlier}"
