"""Numbers as people and programs write them: decimal commas, thousands, currency signs, 1.2M, 3.5 %, (1.00)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.inputs.series_csv.errors import SeriesFileError

#: Cells without a value, in lower case.
MISSING = frozenset(
    {"", "null", "na", "n/a", "#n/a", "n.a.", "n.a", "#n/d", "nd", "n.d.", "nan", "none", "nil", "nat", "undefined"}
    | {"missing", "-", "--", "---", "–", "—", ".", "..", "...", "…", "?", "*", ":", "#value!", "#div/0!", "#ref!"}
)
_SPACES = re.compile(r"[\s'’´`]+")
_BETWEEN_DIGITS = re.compile(r"\d[\s'’´`]+(?!\d{3}(?!\d))\d")  # no thousands: two numbers in one cell
_GROUPED = r"(?:\d{1,3}(?:%s\d{2,3})*%s\d{3}|\d+)"  # India groups by two: 12,34,567
_POINT = re.compile(rf"[+-]?(?:{_GROUPED % (',', ',')}(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?", re.ASCII)
_COMMA = re.compile(r"[+-]?(?:(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d*)?|,\d+)(?:e[+-]?\d+)?", re.ASCII)
_PLAIN = re.compile(r"\d+(?:\.\d+)?", re.ASCII)  # most cells of most files
_AFFIX = re.compile(r"[+-]?([^\d+\-.,()]{0,4})([+-]?[\d.,]+(?:e[+-]?\d+)?)([^\d.,()]{0,4})", re.IGNORECASE)
_SCALES = {"": 1.0, "%": 1.0, "k": 1e3, "m": 1e6, "mn": 1e6, "mio": 1e6, "b": 1e9, "bn": 1e9, "t": 1e12}
#: Currency signs that mean one currency. Others, such as $ and ¥, stay signs.
CURRENCIES = {"€": "EUR", "£": "GBP", "₹": "INR", "R$": "BRL", "₽": "RUB", "₩": "KRW", "₺": "TRY", "US$": "USD"}
_CODES = re.compile(
    "USD|EUR|GBP|CHF|JPY|CNY|BRL|INR|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|RUB|KRW|TRY|MXN|ZAR|SGD|HKD|ILS"
)
_SIGNS = re.compile(r"(?:US|R|C|A|HK|S)?\$|[€£¥₹₽₩₺₪฿₫₴₦]|kr|zł|Fr\.?")


@dataclass(frozen=True)
class Numbers:
    """Values of a column; ``values`` is NaN where a cell is missing. ``unit`` is a currency or % in its cells."""

    values: NDArray[np.float64]
    decimal: str
    unit: str | None


def is_missing(cell: str) -> bool:
    """Whether a cell has no value."""
    return cell.strip().lower() in MISSING


def looks_numeric(cell: str) -> bool:
    """Whether a cell is a number in any notation."""
    bare = _bare(cell)
    return bare is not None and bool(_POINT.fullmatch(bare[0]) or _COMMA.fullmatch(bare[0]))


def read_numbers(
    cells: Sequence[str],
    lines: Sequence[int],
    name: str,
    decimal: str | None = None,
    *,
    others: Sequence[Sequence[str]] = (),
    separator: str = "",
) -> Numbers:
    """Read a column.

    Args:
        cells: the column's cells.
        lines: line of each cell.
        name: the column's name, for messages.
        decimal: "." or ","; None to find it.
        others: other columns of numbers, whose notation decides an ambiguous one.
        separator: of the columns; where it is a comma, a point is decimal unless something else decides.

    Raises:
        SeriesFileError: a cell is not a number, or the decimal separator is ambiguous.
    """
    bare = [
        (cell, 1.0, None) if _PLAIN.fullmatch(cell) else None if is_missing(cell) else _bare(cell) or (cell, 1.0, None)
        for cell in cells
    ]
    decimal = decimal or _decimal(bare, others, separator, name)
    pattern = _POINT if decimal == "." else _COMMA
    values = np.full(len(cells), np.nan)
    units: set[str] = set()
    for i, one in enumerate(bare):
        if one is None:
            continue
        if not pattern.fullmatch(one[0]):
            hint = f"; with a decimal {'point' if decimal == '.' else 'comma'}" if re.search(r"\d", cells[i]) else ""
            raise SeriesFileError(f"{name} holds {cells[i][:40]!r}; a number is expected{hint}", lines[i])
        values[i] = _value(one[0], decimal) * one[1]
        if not np.isfinite(values[i]):
            raise SeriesFileError(f"{name} is {cells[i][:40]}, which is too large", lines[i])
        units.add(one[2] or "")
    units.discard("")
    if len(units) > 1:
        raise SeriesFileError(f"has several units in {name}: {', '.join(sorted(units))}")
    return Numbers(values, decimal, min(units, default=None))


def _bare(cell: str) -> tuple[str, float, str | None] | None:
    """Return the digits of a cell without signs of currency, its factor and its unit; None if it is no number."""
    text = cell.replace("\N{MINUS SIGN}", "-").removeprefix('="').removesuffix('"').strip()
    if not text.isascii() or not text.isalnum():
        if _BETWEEN_DIGITS.search(text):
            return None
        text = _SPACES.sub("", text)
    if text[:1].isdigit() and text[-1:].isdigit():  # nearly all cells
        return text.lower(), 1.0, None
    negative = text.startswith("(") and text.endswith(")")
    text = text.strip("()") if negative else text
    sign = "-" if negative or text.startswith("-") or text.endswith("-") else ""
    match = _AFFIX.fullmatch(text.removesuffix("-"))
    if match is None:
        return None
    before, digits, after = match.groups()
    unit, scale = _unit(before) or _unit(after), 1.0
    if after and not _unit(after):
        if after.lower() not in _SCALES:
            return None
        scale = _SCALES[after.lower()]
        unit = "%" if after == "%" else unit
    if before and not _unit(before):
        return None
    sign = "-" if digits.startswith("-") else sign
    return sign + digits.lstrip("+-").lower(), scale, unit


def _unit(text: str) -> str | None:
    if _CODES.fullmatch(text.upper()):
        return text.upper()
    return CURRENCIES.get(text, text) if text and _SIGNS.fullmatch(text) else None


def is_currency(word: str) -> bool:
    """Whether a word is the code of a currency."""
    return bool(_CODES.fullmatch(word))


def unit_in(name: str) -> str | None:
    """Return the currency in a column's name, such as ``Close (EUR)``."""
    words = re.split(r"[^\w$€£¥₹%]+|_", name)
    return next((unit for word in words if (unit := _unit(word))), None)


def _value(text: str, decimal: str) -> float:
    return float(text.replace(",", "") if decimal == "." else text.replace(".", "").replace(",", "."))


def _decimal(
    bare: Sequence[tuple[str, float, str | None] | None], others: Sequence[Sequence[str]], separator: str, name: str
) -> str:
    """Return the decimal separator of a column; ambiguous if both read it, with different values."""
    texts = [one[0] for one in bare if one is not None]
    possible = _possible(texts)
    if len(possible) == 1:
        return possible.pop()
    if not possible:  # report the first wrong cell by the notation of most cells
        return max(".,", key=lambda one: sum(bool(_pattern(one).fullmatch(text)) for text in texts))
    separated = [text for text in texts if "," in text or "." in text]
    if not separated:
        return "."
    for column in others:
        found = _possible([one[0] for cell in column if not is_missing(cell) and (one := _bare(cell))])
        if len(found) == 1:
            return found.pop()
    if separator == "," and not any("," in text for text in texts):
        return "."
    whole = [abs(float(text)) for text in texts if "," not in text and "." not in text]
    if whole and 100 <= max(whole) < 1000:  # separators exactly where thousands need them
        return "." if "," in separated[0] else ","
    raise SeriesFileError(
        f"{name} has {separated[0]!r}, which may be {_value(separated[0], '.'):,g} or {_value(separated[0], ','):,g}; "
        "choose with --decimal point or --decimal comma"
    )


def _pattern(decimal: str) -> re.Pattern[str]:
    return _POINT if decimal == "." else _COMMA


def _possible(texts: Sequence[str]) -> set[str]:
    found = {one for one in ".," if all(_pattern(one).fullmatch(text) for text in texts)}
    if found == {".", ","} and all(_value(text, ".") == _value(text, ",") for text in texts):
        return {"."} if texts and any("." in text or "," in text for text in texts) else found
    return found
