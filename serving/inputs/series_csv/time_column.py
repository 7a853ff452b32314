"""Find the column of times: one, a date and a time of day, or year, month and day in a column each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from serving.inputs.series_csv import columns
from serving.inputs.series_csv.layout import Table, TableRow
from serving.inputs.series_csv.numbers import is_missing
from serving.inputs.series_csv.times import could_be_time, is_clock, joined, looks_like_time

_MOST = 0.9
_CLOCKS = ("time", "hour", "zeit", "hora", "heure", "stunde", "ora")


@dataclass(frozen=True)
class TimeColumn:
    """Columns that hold a row's time: a date or time, a date and a time of day, or parts of a date."""

    name: str
    indices: tuple[int, ...]
    clock: bool = False

    def cell(self, row: TableRow) -> str:
        """Return a row's time as one text."""
        cells = [row.cells[index] for index in self.indices]
        if self.clock and not any(map(is_missing, cells)):
            return joined(*cells)
        return "-".join(cell.zfill(2) for cell in cells) if len(cells) > 1 else cells[0]


def find_time_column(table: Table, wanted: str | None) -> TimeColumn | None:
    """Return the column of times; None if the table has none or ``wanted`` is "none".

    Raises:
        SeriesFileError: the wanted column does not exist, or several columns may be it.
    """
    if wanted == "none" and "none" not in table.header:
        return None
    plain = [columns.normalised(name) for name in table.header]
    if wanted is not None:
        index = columns.by_name(table.header, wanted, "--time-column")
    else:
        parts = _calendar(plain)
        dated = [index for index in range(len(plain)) if _share(table.sample(index), looks_like_time)]
        if parts and not dated:
            return TimeColumn("-".join(table.header[index] for index in parts), parts)
        timely = [i for i in range(len(plain)) if i in dated or _is_timely(plain[i], table.sample(i))]
        found = columns.choose_time(table.header, dated, timely)
        if found is None:
            return None
        index = found
    clock = next((i for i, name in enumerate(plain) if name in _CLOCKS and i != index), None)
    whole_days = not any(":" in cell for cell in table.sample(index))
    if wanted is None and clock is not None and whole_days and _share(table.sample(clock), is_clock):
        return TimeColumn(f"{table.header[index]} {table.header[clock]}", (index, clock), clock=True)
    return TimeColumn(table.header[index] or f"column {index + 1}", (index,))


def _calendar(plain: Sequence[str]) -> tuple[int, ...]:
    """Return the indices of year and month, and of day if there is one."""
    for names in (("year", "month", "day"), ("year", "month"), ("year", "period"), ("ano", "mês"), ("jahr", "monat")):
        if all(plain.count(name) == 1 for name in names):
            return tuple(plain.index(name) for name in names)
    return ()


def _is_timely(name: str, cells: Sequence[str]) -> bool:
    """Whether a column that is called a time holds plain numbers that may be times, or is called a date."""
    return "date" in name.split() or _share(cells, could_be_time)


def _share(cells: Sequence[str], look: Callable[[str], bool]) -> bool:
    return bool(cells) and sum(map(look, cells)) >= _MOST * len(cells)
