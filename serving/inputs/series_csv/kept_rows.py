"""Choose the rows of a table that have a value: without totals at the end, and without missing values."""

import re
from dataclasses import dataclass

from serving.inputs.series_csv.errors import SeriesFileError
from serving.inputs.series_csv.layout import Table, TableRow, line_numbers
from serving.inputs.series_csv.numbers import is_missing
from serving.inputs.series_csv.time_column import TimeColumn

_MANY = 0.1  # share of rows without a value that is refused
_TAIL = 5  # last rows that may be totals
_TOTAL = re.compile(
    r"(grand |sub)?(total|sum|summe|gesamt|average|mean|avg|count|min|max|std|totale|soma|suma|média|media|mittelwert)"
    r"\b.*",
    re.IGNORECASE,
)


@dataclass
class KeptRows:
    """The rows that are kept, with the cells of time and value."""

    lines: list[int]
    times: list[str]
    values: list[str]


def keep_rows(table: Table, time: TimeColumn | None, value: int, drop_missing: bool, notes: list[str]) -> KeptRows:
    """Return the rows with a value, without totals at the end.

    Args:
        table: the table.
        time: its column of times.
        value: index of its column of values.
        drop_missing: accept any number of rows without a value.
        notes: receives what was left out.

    Raises:
        SeriesFileError: no row has a value, many rows have no value, or a row with a value has no time.
    """
    rows = list(table.rows)
    totals: list[int] = []
    while rows and len(totals) < _TAIL and _is_total(rows[-1], time):
        totals.insert(0, rows.pop().line)
    if totals:
        notes.append(f"totals after the data left out ({line_numbers(totals)})")
    kept, missing = KeptRows([], [], []), []
    for row in rows:
        if is_missing(row.cells[value]):
            missing.append(row.line)
            continue
        moment = time.cell(row) if time else ""
        if time and is_missing(moment):
            raise SeriesFileError(f"{time.name} is empty; a date is expected", row.line)
        kept.lines.append(row.line)
        kept.times.append(moment)
        kept.values.append(row.cells[value])
    name = table.header[value]
    if len(missing) > _MANY * len(rows) and not drop_missing:
        raise SeriesFileError(
            f"has no value of {name} in {len(missing)} of {len(rows)} rows ({line_numbers(missing)}); choose another "
            "--column, fill them, or leave them out with --drop-missing"
        )
    if not kept.lines:
        raise SeriesFileError(f"has no value of {name}")
    if missing:
        notes.append(f"rows without a value left out: {len(missing)} ({line_numbers(missing)})")
    return kept


def _is_total(row: TableRow, time: TimeColumn | None) -> bool:
    if time is None:
        return any(_TOTAL.fullmatch(cell) for cell in row.cells)
    first = row.cells[time.indices[0]]
    return bool(_TOTAL.fullmatch(first)) or not any(map(str.isdigit, first))
