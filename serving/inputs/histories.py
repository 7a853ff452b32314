"""Histories as people write them: a value on each line, or several on one.

A comma between digits may separate decimals, thousands or values. It is taken only where it can mean one thing.
"""

import codecs
import math
import re

_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_BETWEEN = re.compile(r"[ \t\r\n;]+|,[ \t\r\n]+")  # no-break spaces stand within a number


def of_lines(content: bytes) -> list[float]:
    """The values of a text with one on each line; empty lines do not count.

    Raises:
        ValueError: no text, no values, or a line that is not one finite number.
    """
    try:
        wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # as PowerShell writes
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"the history is no text in UTF-8: {error}") from None
    values = []
    for number, line in enumerate(re.split(r"\r\n?|\n", text), 1):
        if line.strip():
            values.append(_value(line.strip(), f"line {number}: ", "a line is one number"))
    return _some(values)


def of_text(text: str) -> list[float]:
    """The values of one text, separated by commas, semicolons or white space.

    Raises:
        ValueError: no values, one that is not a finite number, or commas that may be decimal.
    """
    parts = [part for part in _BETWEEN.split(text.strip("\ufeff \t\r\n,;")) if part]
    if len(parts) == 1:
        parts = parts[0].split(",")
    return _some([_value(part.strip(), "", "numbers with commas between are expected") for part in parts])


def _value(text: str, where: str, expected: str) -> float:
    plain = text.replace("\N{MINUS SIGN}", "-")
    if not _NUMBER.fullmatch(plain):
        why = ", with a decimal point and no commas in it" if "," in text else ", such as 0.31"
        raise ValueError(f"{where}{text[:40]!r} is not a number; {expected}{why}")
    value = float(plain)
    if not math.isfinite(value):
        raise ValueError(f"{where}{text[:40]} is too large")
    return value


def _some(values: list[float]) -> list[float]:
    if not values:
        raise ValueError("the history is empty")
    return values
