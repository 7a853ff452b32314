"""Daily prices from the user's CSV file, or Google's of 2004 to 2008.

Google's prices, 2004-08-19 to 2008-10-14, are a sample data set of matplotlib.
"""

import csv
import datetime
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.core.array import Array
from training.core.errors import JobError

_FEWEST = 240  # rows; the test part, 15 % of them, must hold a forecast of 30 days


@dataclass(frozen=True)
class Prices:
    """Closing prices in chronological order, float64 [n], with their origin."""

    values: Array
    name: str
    source: str
    licence: str


def load(path: Path | None = None, column: str | None = None) -> Prices:
    """Load daily prices.

    Args:
        path: CSV file with a header and one row per day; None for matplotlib's GOOG.
        column: column of prices; by default the first whose name contains "adjusted", "adj close" or "close".

    Raises:
        JobError: the file cannot be read, lacks the column, has an invalid price or too few rows, or its days are
            duplicated or out of order.
    """
    if path is None:
        if column:
            raise JobError("--column needs --csv")
        return _goog()
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise JobError(f"{path} cannot be read as a CSV: {error}") from None
    if not rows:
        raise JobError(f"{path} is empty; a CSV with a header and one row a day is expected")
    header = [cell.strip() for cell in rows[0][1]]
    if len(header) == 1 and ";" in header[0]:
        raise JobError(
            f"{path} separates its columns by semicolons; commas are expected, and decimal points in numbers. "
            "Save it from the spreadsheet as CSV in an English locale"
        )
    chosen = _column(path, header, column)
    values = np.array([_price(path, line, row, chosen, header) for line, row in rows[1:]])
    if len(values) < _FEWEST:
        raise JobError(f"{path} has {len(values)} rows; at least {_FEWEST} days are needed to train and to measure")
    _check_dates(path, header, rows)
    return Prices(values, f"{path.stem}, {header[chosen]}", path.name, "the user's own")


def _goog() -> Prices:
    from matplotlib import cbook

    prices: Array
    with cbook.get_sample_data("goog.npz") as file:  # type: ignore[union-attr]
        prices = file["price_data"]  # type: ignore[index]
    return Prices(
        prices["adj_close"].astype(np.float64),
        "GOOG daily, 2004-08-19 to 2008-10-14",
        "matplotlib's sample data, goog.npz",
        "as matplotlib (PSF-based)",
    )


def _column(path: Path, header: list[str], column: str | None) -> int:
    if column:
        if column not in header:
            raise JobError(f"{path} has no column {column!r}; it has: {', '.join(header)}")
        return header.index(column)
    for wanted in ("adjusted", "adj close", "adj_close", "close"):
        for index, name in enumerate(header):
            if wanted in name.lower():
                return index
    raise JobError(f"{path} has no column of closing prices; choose one with --column: {', '.join(header)}")


def _price(path: Path, line: int, row: list[str], column: int, header: list[str]) -> float:
    cell = row[column].strip() if column < len(row) else ""
    try:
        value = float(cell)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        what = "is empty" if not cell else f"holds {cell!r}"
        raise JobError(f"{path}, line {line}: {header[column]} {what}; a number is expected")
    if value <= 0:
        raise JobError(f"{path}, line {line}: {header[column]} is {value}; a price above 0 is expected")
    return value


def _check_dates(path: Path, header: list[str], rows: list[tuple[int, list[str]]]) -> None:
    """Require ascending days in the first column whose name contains "date", if any."""
    index = next((i for i, name in enumerate(header) if "date" in name.lower()), None)
    if index is None:
        return
    before: datetime.date | None = None
    for line, row in rows[1:]:
        try:
            day = datetime.date.fromisoformat(row[index].strip()[:10])
        except (ValueError, IndexError):
            found = row[index] if index < len(row) else ""
            raise JobError(f"{path}, line {line}: {found!r} is not a date; YYYY-MM-DD is expected") from None
        if before and day == before:
            raise JobError(f"{path}, line {line}: {day} is a duplicate; one row per day is expected")
        if before and day < before:
            raise JobError(f"{path}, line {line}: {day} comes after {before}; the oldest day must come first")
        before = day
