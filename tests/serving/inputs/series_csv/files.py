"""Small CSV files in the dialects of their sources; every one holds the same prices."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta

COUNT = 300
#: Trading days from 2 January 2019 on, and their closing prices.
DAYS = [day for i in range(2 * COUNT) if (day := date(2019, 1, 2) + timedelta(i)).weekday() < 5][:COUNT]
PRICES = [round(1100 + 30 * ((i * 7919) % 101) / 101 + i / 10, 2) for i in range(COUNT)]
MONTHS = [date(1990 + i // 12, 1 + i % 12, 1) for i in range(COUNT)]


def table(header: str, row: Callable[[date, float], str], days: Sequence[date] = DAYS, end: str = "\n") -> str:
    """Return a file of a header and one row for each day and price."""
    return end.join([header, *(row(day, price) for day, price in zip(days, PRICES, strict=False))]) + end


def plain(end: str = "\n") -> str:
    return table("Date,Open,Close", lambda day, price: f"{day},1,{price}", end=end)


def changed(text: str, lines: dict[int, str]) -> str:
    """Replace lines, counted from 1."""
    return "\n".join(lines.get(number, line) for number, line in enumerate(text.split("\n"), 1))


def newest_first(text: str) -> str:
    header, *rows = text.splitlines()
    return "\n".join([header, *reversed(rows)])


def german(value: float, decimals: int = 2) -> str:
    """Return a number with decimal comma and points between thousands."""
    return f"{value:,.{decimals}f}".translate(str.maketrans(",.", ".,"))


def joined(*lines: str | Iterable[str]) -> str:
    return "\n".join(line for part in lines for line in ([part] if isinstance(part, str) else part))
