"""Times as people and programs write them: ISO 8601, day or month first, names of months, seconds since 1970."""

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
from numpy.typing import NDArray

from serving.inputs.series_csv.errors import SeriesFileError
from serving.inputs.series_csv.time_forms import (
    CLOCK,
    DAY,
    EPOCH,
    EXCEL_DAY,
    FORMS,
    LONG_MONTHS,
    MONTH,
    MONTHS,
    NUMBER_FORMS,
    QUARTER,
    TIME_OF_DAY,
    YEAR,
)

_NO_TIME = datetime(1899, 12, 30)


@dataclass(frozen=True)
class Times:
    """Times of a column in its own order, datetime64[s].

    ``universal`` says whether they are in UTC; if not, they are as written, without a zone.
    """

    values: NDArray[np.datetime64]
    precision: int
    universal: bool
    form: str | None

    def written(self, index: int) -> str:
        """Return a time as precisely as the file has it."""
        digits = {CLOCK: "s", DAY: "D", MONTH: "M", QUARTER: "M"}.get(self.precision, "Y")
        return str(self.values[index].astype(f"datetime64[{digits}]")).replace("T", " ")


@dataclass
class _Column:
    """What the cells read so far have in common."""

    day_first: bool | None
    precision: int = YEAR
    offsets: bool = False
    form: str | None = None
    last: int = 0


def looks_like_time(cell: str) -> bool:
    """Whether a cell is a date or time in a form that is no plain number."""
    text = cell.strip()
    return bool(text) and any((match := form.fullmatch(text)) and _valid(match) for _, form in FORMS)


def is_month(name: str) -> bool:
    """Whether a word is the name of a month."""
    return name.lower().rstrip(".") in MONTHS or name.lower() in LONG_MONTHS.split("|")


def is_clock(cell: str) -> bool:
    """Whether a cell is a time of day: 15:30, 15:30:00, 153000."""
    return bool(TIME_OF_DAY.fullmatch(cell.strip()))


def joined(date: str, clock: str) -> str:
    """Return a date and a time of day, from a column each, as one time."""
    digits = clock.strip()
    if len(digits) < 3:
        digits = f"{digits}:00"
    elif digits.isdigit():
        digits = digits.zfill(6 if len(digits) > 4 else 4)
        digits = ":".join(digits[i : i + 2] for i in range(0, len(digits), 2))
    compact = re.fullmatch(r"(\d{4})(\d{2})(\d{2})", date.strip())
    return f"{'-'.join(compact.groups()) if compact else date.strip()} {digits}"


def could_be_time(cell: str) -> bool:
    """Whether a cell is a date or time in any form, also a plain number."""
    text = cell.strip()
    numbers = (
        any(form.fullmatch(text) for _, form in NUMBER_FORMS) or EPOCH.fullmatch(text) or EXCEL_DAY.fullmatch(text)
    )
    return bool(numbers) or looks_like_time(text)


def read_times(
    cells: Sequence[str], lines: Sequence[int], name: str, day_first: bool | None, *, named: bool = True
) -> Times:
    """Read a column of times.

    Args:
        cells: the column's cells.
        lines: line of each cell.
        name: the column's name, for messages.
        day_first: whether 02/01/2024 is 2 January; None to find it.
        named: the column is known to hold times, so that plain numbers are times, too.

    Raises:
        SeriesFileError: a cell is not a time, or the order of day and month is ambiguous.
    """
    column = _Column(_day_first(cells, lines, name) if day_first is None else day_first)
    moments = [_moment(cell.strip(), line, name, column, named) for cell, line in zip(cells, lines, strict=True)]
    daily = len({moment.time() for moment in moments}) == 1  # such as midnight of each day, in the zone of the day
    if daily:
        moments = [moment.replace(hour=0, minute=0, second=0, tzinfo=None) for moment in moments]
    universal = column.offsets and not daily
    values = np.array(
        [
            (moment.astimezone(UTC) if universal and moment.tzinfo else moment).replace(tzinfo=None)
            for moment in moments
        ],
        "datetime64[s]",
    )
    precision = DAY if daily and column.precision == CLOCK else column.precision
    return Times(values, precision, universal, column.form)


def _day_first(cells: Sequence[str], lines: Sequence[int], name: str) -> bool | None:
    """Return the order of day and month of dates such as 13/01/2024; None if no cell has that form."""
    form = FORMS[1][1]
    found: dict[bool, tuple[str, int]] = {}
    example, dots = None, True
    for cell, line in zip(cells, lines, strict=True):
        match = form.fullmatch(cell.strip())
        if match is None:
            continue
        example, dots = example or cell.strip(), dots and match[2] == "."
        first, second = int(match["a"]), int(match["b"])
        if first > 12:
            found.setdefault(True, (cell, line))
        if second > 12:
            found.setdefault(False, (cell, line))
    if len(found) == 2:
        raise SeriesFileError(
            f"{name} mixes day first ({found[True][0]}, line {found[True][1]}) and month first ({found[False][0]}, "
            f"line {found[False][1]})"
        )
    if found:
        return next(iter(found))
    if example is None:
        return None
    if dots:  # no country writes the month first with dots
        return True
    raise SeriesFileError(
        f"{name} has {example}, which may be day first or month first; choose with --day-first or --month-first"
    )


def _moment(text: str, line: int, name: str, column: _Column, named: bool) -> datetime:
    if text[4:5] == "-" == text[7:8]:  # nearly all files
        with contextlib.suppress(ValueError):
            iso = _plausible(datetime.fromisoformat(text).replace(microsecond=0))
            column.precision = max(column.precision, DAY if len(text) == 10 else CLOCK)
            column.offsets |= iso.tzinfo is not None
            return iso
    forms = (*FORMS, *NUMBER_FORMS) if named else FORMS
    order = [column.last, *range(len(forms))] if column.last < len(forms) else range(len(forms))
    for i in order:
        precision, form = forms[i]
        if match := form.fullmatch(text):
            try:
                moment = _of_match(match, column)
            except ValueError:
                break
            if moment is None:
                continue
            column.last = i
            column.precision = max(column.precision, CLOCK if _clocked(match) else precision)
            column.offsets |= moment.tzinfo is not None
            return moment
    if named and (moment := _of_number(text, column)):
        return moment
    expected = "; write dates as YYYY-MM-DD" if text else ""
    raise SeriesFileError(f"{name} holds {text[:40]!r}, which is not a date{expected}", line)


def _of_number(text: str, column: _Column) -> datetime | None:
    if match := EPOCH.fullmatch(text):
        scale = 1000 ** ((len(match[1]) - 9) // 3)
        column.form, column.precision, column.offsets = "Unix time", CLOCK, True
        return datetime.fromtimestamp(0, UTC) + timedelta(seconds=int(match[1]) // scale)
    if EXCEL_DAY.fullmatch(text):
        column.form, column.precision = "Excel's day numbers", max(column.precision, CLOCK if "." in text else DAY)
        return _NO_TIME + timedelta(seconds=round(float(text) * 86_400))
    return None


def _clocked(match: re.Match[str]) -> bool:
    return match.groupdict().get("H") is not None


def _valid(match: re.Match[str]) -> bool:
    try:
        return _of_match(match, _Column(None)) is not None
    except ValueError:
        return False


def _of_match(match: re.Match[str], column: _Column) -> datetime | None:
    """Return the time of a match; None if a word is not a month.

    Raises:
        ValueError: there is no such day or time.
    """
    parts = match.groupdict()
    year = int(parts["y"])
    if len(parts["y"]) == 2:
        year += 1900 if year >= 70 else 2000
    if parts.get("w"):
        return _plausible(datetime.fromisocalendar(year, int(parts["w"]), int(parts.get("wd") or 1)))
    month, day = int(parts.get("m") or 1), int(parts.get("d") or 1)
    if parts.get("q"):
        month = 3 * int(parts["q"]) - 2
    elif "name" in parts:
        word = parts["name"].lower()
        found = MONTHS.get(word) or MONTHS.get(word[:4]) or MONTHS.get(word[:3])
        if found is None:
            return None
        month = found
    elif parts.get("a"):
        first, second = int(parts["a"]), int(parts["b"])
        day_first = column.day_first if column.day_first is not None else first > 12
        day, month = (first, second) if day_first else (second, first)
    moment = _plausible(datetime(year, month, day))
    return _with_clock(moment, parts) if parts.get("H") else moment


def _plausible(moment: datetime) -> datetime:
    """Refuse years far from any series, which arithmetic with zones could not represent either.

    Raises:
        ValueError: the year is before 1000 or after 2999.
    """
    if not 1000 <= moment.year <= 2999:
        raise ValueError(f"year {moment.year}")
    return moment


def _with_clock(moment: datetime, parts: dict[str, str | None]) -> datetime:
    hour, half = int(parts["H"] or 0), (parts.get("half") or "").lower()
    if half:
        hour = hour % 12 + (12 if half.startswith("p") else 0)
    moment += timedelta(days=hour // 24)  # 24:00 ends a day
    moment = moment.replace(hour=hour % 24, minute=int(parts["M"] or 0), second=int(parts.get("S") or 0))
    zone = (parts.get("zone") or "").replace(" ", "")
    if zone in ("Z", "UTC", "GMT"):
        return moment.replace(tzinfo=UTC)
    offset = re.fullmatch(r"(?:UTC|GMT)?([+-])(\d{2}):?(\d{2})?", zone)
    if offset is None:  # a zone's name, such as EST, is not an offset; the time stays as written
        return moment
    minutes = 60 * int(offset[2]) + int(offset[3] or 0)
    return moment.replace(tzinfo=timezone(timedelta(minutes=minutes if offset[1] == "+" else -minutes)))
