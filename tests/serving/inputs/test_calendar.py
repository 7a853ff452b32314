"""Frequencies, and the times of histories and forecasts."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.inputs import calendar
from serving.inputs.calendar import CalendarError, Frequency

DAY = Frequency(1, "day")
NAMES = {
    "day": "D daily",
    "business day": "B business-daily",
    "hour": "H h hourly hours",
    "15 minutes": "15min 15T",
    "week": "W weekly W-SUN",
    "month": "M MS ME monthly",
    "quarter": "Q QE-DEC quarterly",
    "year": "Y YE yearly years",
    "28 days": "28D",
    "second": "S s",
}


@pytest.mark.parametrize("name", NAMES)
def test_frequencies_have_their_usual_names(name: str) -> None:
    found = [str(Frequency.parse(text)) for text in (name, *NAMES[name].split())]
    assert set(found) == {name}


@pytest.mark.parametrize(
    "text", ["", "fortnight", "π/10", "step", "0 days", "2 business days", "-1 day", "m", "d", "1"]
)
def test_other_words_are_no_frequency(text: str) -> None:
    assert Frequency.parse(text) is None


def test_steps_of_one_duration_are_equal() -> None:
    sizes = [Frequency(count, unit).size for count, unit in ((1, "quarter"), (3, "month"), (1, "hour"), (60, "minute"))]
    assert sizes[0] == sizes[1] and sizes[2] == sizes[3] and sizes[0] != sizes[2]


@pytest.mark.parametrize(
    ("start", "frequency", "steps", "end"),
    [
        ("2026-01-31", "month", 1, "2026-02-28"),
        ("2024-01-31", "month", 1, "2024-02-29"),
        ("2026-11-30", "quarter", 1, "2027-02-28"),
        ("2024-02-29", "year", 1, "2025-02-28"),
        ("2026-12-31", "month", 12, "2027-12-31"),
        ("2026-01-01", "week", 2, "2026-01-15"),
        ("2026-01-01", "business day", 2, "2026-01-05"),  # Thursday to Monday
        ("2026-01-01", "business day", 11, "2026-01-16"),
        ("2026-01-03", "business day", 1, "2026-01-05"),  # from a Saturday
    ],
)
def test_months_and_weeks(start: str, frequency: str, steps: int, end: str) -> None:
    found = Frequency(1, frequency).later(datetime.fromisoformat(start), steps)
    assert found.date().isoformat() == end


AHEAD = {
    "days": (DAY, ["2026-02-27", "2026-02-28"], ["2026-03-01", "2026-03-02"]),
    "days without weekends": (DAY, ["2026-01-01", "2026-01-02", "2026-01-05"], ["2026-01-06", "2026-01-07"]),
    "a holiday": (Frequency(1, "business day"), ["2025-12-24", "2025-12-26"], ["2025-12-29", "2025-12-30"]),
    "ends of months": (Frequency(1, "month"), ["2026-01-31", "2026-02-28"], ["2026-03-31", "2026-04-30"]),
    "months alone": (Frequency(1, "month"), ["2026-11", "2026-12"], ["2027-01", "2027-02"]),
    "quarters": (Frequency(1, "quarter"), ["2025-12-31", "2026-03-31"], ["2026-06-30", "2026-09-30"]),
    "weeks": (Frequency(1, "week"), ["2026-01-05", "2026-01-12"], ["2026-01-19", "2026-01-26"]),
    "hours with an offset": (
        Frequency(1, "hour"),
        ["2026-03-29T00:00:00+01:00", "2026-03-29T01:00:00+01:00"],
        ["2026-03-29T02:00:00+01:00", "2026-03-29T03:00:00+01:00"],
    ),
    "minutes in UTC": (
        Frequency(15, "minute"),
        ["2026-01-01T23:30:00Z", "2026-01-01T23:45:00Z"],
        ["2026-01-02T00:00:00+00:00", "2026-01-02T00:15:00+00:00"],
    ),
}


@pytest.mark.parametrize("name", AHEAD)
def test_a_forecast_begins_one_step_after_the_newest_value(name: str) -> None:
    frequency, history, expected = AHEAD[name]
    axis = calendar.from_timestamps(history, frequency, False)
    assert [axis.text(time) for time in axis.ahead(2)] == expected


def test_from_the_time_of_the_first_value() -> None:
    axis = calendar.from_start("2026-01-31", "start", Frequency(1, "month"), 3)
    assert [axis.text(time) for time in axis.ahead(2)] == ["2026-04-30", "2026-05-31"]


def test_times_are_written_as_precisely_as_the_step_needs() -> None:
    for start, frequency, expected in (("2026-01-01", "hour", "2026-01-01T03:00:00"), ("2026-01", "day", "2026-01-04")):
        axis = calendar.from_start(start, "start", Frequency(1, frequency), 3)
        assert [axis.text(time) for time in axis.ahead(1)] == [expected]


REFUSED: dict[str, tuple[Frequency, Sequence[object], str]] = {
    "unsorted": (DAY, ["2026-01-02", "2026-01-01"], "must ascend, but 2026-01-01 .* after 2026-01-02"),
    "doubled": (DAY, ["2026-01-01", "2026-01-01"], "2026-01-01 .* there twice"),
    "a gap": (DAY, ["2026-01-01", "2026-01-04"], "gap: 2026-01-04 is 3 days after .* null .* business day"),
    "mixed offsets": (DAY, ["2026-03-28T00:00+01:00", "2026-03-30T00:00+02:00"], "one offset .* in UTC"),
    "one without an offset": (DAY, ["2026-01-01T00:00Z", "2026-01-02T00:00"], "one offset"),
    "another frequency": (Frequency(1, "hour"), ["2026-01-01T00:00", "2026-01-01T00:30"], "do not fit the frequency"),
    "a weekend": (Frequency(1, "business day"), ["2026-01-02", "2026-01-03"], "2026-01-03 is a Saturday"),
    "two weeks": (Frequency(1, "business day"), ["2026-01-02", "2026-01-12"], "gap: 2026-01-12 is 10 days after"),
    "a month left out": (Frequency(1, "month"), ["2026-01-31", "2026-03-31"], "gap: .* 2 steps of month"),
    "a word": (DAY, ["2026-01-01", "tomorrow"], "timestamp 1 must be ISO 8601.*'tomorrow'"),
    "a zone's name": (DAY, ["2026-01-01T00:00[Europe/Berlin]"], "must be ISO 8601"),
    "a number": (DAY, [1767225600], "must be ISO 8601"),
    "no such day": (DAY, ["2026-02-30"], "must be ISO 8601"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_times_that_do_not_fit_are_refused(name: str) -> None:
    frequency, timestamps, message = REFUSED[name]
    with pytest.raises(CalendarError, match=message):
        calendar.from_timestamps(timestamps, frequency, True)


def test_the_end_of_time_is_refused() -> None:
    for frequency in (DAY, Frequency(1, "year"), Frequency(99_999, "week"), Frequency(1, "business day")):
        with pytest.raises(CalendarError, match="year 10000"):
            calendar.from_start("9999-12-30", "start", frequency, 1).ahead(3)


@given(
    start=st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)),
    frequency=st.sampled_from(["hour", "15 minutes", "day", "business day", "week", "month", "quarter", "year"]),
    length=st.integers(1, 30),
)
def test_a_history_and_its_forecast_are_one_axis(start: datetime, frequency: str, length: int) -> None:
    """The times that follow a history are those that the longer history would have."""
    step = Frequency.parse(frequency)
    assert step is not None
    if start.weekday() > 4:
        start += timedelta(days=2)
    times = [step.later(start, index) for index in range(length + 5)]
    axis = calendar.from_timestamps([time.isoformat() for time in times[:length]], step, True)
    assert axis.ahead(5) == times[length:] or start.day > 28
    assert calendar.from_start(start.isoformat(), "start", step, length).ahead(5) == times[length:]
