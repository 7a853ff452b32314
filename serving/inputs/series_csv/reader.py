"""Read one series from a CSV file: bytes → text → table → columns → values in order of time."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from serving.inputs.series_csv import columns, layout
from serving.inputs.series_csv.errors import SeriesFileError
from serving.inputs.series_csv.gaps import fill
from serving.inputs.series_csv.kept_rows import keep_rows
from serving.inputs.series_csv.layout import Table
from serving.inputs.series_csv.numbers import Numbers, looks_numeric, read_numbers, unit_in
from serving.inputs.series_csv.order import time_order
from serving.inputs.series_csv.period import PERIODS, Period, find_period
from serving.inputs.series_csv.text import decode
from serving.inputs.series_csv.time_column import TimeColumn, find_time_column
from serving.inputs.series_csv.times import Times, read_times

MOST_BYTES = 50_000_000
_FEWEST = 3  # rows whose distances show the period


@dataclass(frozen=True)
class ReadOptions:
    """The user's choices; None: find it, or refuse the file where it is ambiguous.

    Attributes:
        column: name of the column of values.
        time_column: name of the column of times, or "none": the rows are in order of time.
        period: a key of :data:`serving.inputs.series_csv.period.PERIODS`.
        season: steps of a season.
        unit: unit of a value.
        day_first: whether 02/01/2024 is 2 January.
        decimal: "." or ",".
        drop_missing: accept any number of rows without a value.
    """

    column: str | None = None
    time_column: str | None = None
    period: str | None = None
    season: int | None = None
    unit: str | None = None
    day_first: bool | None = None
    decimal: str | None = None
    drop_missing: bool = False

    def given(self) -> dict[str, str | int | bool]:
        """Return the choices that were made, by name; the model card holds them."""
        defaults = asdict(ReadOptions())
        return {name: value for name, value in asdict(self).items() if value != defaults[name]}


@dataclass(frozen=True)
class Series:
    """A series in order of time.

    Attributes:
        values: float64 [n].
        lines: line of each value in the file, [n].
        times: datetime64[s] [n]; None without a time column.
        column: name of the column of values.
        time_column: name of the column of times.
        period: step, and season in steps.
        unit: unit of a value; None if the file does not say it.
        first: time of the first value, as text.
        last: time of the last value.
        notes: what was found, chosen and left out: sentences for the log.
    """

    values: NDArray[np.float64]
    lines: NDArray[np.int64]
    times: NDArray[np.datetime64] | None
    column: str
    time_column: str | None
    period: Period
    unit: str | None
    first: str | None
    last: str | None
    notes: tuple[str, ...]


def read(path: Path, options: ReadOptions | None = None) -> Series:
    """Read a file.

    Raises:
        SeriesFileError: the file cannot be read as one series; the message begins with the file's name.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise SeriesFileError(f"{path} is not a regular file; save the data to a file first")
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise SeriesFileError(f"{path} cannot be read as a CSV: {error.strerror or error}") from None
    try:
        return read_bytes(content, options)
    except SeriesFileError as error:
        where = f"{path}, line {error.line}:" if error.line else f"{path}"
        raise SeriesFileError(f"{where} {error}", error.line) from None


def read_bytes(content: bytes, options: ReadOptions | None = None) -> Series:
    """Read a file's content.

    Raises:
        SeriesFileError: the content cannot be read as one series.
    """
    options = options or ReadOptions()
    if len(content) > MOST_BYTES:
        raise SeriesFileError(
            f"has more than {MOST_BYTES // 1_000_000} MB; keep only the columns of times and values, or a longer period"
        )
    text, encoding = decode(content)
    table = layout.parse(text)
    notes = [*_format_notes(table, encoding), *table.notes]
    time = find_time_column(table, options.time_column)
    numeric = _numeric(table, time)
    if options.column:
        value, why = columns.by_name(table.header, options.column, "--column"), None
    else:
        value, why = columns.choose_value(table.header, numeric)
    column = table.header[value] or f"column {value + 1}"
    notes.append(f"values: {_column(column)}" + (f", {why}" if why else ""))
    rows = keep_rows(table, time, value, options.drop_missing, notes)
    others = [table.sample(index) for index in numeric if index != value]
    numbers = read_numbers(rows.values, rows.lines, column, options.decimal, others=others, separator=table.separator)
    if numbers.decimal == ",":
        notes.append("decimal commas")
    lines, values = np.array(rows.lines), numbers.values
    times = None
    if time is not None:
        unordered = read_times(rows.times, rows.lines, time.name, options.day_first)
        order = time_order(unordered, values, lines, partial(_hint, table, time, value), notes)
        lines, values, times = lines[order], values[order], replace(unordered, values=unordered.values[order])
        notes.append(f"times: {_column(time.name)}" + (f", {times.form}" if times.form else ""))
    period = _period(times, options)
    if times and period.step == "business day" and period.gaps:
        notes.append(f"gaps of more than five days: {period.gaps}")
    elif times:
        regular = fill(values, times.values, lines, period, notes)
        lines, values, times = regular.lines, regular.values, replace(times, values=regular.times)
    return Series(
        values=values,
        lines=lines,
        times=times.values if times else None,
        column=column,
        time_column=time.name if time else None,
        period=period,
        unit=options.unit or _unit(numbers, column),
        first=times.written(0) if times else None,
        last=times.written(-1) if times else None,
        notes=tuple(notes),
    )


def _column(name: str) -> str:
    return name if re.fullmatch(r"column \d+", name) else f"column {name}"  # a column without a name


def _format_notes(table: Table, encoding: str | None) -> list[str]:
    notes = [f"encoding: {encoding}"] if encoding else []
    if table.separator != ",":
        notes.append(f"columns separated by {layout.SEPARATORS.get(table.separator, table.separator)}")
    return notes


def _numeric(table: Table, time: TimeColumn | None) -> list[int]:
    """Return the columns of numbers without those of times and row numbers."""
    found = []
    for index, name in enumerate(table.header):
        cells = table.sample(index)
        if not cells or (time and index in time.indices):
            continue
        if sum(map(looks_numeric, cells)) > 0.7 * len(cells) and not _is_row_number(name, cells):
            found.append(index)
    return found


def _is_row_number(name: str, cells: Sequence[str]) -> bool:
    """Whether a column counts the rows, as R and pandas write it."""
    if columns.normalised(name) not in ("", "unnamed 0", "index", "id", "no", "nr", "row", "x"):
        return False
    numbers = [int(cell) for cell in cells if cell.isdigit()]
    return len(numbers) == len(cells) and len({b - a for a, b in itertools.pairwise(numbers)}) <= 1


def _hint(table: Table, time: TimeColumn, value: int) -> str:
    """Explain rows of several series: a column of a few names."""
    for index, name in enumerate(table.header):
        cells = [row.cells[index] for row in table.rows]
        names = list(dict.fromkeys(cells)) if index != value and index not in time.indices else []
        if 1 < len(names) <= len(cells) / 2 and not any(map(looks_numeric, names)):
            return f". Column {name} has {len(names)} names ({columns.listed(names[:3])}): keep the rows of one"
    return ""


def _period(times: Times | None, options: ReadOptions) -> Period:
    if options.period:
        if options.period not in PERIODS:
            raise SeriesFileError(f"cannot have the period {options.period!r}; --period is one of {', '.join(PERIODS)}")
        period = PERIODS[options.period]
    elif times is None:
        raise SeriesFileError(
            f"has no column of times, so that its period is unknown; name it with --period: {', '.join(PERIODS)}"
        )
    elif len(times.values) < _FEWEST:
        count = len(times.values)
        raise SeriesFileError(
            f"has {count} row{'s' * (count != 1)} with a value; at least {_FEWEST} are needed to find the period. "
            "Add rows, or name it with --period"
        )
    else:
        period = find_period(times)
    return replace(period, season=options.season) if options.season else period


def _unit(numbers: Numbers, column: str) -> str | None:
    return numbers.unit or unit_in(column)
