"""Parse histories that people write: one value on each line, or several on one line.

A comma between digits can separate decimals, thousands or values. Ambiguous commas are refused.
"""

import math
import re

from serving.inputs.series_csv.errors import SeriesFileError
from serving.inputs.series_csv.text import decode, lines

_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_BETWEEN = re.compile(r"[ \t\r\n;]+|,[ \t\r\n]+")  # no-break spaces are part of a number


def of_lines(content: bytes) -> list[float]:
    """Parse a text with one value on each line. Ignores empty lines.

    Raises:
        ValueError: The content is not a text or empty, or a line is not one finite number.
    """
    try:
        text, _ = decode(content)
    except SeriesFileError as error:
        raise ValueError(f"the history {error}" if error.line is None else f"line {error.line}: {error}") from None
    values = []
    for number, line in enumerate(lines(text), 1):
        if line.strip():
            values.append(_value(line.strip(), f"line {number}: ", "one number is expected"))
    return _not_empty(values)


def of_text(text: str) -> list[float]:
    """Parse one text of values, separated by commas, semicolons or white space.

    Raises:
        ValueError: The text is empty, a value is not a finite number, or commas may be decimal.
    """
    parts = [part for part in _BETWEEN.split(text.strip("\ufeff \t\r\n,;")) if part]
    if len(parts) == 1:
        parts = parts[0].split(",")
    return _not_empty([_value(part.strip(), "", "numbers separated by commas are expected") for part in parts])


def _value(text: str, where: str, expected: str) -> float:
    plain = text.replace("\N{MINUS SIGN}", "-")
    if not _NUMBER.fullmatch(plain):
        why = ", with a decimal point and no comma" if "," in text else ", such as 0.31"
        raise ValueError(f"{where}{text[:40]!r} is not a number; {expected}{why}")
    value = float(plain)
    if not math.isfinite(value):
        raise ValueError(f"{where}{text[:40]} is too large")
    return value


def _not_empty(values: list[float]) -> list[float]:
    if not values:
        raise ValueError("the history is empty")
    return values
